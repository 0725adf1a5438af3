#!/bin/bash
# Once, in a new database: our side, as its owner, then who may use it.
set -euo pipefail

secret() { cat "/run/rtm/$1"; }
# Commands of the owner. SQL*Plus asks for the password and reads it from the first line: on the command
# line every user of the machine could see it.
as_owner() {
  sqlplus -s -l rtm@//localhost/FREEPDB1 <<SQL
$(secret owner-password)
$1
SQL
}

as_owner "@/opt/rtm/sql/install.sql"
as_owner "whenever sqlerror exit failure
set define off
begin
  rtm_config_api.set_token_secret(p_kid => 'compose', p_secret => '$(secret token-secret)');
end;
/
exit"
sqlplus -s -l / as sysdba <<SQL
alter session set container = FREEPDB1;
@/opt/rtm/sql/grants/worker.sql RTM RTM_WORKER
exit
SQL
sqlplus -s -l / as sysdba <<SQL
alter session set container = FREEPDB1;
@/opt/rtm/sql/grants/app.sql RTM MY_APP
exit
SQL
