-- Proves an installed database side where it stands: broadcast, rollback, triggers, watched tables,
-- tokens, claim checks, lease, exception queue, HTTP. Run it as the owner of the installation:
--   sqlplus -L rtm@db @sql/verify.sql
-- Safe in production. It makes tables named RTMV_<8 hex digits>_... with triggers in the schema of the
-- owner, and drops them; sends messages on a channel of that name, of which all but two are rolled
-- back; and removes those two and its rows of RTM_LOG. One line per check, then the counts; an error
-- when a check failed. `rtm db verify` does the same and more, through the driver.
set define off
set sqlblanklines on
set serveroutput on size unlimited format wrapped
whenever oserror exit failure rollback
whenever sqlerror exit failure rollback
@@verify/in_database.sql
exit success
