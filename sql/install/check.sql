-- Compiles what became invalid, creates the jobs, prints what was found, and fails when one of our
-- objects is invalid. Others in the same schema are their owner's affair, whatever they are called.
declare
  type t_names is table of varchar2(128);
  c_ours constant t_names := t_names(
    'RTM_LOG', 'RTM_CONFIG', 'RTM_TOKEN_SECRET', 'RTM_DATABASE', 'RTM_GAUGE', 'RTM_WORKER',
    'RTM_DELIVERY', 'RTM_RELAY_STATE', 'RTM_STATUS', 'RTM_FEATURES', 'RTM_TEXT', 'RTM_MESSAGE',
    'RTM_CONFIG_API', 'RTM_AQ', 'RTM_LOG_ROW', 'RTM_LOG_API', 'RTM_RELAY', 'RTM_HTTP', 'RTM_SENDER',
    'RTM_JOBS', 'RTM_TOKEN', 'RTM_ADMIN', 'RTM_OPERATOR', 'RTM_WORKER_API', 'RTM_ROW', 'RTM_ROW_BUFFER',
    'RTM_WATCH', 'RTM_WATCH_REGISTRY', 'RTM_WATCH_SOURCE', 'RTM_WATCHED_TABLE', 'RTM_WATCHED_COLUMN',
    'RTM_WATCH_BULK', 'RTM_WATCHES', 'RTM_REVOCATION', 'RTM_CONTROL', 'RTM_MEMBER',
    'RTM_MEMBER_SOURCE', 'RTM_PRESENT', 'RTM_PRESENCE', 'RTM_MEMBERS', 'WEBSOCKET_API',
    'WEBSOCKET_SEND_BROADCAST', 'WEBSOCKET_SENDER_MODULE'
  );
  l_invalid varchar2(4000);
  l_report  clob;
  l_offset  pls_integer := 1;

  procedure compile(p_type in varchar2, p_name in varchar2) is
    e_compilation_error exception;
    pragma exception_init(e_compilation_error, -24344);
  begin
    execute immediate 'alter ' || replace(p_type, ' BODY') || ' "' || p_name || '" compile'
      || case when p_type like '% BODY' then ' body' end;
  exception
    when e_compilation_error then
      dbms_output.put_line(p_type || ' ' || p_name || ' does not compile; see USER_ERRORS.');
  end compile;
begin
  -- What depends on a specification that was replaced compiles at its next use anyway: here it shows.
  for i in 1 .. c_ours.count loop
    for unit in (
      select object_type, object_name
      from user_objects
      where object_name = c_ours(i)
        and status <> 'VALID'
        and object_type in ('PACKAGE', 'PACKAGE BODY', 'VIEW', 'FUNCTION')
      order by object_type
    ) loop
      compile(unit.object_type, unit.object_name);
    end loop;
  end loop;
  for i in 1 .. c_ours.count loop
    for unit in (
      select object_type || ' ' || object_name as name
      from user_objects
      where object_name = c_ours(i)
        and status <> 'VALID'
      order by object_type
    ) loop
      l_invalid := substr(l_invalid || case when l_invalid is not null then ', ' end || unit.name, 1, 2000);
    end loop;
  end loop;
  if l_invalid is not null then
    raise_application_error(-20152, 'Invalid after the installation: ' || l_invalid);
  end if;
  execute immediate 'begin rtm_config_api.learn_database; commit; end;';
  execute immediate 'begin rtm_jobs.refresh; end;';
  execute immediate 'begin :1 := websocket_api.install_check; end;' using out l_report;
  while l_offset <= dbms_lob.getlength(l_report) loop
    dbms_output.put(dbms_lob.substr(l_report, 2000, l_offset));
    l_offset := l_offset + 2000;
  end loop;
  dbms_output.new_line;
end;
/
