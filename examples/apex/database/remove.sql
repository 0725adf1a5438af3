-- Removes what objects.sql makes, with all rows. Can be run again.
declare
  procedure later(p_kind in varchar2, p_name in varchar2, p_more in varchar2 default null) is
    l_count pls_integer;
  begin
    select count(*) into l_count
    from user_objects
    where object_type = p_kind
      and object_name = p_name;
    if l_count > 0 then
      execute immediate 'drop ' || p_kind || ' ' || p_name || p_more;
    end if;
  end later;

  procedure unwatch(p_table in varchar2) is
    l_count pls_integer;
  begin
    select count(*) into l_count from user_tables where table_name = p_table;
    if l_count > 0 then
      rtm_watch.unwatch(p_table);
    end if;
  end unwatch;
begin
  for job in (select job_name from user_scheduler_jobs where job_name like 'RTM\_DEMO\_%' escape '\') loop
    dbms_scheduler.drop_job(job_name => job.job_name, force => true);
  end loop;
  unwatch('RTM_DEMO_CUSTOMERS');
  unwatch('RTM_DEMO_ORDERS');
  later('PACKAGE', 'RTM_DEMO');
  later('TABLE', 'RTM_DEMO_READINGS', ' purge');
  later('TABLE', 'RTM_DEMO_NOTES', ' purge');
  later('TABLE', 'RTM_DEMO_MESSAGES', ' purge');
  later('TABLE', 'RTM_DEMO_MEMBERS', ' purge');
  later('TABLE', 'RTM_DEMO_ROOMS', ' purge');
  later('TABLE', 'RTM_DEMO_ORDERS', ' purge');
  later('TABLE', 'RTM_DEMO_CUSTOMERS', ' purge');
  later('TABLE', 'RTM_DEMO_SALES', ' purge');
end;
/
