#!/bin/bash
# Once, as the image's user, in a new database: users and grants, in the pluggable database.
set -euo pipefail

secret() { cat "/run/rtm/$1"; }
# One script as SYS in FREEPDB1; the first error ends the container.
as_sys() {
  sqlplus -s -l / as sysdba <<SQL
whenever sqlerror exit failure
whenever oserror exit failure
set define off
alter session set container = FREEPDB1;
$1
exit
SQL
}

# The image sets it to 1, and one job at a time is too few for AQ, APEX and our own.
sqlplus -s -l / as sysdba <<SQL
whenever sqlerror exit failure
alter system set job_queue_processes = 20;
exit
SQL

as_sys "create user rtm identified by \"$(secret owner-password)\" quota unlimited on users;
create user rtm_worker identified by \"$(secret worker-password)\";
create user my_app identified by \"$(secret app-password)\" quota unlimited on users;
grant create session, create table, create view, create procedure, create sequence, create trigger to my_app;"

# Its errors are expected: a grant of another version.
sqlplus -s -l / as sysdba <<SQL
alter session set container = FREEPDB1;
@/opt/rtm/sql/grants/owner.sql RTM
exit
SQL

# The user of the test suite.
sed -e 's/&user/RTM_TEST/g' -e "s/&password/$(secret test-password)/g" /opt/rtm/test/oracle-free.sql \
  | sqlplus -s -l / as sysdba
