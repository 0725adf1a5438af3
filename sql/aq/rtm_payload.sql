-- Payloads that do not fit on a RAW queue (claim checks), UTF-8. A row is deleted in the transaction
-- that dequeues its message.
begin
  for missing in (
    select 1 from dual
    where not exists (select 1 from user_tables where table_name = 'RTM_PAYLOAD')
  ) loop
    execute immediate q'[
      create table rtm_payload (
        id         varchar2(32 byte) not null constraint rtm_payload_pk primary key,
        created_ts timestamp(6) with time zone default systimestamp not null,
        body       blob not null
      )]';
  end loop;
end;
/
