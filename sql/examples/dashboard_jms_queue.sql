-- The queue of the published AQ dashboard article: JMS text messages, fed by a row trigger of your
-- own. The worker reads it with an entry in its configuration, without any change to the feed:
--
--   "worker": {"apiSchema": "RTM",
--              "queues": [{"name": "APP.DEMO_DASHBOARD_QUEUE", "payload": "JMS_TEXT",
--                          "channel": "dashboard", "eventName": "update"}]}
--   "relay":  {"publicChannels": ["dashboard"]}
--
-- and the page opens its wss://host/ords/<anything>/dashboard/live, which nginx maps to the channel.
-- The Thin driver cannot decode JMS text. With apiSchema, the schema of apex-rtm, its RTM_WORKER_API
-- dequeues this queue in PL/SQL, so that schema needs DEQUEUE on it:
--   exec dbms_aqadm.grant_queue_privilege('DEQUEUE', 'APP.DEMO_DASHBOARD_QUEUE', 'RTM', false)
--   grant select on app.aq$demo_dashboard_qt to rtm;
-- Without apiSchema the worker's user needs DEQUEUE on it and EXECUTE on DBMS_AQ (sql/grants/worker.sql).
begin
  dbms_aqadm.create_queue_table(
    queue_table        => 'DEMO_DASHBOARD_QT',
    queue_payload_type => 'SYS.AQ$_JMS_TEXT_MESSAGE'
  );
  dbms_aqadm.create_queue(
    queue_name  => 'DEMO_DASHBOARD_QUEUE',
    queue_table => 'DEMO_DASHBOARD_QT',
    max_retries => 1000
  );
  dbms_aqadm.start_queue(queue_name => 'DEMO_DASHBOARD_QUEUE');
end;
/
create or replace procedure demo_dashboard_send(p_json in varchar2) is
  l_options    dbms_aq.enqueue_options_t;
  l_properties dbms_aq.message_properties_t;
  l_message    sys.aq$_jms_text_message;
  l_id         raw(16);
begin
  l_message := sys.aq$_jms_text_message.construct;
  l_message.set_text(p_json);
  dbms_aq.enqueue(
    queue_name         => 'DEMO_DASHBOARD_QUEUE',
    enqueue_options    => l_options,
    message_properties => l_properties,
    payload            => l_message,
    msgid              => l_id
  );
end demo_dashboard_send;
/
