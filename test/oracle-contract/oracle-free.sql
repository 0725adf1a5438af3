-- Makes the user of the tests, with its AQ grants. The container runs it once, as SYS, in the root.
-- For a database of your own: replace the user and password substitutions and run it as SYS in the
-- pluggable database, without the first statement.
alter session set container = FREEPDB1;

create user &user identified by "&password" quota unlimited on users;
-- With the right to pass them on: the suite of the database side makes schemas of its own.
grant create session, create table, create view, create sequence, create type, create procedure,
  create trigger, create job to &user with admin option;
grant create user, drop user, create any context to &user;
grant aq_administrator_role, aq_user_role to &user;
grant execute on sys.dbms_aq to &user with grant option;
grant execute on sys.dbms_aqadm to &user with grant option;
grant execute on sys.dbms_lock to &user with grant option;
grant execute on sys.dbms_crypto to &user with grant option;
grant execute on sys.dbms_network_acl_admin to &user;
-- 23ai only; errors on older versions are expected.
grant create mle to &user with admin option;
grant execute on javascript to &user with grant option;
-- The suite kills its own sessions.
grant alter system to &user;
grant select on sys.v_$session to &user;
