-- Stops before anything is created when the database is too old or a basic privilege is missing.
declare
  l_missing varchar2(4000);
begin
  if dbms_db_version.version < 18 then
    raise_application_error(-20150, 'Oracle 18c or later is needed; this is ' || dbms_db_version.version);
  end if;
  for needed in (
    select column_value as name
    from table(sys.odcivarchar2list('CREATE TABLE', 'CREATE PROCEDURE', 'CREATE SEQUENCE', 'CREATE VIEW'))
    minus
    select privilege from session_privs
  ) loop
    l_missing := l_missing || case when l_missing is not null then ', ' end || needed.name;
  end loop;
  if l_missing is not null then
    raise_application_error(
      -20151,
      'User ' || user || ' lacks ' || l_missing || '; a DBA runs sql/grants/owner.sql'
    );
  end if;
  -- Tables that are in use are altered when their transactions end, instead of ORA-00054 at once.
  execute immediate 'alter session set ddl_lock_timeout = 30';
end;
/
