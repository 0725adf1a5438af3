-- For a DBA: the worker's user. It may open a session, dequeue from RTM_QUEUE and call
-- RTM_WORKER_API, and nothing else. Create it first: create user rtm_worker identified by "...";
--   sqlplus -s / as sysdba @sql/grants/worker.sql RTM RTM_WORKER
set verify off
define owner = '&1'
define worker = '&2'
whenever sqlerror exit failure rollback
grant create session to &worker;
grant execute on &owner..rtm_worker_api to &worker;
begin
  dbms_aqadm.grant_queue_privilege(
    privilege    => 'DEQUEUE',
    queue_name   => '&owner..RTM_QUEUE',
    grantee      => '&worker',
    grant_option => false
  );
end;
/
-- A queue of another schema (JMS, the dashboard article) is dequeued by the owner of RTM_WORKER_API:
--   exec dbms_aqadm.grant_queue_privilege('DEQUEUE', 'SALES.DASHBOARD_QUEUE', 'RTM', false)
-- or, when its payload is RAW or JSON, by the worker's user itself.
