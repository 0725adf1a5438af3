-- Queue table RTM_QT and queue RTM_QUEUE, where the schema may execute DBMS_AQADM, and RTM_EVENTS_QT with
-- RTM_EVENTS, on which applications hear who joins and leaves (setting presence_events). An existing queue
-- is used as it is: its payload kind never changes, and one that a DBA has stopped stays stopped. JSON
-- by choice (21c and later): create the queue table with sql/aq/queue_json.sql before this script runs.
declare
  e_not_granted exception;
  pragma exception_init(e_not_granted, -6550);
  e_table_exists exception;
  pragma exception_init(e_table_exists, -24001);
  e_queue_exists exception;
  pragma exception_init(e_queue_exists, -24006);

  procedure create_table(p_table in varchar2, p_comment in varchar2) is
  begin
    execute immediate q'[
      begin
        dbms_aqadm.create_queue_table(
          queue_table        => :1,
          queue_payload_type => 'RAW',
          sort_list          => 'ENQ_TIME',
          multiple_consumers => false,
          comment            => :2
        );
      end;]'
      using p_table, p_comment;
  exception
    when e_table_exists then
      dbms_output.put_line('Queue table ' || p_table || ' is there already.');
  end create_table;

  -- No retry delay: it would let later messages overtake. True when it was created, and is started.
  function created(p_queue in varchar2, p_table in varchar2, p_comment in varchar2) return boolean is
  begin
    execute immediate q'[
      begin
        dbms_aqadm.create_queue(
          queue_name     => :1,
          queue_table    => :2,
          max_retries    => 1000,
          retry_delay    => 0,
          retention_time => 0,
          comment        => :3
        );
        dbms_aqadm.start_queue(queue_name => :1);
        dbms_aqadm.start_queue(queue_name => 'AQ$_' || :2 || '_E', enqueue => false, dequeue => true);
      end;]'
      using p_queue, p_table, p_comment;
    return true;
  exception
    when e_queue_exists then
      dbms_output.put_line('Queue ' || p_queue || ' is there already.');
      return false;
  end created;

  procedure report_stopped(p_queue in varchar2, p_table in varchar2) is
  begin
    for queue in (
      select name, trim(enqueue_enabled) as enqueue_enabled, trim(dequeue_enabled) as dequeue_enabled
      from user_queues
      where name in (p_queue, 'AQ$_' || p_table || '_E')
    ) loop
      if queue.dequeue_enabled = 'NO' or (queue.name = p_queue and queue.enqueue_enabled = 'NO') then
        dbms_output.put_line(
          'Queue ' || queue.name || ' is stopped (enqueue ' || queue.enqueue_enabled || ', dequeue '
            || queue.dequeue_enabled || ') and stays so: dbms_aqadm.start_queue starts it.'
        );
      end if;
    end loop;
  end report_stopped;

  procedure make(p_queue in varchar2, p_table in varchar2, p_comment in varchar2) is
  begin
    create_table(p_table, p_comment);
    if not created(p_queue, p_table, p_comment) then
      report_stopped(p_queue, p_table);
    end if;
  end make;
begin
  make('RTM_QUEUE', 'RTM_QT', 'Real-time messages on their way to the worker');
  make('RTM_EVENTS', 'RTM_EVENTS_QT', 'Who joins and leaves channels, for applications');
exception
  when e_not_granted then
    dbms_output.put_line('No EXECUTE on DBMS_AQADM: no queue. Messages go over HTTP.');
end;
/
