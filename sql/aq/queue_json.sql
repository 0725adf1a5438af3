-- By choice, on 21c and later, before the first installation: a queue of JSON documents instead of
-- RAW. The messages are then readable by SQL (select user_data from rtm_qt). An existing RTM_QT is
-- left alone.
declare
  e_table_exists exception;
  pragma exception_init(e_table_exists, -24001);
begin
  dbms_aqadm.create_queue_table(
    queue_table        => 'RTM_QT',
    queue_payload_type => 'JSON',
    sort_list          => 'ENQ_TIME',
    multiple_consumers => false,
    comment            => 'Real-time messages on their way to the worker'
  );
exception
  when e_table_exists then
    dbms_output.put_line('Queue table RTM_QT is there already, and stays as it is.');
end;
/
