-- For a DBA: what the schema that owns apex-rtm needs, as direct grants (roles do not count inside
-- PL/SQL). Each line may be left out; the installation prints what that costs.
--   sqlplus -L sys@db as sysdba @sql/grants/owner.sql RTM
set verify off
define owner = '&1'
whenever sqlerror continue
prompt Needed to install
grant create session, create table, create view, create procedure, create sequence, create trigger to &owner;
prompt The queue (without: messages go over HTTP)
grant execute on sys.dbms_aq to &owner;
grant execute on sys.dbms_aqadm to &owner;
prompt Only one active worker (without: run one worker only)
grant execute on sys.dbms_lock to &owner;
prompt Nightly purge, HTTP after commit (without: purge by hand, HTTP at once)
grant create job to &owner;
prompt Tokens that name their secret (without: APEX_JWT signs, with one secret only)
grant execute on sys.dbms_crypto to &owner;
prompt To tell a clone from a relocated database (without: by the names of database and PDB only)
grant select on sys.v_$containers to &owner;
prompt HTTP (granted to PUBLIC unless the database is hardened)
grant execute on sys.utl_http to &owner;
prompt MLE for HTTP, 23ai and later (an error here on older versions is expected)
grant create mle to &owner;
prompt Up to 23.8 only (an error here on later versions is expected)
grant execute on javascript to &owner;
prompt And a quota on its tablespace, for example: alter user &owner quota 500M on users
exit success
