#!/bin/bash
# A workspace on MY_APP with a developer, and the plug-ins in an application of it when one is named:
# RTM_APEX_APP is its id. A plug-in file needs an application that is there.
set -euo pipefail
admin="$(cat /run/rtm/apex-password)"
# SQL*Plus asks for a password and reads it from the first line: on the command line every user of the
# machine could see it.
sqlplus -s -l sys@//db/FREEPDB1 as sysdba <<SQL
$(cat /run/rtm/oracle-password)
whenever sqlerror exit failure
set define off
declare
  l_count pls_integer;
begin
  select count(*) into l_count from apex_workspaces where workspace = 'RTM';
  if l_count = 0 then
    apex_instance_admin.add_workspace(
      p_workspace_id => null, p_workspace => 'RTM', p_primary_schema => 'MY_APP', p_additional_schemas => null
    );
    apex_util.set_security_group_id(apex_util.find_security_group_id('RTM'));
    apex_util.create_user(
      p_user_name => 'DEMO', p_web_password => '$admin', p_developer_privs => 'ADMIN:CREATE:DATA_LOADER:EDIT:HELP:MONITOR:SQL',
      p_change_password_on_first_use => 'N'
    );
    commit;
  end if;
end;
/
exit
SQL
echo "Workspace RTM, user DEMO; its password: docker compose run --rm secrets cat /run/rtm/apex-password"
if [ -n "${RTM_APEX_APP:-}" ]; then
  for file in /opt/rtm/plugins/*.sql; do
    sqlplus -s -l my_app@//db/FREEPDB1 <<SQL
$(cat /run/rtm/app-password)
whenever sqlerror exit failure
begin
  apex_application_install.set_workspace('RTM');
  apex_application_install.set_application_id(${RTM_APEX_APP});
  apex_application_install.set_schema('MY_APP');
end;
/
@$file
exit
SQL
  done
fi
