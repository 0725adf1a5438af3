-- Removes the database objects of the demo application, with all rows. Can be run again.
--   sqlplus my_app@db @uninstall.sql
set define off serveroutput on
whenever sqlerror exit failure rollback
@@database/remove.sql
exit success
