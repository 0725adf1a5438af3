-- For a DBA: the worker's user. It may open a session, dequeue from RTM_QUEUE and call
-- RTM_WORKER_API, and nothing else. Create it first: create user rtm_worker identified by "...";
--   sqlplus -L sys@db as sysdba @sql/grants/worker.sql RTM RTM_WORKER
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
-- A queue of another schema. RAW or JSON: the worker's user dequeues it, so it needs DEQUEUE:
--   exec dbms_aqadm.grant_queue_privilege('DEQUEUE', 'SALES.EVENT_QUEUE', 'RTM_WORKER', false)
-- JMS text is dequeued in PL/SQL. With worker.apiSchema = RTM in the worker's configuration by
-- RTM.RTM_WORKER_API, whose owner then needs DEQUEUE on it:
--   exec dbms_aqadm.grant_queue_privilege('DEQUEUE', 'SALES.DASHBOARD_QUEUE', 'RTM', false)
-- and, for the backlog, SELECT on the view of the queue table:
--   grant select on sales.aq$dashboard_qt to rtm;
-- Without worker.apiSchema by the worker's user, in an anonymous block: it then needs DEQUEUE as
-- above, and
--   grant execute on sys.dbms_aq to rtm_worker;
exit success
