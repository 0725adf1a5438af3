-- Removes the database side of apex-rtm. One file for SQL*Plus, SQLcl, SQL Developer and APEX SQL Scripts:
-- no includes, no substitution variables. Built by npm run build:sql from
-- sql/uninstall.sql; change it there. Run it as the schema that owns, or will own, the objects.
-- It stops at the first error and shows what it found, except in APEX SQL Scripts, which passes over
-- the commands below and goes on: read the results there.
set define off
set sqlblanklines on
set serveroutput on size unlimited format wrapped
whenever sqlerror exit failure rollback
declare
  type t_object is record (kind varchar2(30), name varchar2(128), suffix varchar2(30));
  type t_objects is table of t_object;
  l_objects t_objects := t_objects();

  procedure later(p_kind in varchar2, p_name in varchar2, p_suffix in varchar2 default null) is
  begin
    l_objects.extend;
    l_objects(l_objects.count).kind   := p_kind;
    l_objects(l_objects.count).name   := p_name;
    l_objects(l_objects.count).suffix := p_suffix;
  end later;

  function there(p_kind in varchar2, p_name in varchar2) return boolean is
    l_count pls_integer;
  begin
    select count(*)
    into l_count
    from user_objects
    where object_type = p_kind
      and object_name = p_name;
    return l_count > 0;
  end there;

  -- Workers that reported lately; none when the table is broken or gone.
  function live_workers return pls_integer is
    e_no_table exception;
    pragma exception_init(e_no_table, -942);
    l_count pls_integer;
  begin
    execute immediate q'[
      select count(*)
      from rtm_worker
      where state <> 'STOPPING'
        and heartbeat_ts > systimestamp - interval '90' second]'
      into l_count;
    return l_count;
  exception
    when e_no_table then
      return 0;
  end live_workers;

  -- BUSY while a worker holds the queue; null when the package cannot tell: it is gone, or a broken
  -- installation left it invalid (ORA-06550, 04063, 04067, 06508, 06575).
  function lease return varchar2 is
    e_not_declared exception;
    pragma exception_init(e_not_declared, -6550);
    e_has_errors exception;
    pragma exception_init(e_has_errors, -4063);
    e_not_existing exception;
    pragma exception_init(e_not_existing, -4067);
    e_not_callable exception;
    pragma exception_init(e_not_callable, -6508);
    e_invalid_state exception;
    pragma exception_init(e_invalid_state, -6575);
    e_discarded exception;
    pragma exception_init(e_discarded, -4068);
    l_lease varchar2(30);

    procedure ask is
    begin
      execute immediate q'[
        begin
          :1 := rtm_worker_api.acquire_lease(rtm_aq.queue_name);
          rtm_worker_api.release_lease(rtm_aq.queue_name);
        end;]'
        using out l_lease;
    end ask;
  begin
    begin
      ask;
    exception
      when e_discarded then
        -- The state of the packages that this session had used; the second call finds the new ones.
        ask;
    end;
    return l_lease;
  exception
    when e_not_declared or e_has_errors or e_not_existing or e_not_callable or e_invalid_state or e_discarded then
      dbms_output.put_line('RTM_WORKER_API cannot tell whether a worker holds the queue: ' || substr(sqlerrm, 1, 200));
      return null;
  end lease;

  -- Stops here, rather than waiting for locks, while a worker holds the queue.
  procedure check_no_worker is
  begin
    if live_workers > 0 or lease = 'BUSY' then
      raise_application_error(
        -20153,
        'A worker serves the queue: stop the worker (all of them) and run this again; after a kill wait 90 seconds'
      );
    end if;
  end check_no_worker;

  -- Triggers of other schemas would make their tables read-only (ORA-04098). They are found in the
  -- table of watches, since this schema need not see them, and among what it does see.
  procedure check_no_watch is
    l_names  varchar2(4000);
    l_cursor sys_refcursor;
    l_name   varchar2(300);
  begin
    if there('TABLE', 'RTM_WATCHED_TABLE') then
      open l_cursor for q'[
        select table_owner || '.' || table_name
        from rtm_watched_table
        where table_owner <> sys_context('USERENV', 'CURRENT_SCHEMA')
        group by table_owner, table_name
        order by 1]';
      loop
        fetch l_cursor into l_name;
        exit when l_cursor%notfound;
        l_names := substr(l_names || ' ' || l_name, 1, 1000);
      end loop;
      close l_cursor;
    end if;
    if l_names is not null then
      raise_application_error(
        -20154,
        'Tables of other schemas are watched. As their owner, or with DROP ANY TRIGGER, call'
          || ' RTM_WATCH.UNWATCH for each (where RTM_WATCH is broken: drop their triggers RTM_W_..., and delete'
          || ' their rows of RTM_WATCHED_TABLE):' || l_names
      );
    end if;
    for watch in (
      select owner || '.' || name as name
      from all_dependencies
      where referenced_owner = sys_context('USERENV', 'CURRENT_SCHEMA')
        and referenced_name in ('WEBSOCKET_API', 'RTM_ROW')
        and type = 'TRIGGER'
        and owner <> referenced_owner
    ) loop
      l_names := substr(l_names || ' ' || watch.name, 1, 1000);
    end loop;
    if l_names is not null then
      raise_application_error(
        -20154,
        'Triggers of other schemas depend on this one; drop them first (RTM_WATCH.UNWATCH):' || l_names
      );
    end if;
    -- Their own code may call ours too: it becomes invalid, which this script cannot see.
    for grantee in (
      select grantee as name
      from user_tab_privs_made
      where table_name = 'WEBSOCKET_API'
        and privilege = 'EXECUTE'
      order by grantee
    ) loop
      dbms_output.put_line('Code of ' || grantee.name || ' that calls WEBSOCKET_API becomes invalid.');
    end loop;
  end check_no_watch;

  procedure drop_jobs is
  begin
    for job in (
      select job_name
      from user_scheduler_jobs
      where job_name in ('RTM_NIGHTLY_JOB', 'RTM_SEND_JOB')
    ) loop
      dbms_scheduler.drop_job(job_name => job.job_name, force => true);
    end loop;
  end drop_jobs;

  procedure drop_watches is
  begin
    for watch in (
      select t.trigger_name
      from user_triggers t
      where (t.trigger_name like 'RTM\_W\_%' escape '\' or t.trigger_name like 'RTM\_T\_%' escape '\')
        and exists (
          select 1
          from user_source s
          where s.type = 'TRIGGER'
            and s.name = t.trigger_name
            and s.text like '%Generated by RTM_WATCH%'
        )
    ) loop
      execute immediate 'drop trigger "' || watch.trigger_name || '"';
      dbms_output.put_line('Dropped TRIGGER ' || watch.trigger_name);
    end loop;
  end drop_watches;

  procedure drop_queue(p_table in varchar2) is
  begin
    if there('TABLE', p_table) then
      -- Stops and drops the queues of the table too.
      execute immediate q'[
        begin
          dbms_aqadm.drop_queue_table(queue_table => :1, force => true);
        end;]'
        using p_table;
      dbms_output.put_line('Dropped queue table ' || p_table);
    end if;
  end drop_queue;
