-- A dashboard's figures once per interval instead of once per order: a job sums up and broadcasts.
-- A page that opens gets the next figures within ten seconds; slow readers need only the newest
-- (relay.slowClients.policies, policy "latest").
create or replace procedure demo_dashboard_feed is
  l_payload clob;
begin
  select json_object(
           'orders' value count(*),
           'total' value coalesce(sum(amount), 0),
           'last' value max(created_ts)
           returning clob
         )
  into l_payload
  from demo_orders
  where created_ts > systimestamp - interval '1' day;
  websocket_api.broadcast('dashboard', 'figures', l_payload, p_source => 'DEMO_JOB');
  commit;
end demo_dashboard_feed;
/
begin
  dbms_scheduler.create_job(
    job_name        => 'DEMO_DASHBOARD_JOB',
    job_type        => 'STORED_PROCEDURE',
    job_action      => 'DEMO_DASHBOARD_FEED',
    repeat_interval => 'FREQ=SECONDLY;INTERVAL=10',
    enabled         => true
  );
end;
/
