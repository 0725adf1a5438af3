-- Removes everything that sql/install.sql created, with all rows. Asks nothing; stop the worker first.
--   sqlplus -L rtm@db @sql/uninstall.sql
set define off
set sqlblanklines on
set serveroutput on size unlimited format wrapped
whenever oserror exit failure rollback
whenever sqlerror exit failure rollback
@@install/drop_objects.sql
exit success