begin
  check_no_worker;
  check_no_watch;
  drop_jobs;
  drop_watches;
  later('VIEW', 'RTM_STATUS');
  later('VIEW', 'RTM_WATCHES');
  later('VIEW', 'RTM_PRESENCE');
  later('PACKAGE', 'RTM_WATCH');
  later('PACKAGE', 'RTM_WATCH_SOURCE');
  later('PACKAGE', 'RTM_ROW');
  later('PACKAGE', 'RTM_ROW_BUFFER');
  later('PACKAGE', 'RTM_WATCH_REGISTRY');
  later('PACKAGE', 'RTM_WORKER_API');
  later('PACKAGE', 'RTM_MEMBERS');
  later('PACKAGE', 'RTM_OPERATOR');
  later('PACKAGE', 'RTM_ADMIN');
  later('PACKAGE', 'WEBSOCKET_API');
  later('PACKAGE', 'RTM_CONTROL');
  later('PACKAGE', 'RTM_TOKEN');
  later('PACKAGE', 'RTM_SENDER');
  later('PACKAGE', 'RTM_HTTP');
  later('PACKAGE', 'RTM_RELAY');
  later('PACKAGE', 'RTM_JOBS');
  later('PACKAGE', 'RTM_LOG_API');
  later('PACKAGE', 'RTM_LOG_ROW');
  later('PACKAGE', 'RTM_MESSAGE');
  later('PACKAGE', 'RTM_CONFIG_API');
  later('PACKAGE', 'RTM_AQ');
  later('PACKAGE', 'RTM_TEXT');
  later('PACKAGE', 'RTM_FEATURES');
  later('FUNCTION', 'WEBSOCKET_SEND_BROADCAST');
  later('PROCEDURE', 'RTM_TRIAL');
  later('MLE MODULE', 'WEBSOCKET_SENDER_MODULE');
  drop_queue('RTM_QT');
  drop_queue('RTM_EVENTS_QT');
  later('TABLE', 'RTM_DELIVERY', ' purge');
  later('SEQUENCE', 'RTM_DELIVERY_SEQ');
  later('TABLE', 'RTM_RELAY_STATE', ' purge');
  later('TABLE', 'RTM_WATCH_BULK');
  later('TABLE', 'RTM_WATCHED_COLUMN', ' purge');
  later('TABLE', 'RTM_WATCHED_TABLE', ' purge');
  later('TABLE', 'RTM_REVOCATION', ' purge');
  later('TABLE', 'RTM_PRESENT', ' purge');
  later('TABLE', 'RTM_MEMBER', ' purge');
  later('TABLE', 'RTM_MEMBER_SOURCE', ' purge');
  later('TABLE', 'RTM_WORKER', ' purge');
  later('SEQUENCE', 'RTM_FENCE_SEQ');
  later('TABLE', 'RTM_GAUGE', ' purge');
  later('TABLE', 'RTM_DATABASE', ' purge');
  later('TABLE', 'RTM_TOKEN_SECRET', ' purge');
  later('TABLE', 'RTM_CONFIG', ' purge');
  -- Before the first release; an upgrade that stopped in its middle can have left them.
  later('TABLE', 'RTM_OUTBOX', ' purge');
  later('TABLE', 'RTM_PAYLOAD', ' purge');
  later('TABLE', 'RTM_LOG', ' purge');
  for i in 1 .. l_objects.count loop
    if there(l_objects(i).kind, l_objects(i).name) then
      execute immediate 'drop ' || l_objects(i).kind || ' ' || l_objects(i).name || l_objects(i).suffix;
      dbms_output.put_line('Dropped ' || l_objects(i).kind || ' ' || l_objects(i).name);
    end if;
  end loop;
end;
/
exit success
