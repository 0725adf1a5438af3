-- Installs or upgrades the database side of apex-rtm in the schema that runs it. Re-runnable, also
-- while a worker runs. For SQL*Plus and SQLcl; dist/rtm-install.sql is the same for every client.
--   sqlplus -s -l rtm@db @sql/install.sql
set define off
set sqlblanklines on
set serveroutput on size unlimited format wrapped
whenever oserror exit failure rollback
whenever sqlerror exit failure rollback
@@install/prerequisites.sql
@@aq/rtm_payload.sql
@@api/rtm_log.sql
@@api/rtm_config.sql
@@aq/queue.sql
@@api/websocket_sender.sql
@@install/features.sql
@@api/rtm_text.pks
@@aq/rtm_aq.pks
@@api/rtm_config_api.pks
@@api/rtm_log_row.pks
@@api/rtm_log_api.pks
@@api/rtm_http.pks
@@api/rtm_jobs.pks
@@api/rtm_sender.pks
@@api/websocket_api.pks
@@api/rtm_token.pks
@@api/rtm_admin.pks
@@api/rtm_worker_api.pks
@@api/rtm_row.pks
@@api/rtm_watch.pks
@@api/rtm_text.pkb
@@aq/rtm_aq.pkb
@@api/rtm_config_api.pkb
@@api/rtm_log_row.pkb
@@api/rtm_log_api.pkb
@@api/rtm_http.pkb
@@api/rtm_jobs.pkb
@@api/rtm_sender.pkb
@@api/websocket_api.pkb
@@api/rtm_token.pkb
@@api/rtm_admin.pkb
@@api/rtm_worker_api.pkb
@@api/rtm_row.pkb
@@api/rtm_watch.pkb
@@api/rtm_status.sql
@@install/check.sql
