-- Who joins and leaves, as messages (docs/sql-api.md, "Who is here"). As the owner of apex-rtm, once:
--   exec rtm_config_api.set_value('presence_events', 'Y')
--   exec dbms_aqadm.grant_queue_privilege('DEQUEUE', 'RTM.RTM_EVENTS', 'MY_APP', false)
-- and for a DBA: grant execute on sys.dbms_aq to my_app. This is then a job of MY_APP: it releases the lock
-- of a record whose last visitor is gone.
create table record_locks (
  record_id number not null primary key,
  user_name varchar2(255) not null
);
create or replace procedure release_records is
  e_nothing exception;
  pragma exception_init(e_nothing, -25228);
  l_options    dbms_aq.dequeue_options_t;
  l_properties dbms_aq.message_properties_t;
  l_message    raw(32767);
  l_id         raw(16);
  l_event      json_object_t;
begin
  l_options.visibility := dbms_aq.on_commit;
  l_options.navigation := dbms_aq.first_message;
  l_options.wait       := 60;
  loop
    dbms_aq.dequeue(
      queue_name         => 'RTM.RTM_EVENTS',
      dequeue_options    => l_options,
      message_properties => l_properties,
      payload            => l_message,
      msgid              => l_id
    );
    l_event := json_object_t.parse(utl_i18n.raw_to_char(l_message, 'AL32UTF8'));
    if l_event.get_string('event') = 'vacated' and l_event.get_string('channel') like 'record:%' then
      delete from record_locks
      where record_id = to_number(substr(l_event.get_string('channel'), 8));
    end if;
    commit;
  end loop;
exception
  when e_nothing then
    -- For a minute nobody came or left; the scheduler starts the job again.
    return;
end release_records;
/
