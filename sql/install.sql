-- Installs or upgrades the database side of apex-rtm in the schema that runs it. Re-runnable, also
-- while a worker runs. For SQL*Plus and SQLcl; dist/rtm-install.sql is the same for every client.
--   sqlplus -L rtm@db @sql/install.sql
set define off
set sqlblanklines on
set serveroutput on size unlimited format wrapped
whenever oserror exit failure rollback
whenever sqlerror exit failure rollback
@@install/prerequisites.sql
@@api/log/rtm_log.sql
@@api/base/rtm_config.sql
@@api/base/rtm_delivery.sql
@@api/public/rtm_watched.sql
@@api/public/rtm_revocation.sql
@@api/worker/rtm_member.sql
@@aq/queue.sql
@@api/http/websocket_sender.sql
@@install/features.sql
@@api/base/rtm_text.pks
@@api/base/rtm_config_api.pks
@@api/base/rtm_message.pks
@@aq/rtm_aq.pks
@@api/log/rtm_log_row.pks
@@api/log/rtm_log_api.pks
@@api/http/rtm_relay.pks
@@api/http/rtm_http.pks
@@api/admin/rtm_jobs.pks
@@api/http/rtm_sender.pks
@@api/public/websocket_api.pks
@@api/public/rtm_token.pks
@@api/public/rtm_control.pks
@@api/admin/rtm_admin.pks
@@api/admin/rtm_operator.pks
@@api/worker/rtm_worker_api.pks
@@api/worker/rtm_members.pks
@@api/public/rtm_watch_registry.pks
@@api/public/rtm_row.pks
@@api/public/rtm_row_buffer.pks
@@api/public/rtm_watch_source.pks
@@api/public/rtm_watch.pks
@@api/base/rtm_text.pkb
@@aq/rtm_aq.pkb
@@api/base/rtm_config_api.pkb
@@api/base/rtm_message.pkb
@@api/log/rtm_log_row.pkb
@@api/log/rtm_log_api.pkb
@@api/http/rtm_relay.pkb
@@api/http/rtm_http.pkb
@@api/admin/rtm_jobs.pkb
@@api/http/rtm_sender.pkb
@@api/public/websocket_api.pkb
@@api/public/rtm_token.pkb
@@api/public/rtm_control.pkb
@@api/admin/rtm_admin.pkb
@@api/admin/rtm_operator.pkb
@@api/worker/rtm_worker_api.pkb
@@api/worker/rtm_members.pkb
@@api/public/rtm_watch_registry.pkb
@@api/public/rtm_row.pkb
@@api/public/rtm_row_buffer.pkb
@@api/public/rtm_watch_source.pkb
@@api/public/rtm_watch.pkb
@@api/admin/rtm_status.sql
@@api/public/rtm_watches.sql
@@install/upgrade.sql
@@install/watches.sql
@@install/check.sql
exit success
