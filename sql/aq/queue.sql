-- Queue table RTM_QT and queue RTM_QUEUE, where the schema may execute DBMS_AQADM. An existing queue
-- is used as it is: its payload kind never changes, and one that a DBA has stopped stays stopped. JSON
-- by choice (21c and later): create the queue table with sql/aq/queue_json.sql before this script runs.
declare
  e_not_granted exception;
  pragma exception_init(e_not_granted, -6550);
  e_table_exists exception;
  pragma exception_init(e_table_exists, -24001);
  e_queue_exists exception;
  pragma exception_init(e_queue_exists, -24006);
  l_is_new boolean := false;

  procedure report_stopped is
  begin
    for queue in (
      select name, trim(enqueue_enabled) as enqueue_enabled, trim(dequeue_enabled) as dequeue_enabled
      from user_queues
      where name in ('RTM_QUEUE', 'AQ$_RTM_QT_E')
    ) loop
      if queue.dequeue_enabled = 'NO' or (queue.name = 'RTM_QUEUE' and queue.enqueue_enabled = 'NO') then
        dbms_output.put_line(
          'Queue ' || queue.name || ' is stopped (enqueue ' || queue.enqueue_enabled || ', dequeue '
            || queue.dequeue_enabled || ') and stays so: dbms_aqadm.start_queue starts it.'
        );
      end if;
    end loop;
  end report_stopped;
begin
  begin
    execute immediate q'[
      begin
        dbms_aqadm.create_queue_table(
          queue_table        => 'RTM_QT',
          queue_payload_type => 'RAW',
          sort_list          => 'ENQ_TIME',
          multiple_consumers => false,
          comment            => 'Real-time messages on their way to the worker'
        );
      end;]';
  exception
    when e_table_exists then
      dbms_output.put_line('Queue table RTM_QT is there already.');
  end;
  begin
    -- No retry delay: it would let later messages overtake.
    execute immediate q'[
      begin
        dbms_aqadm.create_queue(
          queue_name     => 'RTM_QUEUE',
          queue_table    => 'RTM_QT',
          max_retries    => 1000,
          retry_delay    => 0,
          retention_time => 0,
          comment        => 'Real-time messages on their way to the worker'
        );
      end;]';
    l_is_new := true;
  exception
    when e_queue_exists then
      dbms_output.put_line('Queue RTM_QUEUE is there already.');
  end;
  if l_is_new then
    execute immediate q'[
      begin
        dbms_aqadm.start_queue(queue_name => 'RTM_QUEUE');
        dbms_aqadm.start_queue(queue_name => 'AQ$_RTM_QT_E', enqueue => false, dequeue => true);
      end;]';
  else
    report_stopped;
  end if;
exception
  when e_not_granted then
    dbms_output.put_line('No EXECUTE on DBMS_AQADM: no queue. Messages go over HTTP.');
end;
/
