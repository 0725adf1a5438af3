create or replace package body rtm_admin as
  c_slice constant pls_integer := 100;
  -- A worker that was silent for so many seconds does not count as listening: three heartbeats of the
  -- largest worker.sideInterval. sql/install/drop_objects.sql uses the same figure.
  c_silent_s constant pls_integer := 90;

  function list_exceptions(p_limit in number default 100) return t_exceptions pipelined is
    l_row    t_exception;
    l_header varchar2(4000);
  begin
    $if rtm_features.c_aq $then
      for message in (
        select *
        from (
          select rawtohex(msg_id) as message_id, enq_time, retry_count
          from aq$rtm_qt
          where queue = rtm_aq.c_exception_queue
          order by enq_time
        )
        where rownum <= p_limit
      ) loop
        l_header         := rtm_aq.header(message.message_id);
        l_row.message_id := lower(message.message_id);
        l_row.enq_time   := message.enq_time;
        l_row.attempts   := message.retry_count;
        select json_value(l_header, '$.channel'), json_value(l_header, '$.eventName')
        into l_row.channel, l_row.event_name
        from dual;
        pipe row (l_row);
      end loop;
    $end
    return;
  end list_exceptions;

  function requeue(p_message_id in varchar2) return varchar2 is
    l_settings rtm_config%rowtype := rtm_config_api.settings;
    l_new_id   varchar2(32);
  begin
    l_new_id := rtm_aq.requeue(p_message_id, l_settings.expiration_s);
    if l_new_id is null then
      raise_application_error(-20107, 'No message ' || p_message_id || ' in the exception queue');
    end if;
    update rtm_log
    set message_id = l_new_id, status = 'QUEUED', error_message = null
    where message_id = lower(p_message_id);
    return l_new_id;
  end requeue;

  function purge_exceptions(p_days in number default 30) return number is
    l_total number := 0;
    l_slice number;
  begin
    $if rtm_features.c_aq $then
      loop
        l_slice := 0;
        for message in (
          select rawtohex(msg_id) as message_id, retry_count
          from aq$rtm_qt
          where queue = rtm_aq.c_exception_queue
            and enq_time < current_date - p_days
            and rownum <= c_slice
        ) loop
          if rtm_aq.remove_exception(message.message_id) then
            l_slice := l_slice + 1;
            update rtm_log
            set status        = 'FAILED',
                error_message = case
                                  when message.retry_count > 0
                                    then 'Given up after ' || message.retry_count || ' attempts'
                                  else 'Expired in the queue: no worker took it in time'
                                end
            where message_id = lower(message.message_id)
              and status = 'QUEUED';
          end if;
        end loop;
        commit;
        exit when l_slice = 0;
        l_total := l_total + l_slice;
      end loop;
    $end
    return l_total;
  end purge_exceptions;

  function listeners return varchar2 is
    l_text varchar2(4000);
  begin
    for worker in (
      select queue_name, host, state, version
      from rtm_worker
      where heartbeat_ts > systimestamp - numtodsinterval(c_silent_s, 'SECOND')
      order by state, host
    ) loop
      l_text := rtm_text.fit(
        l_text || case when l_text is not null then ', ' end
          || worker.state || ' ' || worker.host || ' (' || worker.version || ') ' || worker.queue_name,
        4000
      );
    end loop;
    return l_text;
  end listeners;

  function last_error return varchar2 is
    l_text varchar2(4000);
  begin
    -- The index RTM_LOG_ERROR_IX holds the ids of the rows with an error.
    select max(to_char(ts at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') || ' ' || substr(error_message, 1, 900))
    into l_text
    from rtm_log
    where case when error_message is not null then id end = (
      select max(case when error_message is not null then id end) from rtm_log
    );
    return l_text;
  end last_error;

  function install_check return clob is
    l_text   clob;
    l_secret pls_integer;
    l_settings rtm_config%rowtype := rtm_config_api.settings;

    procedure say(p_mark in varchar2, p_line in varchar2) is
    begin
      l_text := l_text || rpad(p_mark, 8) || p_line || chr(10);
    end say;

    procedure feature(p_there in boolean, p_what in varchar2, p_fix in varchar2) is
    begin
      if p_there then
        say('ok', p_what);
      else
        say('missing', p_what || ': ' || p_fix);
      end if;
    end feature;
  begin
    say('info', 'Schema version ' || rtm_features.c_schema_version);
    say('info', 'Transport ' || websocket_api.transport || ': ' || websocket_api.transport_reason);
    feature(
      rtm_features.c_aq, 'Advanced Queuing',
      'grant execute on dbms_aq and dbms_aqadm directly to this schema, then install again'
    );
    feature(
      rtm_features.c_lock, 'Lease (only one active worker)',
      'grant execute on dbms_lock directly to this schema, then install again'
    );
    feature(
      rtm_features.c_jobs, 'Jobs (nightly purge, deferred HTTP)',
      'grant create job directly to this schema, then install again'
    );
    feature(
      rtm_features.c_crypto, 'Tokens with a key id (DBMS_CRYPTO)',
      'before the relay gets a second secret, grant execute on dbms_crypto directly to this schema,'
        || ' then install again'
    );
    feature(rtm_token.possible, 'Tokens for pages', 'needs DBMS_CRYPTO or APEX');
    feature(
      rtm_http.possible,
      'HTTP' || case when rtm_features.c_mle then ' (MLE)' when rtm_features.c_utl_http then ' (UTL_HTTP)' end,
      'needs MLE (23ai) or EXECUTE on UTL_HTTP'
    );
    if websocket_api.transport like 'HTTP%' then
      feature(l_settings.base_url is not null, 'Relay URL', 'rtm_config_api.set_value(''base_url'', ...)');
      feature(l_settings.api_key is not null, 'Relay key', 'rtm_config_api.set_value(''api_key'', ...)');
    end if;
    select count(*) into l_secret from rtm_token_secret where is_current = 'Y';
    feature(l_secret = 1, 'Token secret', 'rtm_config_api.set_token_secret(kid, secret)');
    feature(
      rtm_config_api.is_confirmed_database, 'Database is confirmed',
      'this looks like a clone: rtm_config_api.confirm_database'
    );
    if rtm_features.c_aq then
      feature(listeners is not null, 'Worker', 'no heartbeat for ' || c_silent_s || ' seconds');
    end if;
    for unit in (
      select object_type, object_name
      from user_objects
      where status <> 'VALID'
        and (object_name like 'RTM\_%' escape '\' or object_name like 'WEBSOCKET\_%' escape '\')
      order by object_name, object_type
    ) loop
      say('invalid', unit.object_type || ' ' || unit.object_name || ': see USER_ERRORS, install again');
    end loop;
    return l_text;
  end install_check;
end rtm_admin;
/
