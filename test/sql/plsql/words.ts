/** Words of SQL that stand in our statements and are neither columns nor variables. */
export const SQL_WORDS: ReadonlySet<string> = new Set(
  `select insert into update delete from where and or not in exists between like escape is null as case
   when then else end order by group having union minus all distinct for skip locked nowait values set
   returning row rownum desc asc default on absent error table column_value user sysdate systimestamp
   current_date timestamp interval day second date at time zone number varchar2 clob blob json strict
   value empty true false with bulk collect limit key format wrapper
   count min max sum round greatest least coalesce nvl substr instr length lower upper trim rpad rtrim
   ltrim to_char to_number to_date hextoraw rawtohex sys_context numtodsinterval sys_guid regexp_like
   json_object json_value json_query json_exists json_serialize standard_hash cast extract sys
   odcivarchar2list replace loop keep dense_rank last first sys_extract_utc nextval row_number over partition substrb regexp_substr chr m
   join from_tz`
    .split(/\s+/)
    .filter(Boolean),
);
