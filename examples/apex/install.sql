-- Installs the database objects of the demo application (README.md) in the schema that runs it, which has
-- what sql/grants/app.sql grants, and CREATE TABLE, TRIGGER, PROCEDURE, SEQUENCE and JOB:
--   sqlplus my_app@db @install.sql
-- In a client that does not know @@ (APEX, SQL Scripts) run database/objects.sql alone. What was installed before is
-- removed first, with its rows.
set define off serveroutput on
whenever sqlerror exit failure rollback
@@database/remove.sql
@@database/objects.sql
exit success
