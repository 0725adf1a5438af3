-- A long job that tells its user when it is done, also when it failed. The page that started it
-- subscribes to the user's channel (WEBSOCKET_API.USER_CHANNEL in the Listener).
create or replace procedure demo_long_job(p_user in varchar2, p_report in number) is
  l_channel varchar2(128) := websocket_api.user_channel(p_user);
  l_payload varchar2(4000);

  procedure tell(p_event_name in varchar2, p_error in varchar2 default null) is
  begin
    select json_object('report' value p_report, 'error' value p_error absent on null)
    into l_payload
    from dual;
    websocket_api.broadcast(l_channel, p_event_name, l_payload, p_source => 'DEMO_LONG_JOB');
    commit;
  end tell;
begin
  dbms_session.sleep(5); -- the work
  tell('report-done');
exception
  when others then
    -- First the work is undone; the message is a transaction of its own.
    rollback;
    tell('report-failed', sqlerrm);
    raise;
end demo_long_job;
/
