-- For the owner of apex-rtm, or a DBA: lets an application schema broadcast, get tokens, write to the
-- log and watch tables. The schema can then publish on every channel and sign tokens for every channel.
-- It can neither read nor delete what others have logged (docs/sql-api.md, "Who may call what").
--   sqlplus -L rtm@db @sql/grants/app.sql RTM MY_APP
-- The synonyms need CREATE ANY SYNONYM; without it the application schema creates them itself.
set verify off
define owner = '&1'
define app = '&2'
whenever sqlerror continue
grant execute on &owner..websocket_api to &app;
grant execute on &owner..rtm_log_api to &app;
grant execute on &owner..rtm_watch to &app;
grant execute on &owner..rtm_row to &app;
create or replace synonym &app..websocket_api for &owner..websocket_api;
create or replace synonym &app..rtm_log_api for &owner..rtm_log_api;
create or replace synonym &app..rtm_watch for &owner..rtm_watch;
exit success
