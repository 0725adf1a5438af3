create or replace package body rtm_admin as
  c_slice     constant pls_integer := 100;
  c_log_slice constant pls_integer := 1000;
  -- A worker that was silent for so many seconds does not count as listening: three heartbeats of the
  -- largest worker.sideInterval. sql/install/drop_objects.sql uses the same figure.
  c_silent_s constant pls_integer := 90;

  -- A name in the header of a message, as far as it fits; null in a message that is not ours.
  function member_of(p_header in varchar2, p_name in varchar2) return varchar2 is
    l_channel varchar2(4000);
    l_event   varchar2(4000);
  begin
    select json_value(p_header, '$.channel'), json_value(p_header, '$.eventName')
    into l_channel, l_event
    from dual;
    return rtm_text.fit(case when p_name = 'channel' then l_channel else l_event end, 128);
  end member_of;

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
        l_row.channel    := member_of(l_header, 'channel');
        l_row.event_name := member_of(l_header, 'eventName');
        pipe row (l_row);
      end loop;
    $end
    return;
  end list_exceptions;

  -- A row of RTM_LOG about a message of the exception queue.
  function exception_row(p_message_id in varchar2, p_header in varchar2, p_status in varchar2)
    return rtm_log%rowtype
  is
    l_log rtm_log%rowtype;
  begin
    l_log            := rtm_log_row.new_row('RTM_ADMIN', member_of(p_header, 'channel'), member_of(p_header, 'eventName'));
    l_log.message_id := lower(p_message_id);
    l_log.transport  := 'AQ';
    l_log.status     := p_status;
    return l_log;
  end exception_row;

  function requeue(p_message_id in varchar2) return varchar2 is
    l_settings rtm_config%rowtype := rtm_config_api.settings;
    l_header   varchar2(4000) := rtm_aq.header(p_message_id);
    l_new_id   varchar2(32);
    l_log      rtm_log%rowtype;
  begin
    l_new_id := rtm_aq.requeue(p_message_id, l_settings.expiration_s);
    if l_new_id is null then
      raise_application_error(-20107, 'No message ' || p_message_id || ' in the exception queue');
    end if;
    l_log            := exception_row(l_new_id, l_header, 'QUEUED');
    l_log.extra_info := 'Put back; it was message ' || lower(p_message_id);
    rtm_log_row.note(l_log);
    return l_new_id;
  end requeue;

  function purge_exceptions(p_days in number default 30) return number is
    l_total  number := 0;
    l_slice  number;
    l_header varchar2(4000);
    l_log    rtm_log%rowtype;
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
          l_header := rtm_aq.header(message.message_id);
          if rtm_aq.remove_exception(message.message_id) then
            l_slice             := l_slice + 1;
            l_log               := exception_row(message.message_id, l_header, 'FAILED');
            l_log.error_message := case
                                     when message.retry_count > 0
                                       then 'Given up after ' || message.retry_count || ' attempts'
                                     else 'Expired in the queue: no worker took it in time'
                                   end;
            rtm_log_row.note(l_log);
          end if;
        end loop;
        commit;
        exit when l_slice = 0;
        l_total := l_total + l_slice;
      end loop;
    $end
    return l_total;
  end purge_exceptions;

  procedure purge_log(p_days in number) is
    -- Of the column's own type: compared with an expression of another one, no index is used.
    l_before rtm_log.ts%type := systimestamp - numtodsinterval(p_days, 'DAY');
  begin
    loop
      delete from rtm_log where ts < l_before and rownum <= c_log_slice;
      exit when sql%rowcount = 0;
      commit;
    end loop;
  end purge_log;

  procedure purge_claims(p_days in number) is
    -- A message can wait in the queue until it expires, and then in the exception queue for p_days.
    l_before rtm_delivery.expires_utc%type := rtm_text.now_utc - numtodsinterval(p_days + 1, 'DAY');
  begin
    loop
      delete from rtm_delivery where expires_utc < l_before and relay is null and rownum <= c_log_slice;
      exit when sql%rowcount = 0;
      commit;
    end loop;
  end purge_claims;

  procedure purge_revocations is
    l_now rtm_revocation.until_utc%type := rtm_text.now_utc;
  begin
    loop
      delete from rtm_revocation where until_utc <= l_now and rownum <= c_log_slice;
      exit when sql%rowcount = 0;
      commit;
    end loop;
  end purge_revocations;

  -- Expired events that nobody took.
  procedure purge_events is
    l_removed number;
  begin
    loop
      l_removed := rtm_aq.remove_old_events(c_log_slice);
      commit;
      exit when l_removed < c_log_slice;
    end loop;
  end purge_events;

  procedure purge(p_days in number default null) is
    l_settings rtm_config%rowtype := rtm_config_api.settings;
    l_days     number := coalesce(p_days, l_settings.log_days);
    l_removed  number;
  begin
    if l_days < 0 then
      raise_application_error(-20102, 'p_days must not be negative');
    end if;
    l_removed := purge_exceptions(l_days);
    purge_log(l_days);
    purge_claims(l_days);
    purge_revocations;
    purge_events;
  end purge;

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
    for failure in (
      select sys_extract_utc(ts) as utc, substr(error_message, 1, 900) as text
      from rtm_log
      where case when error_message is not null then id end = (
        select max(case when error_message is not null then id end) from rtm_log
      )
    ) loop
      l_text := to_char(failure.utc, rtm_text.c_iso_s, rtm_text.c_gregorian) || 'Z ' || failure.text;
    end loop;
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

    function database_fix return varchar2 is
    begin
      return case rtm_config_api.database_state
               when 'CLONE' then 'this looks like a clone, HTTP and tokens are off'
               when 'NEW_HOST' then 'it runs on a new host (another node, or a copy of the storage?)'
               else 'it has a new name (relocated, a standby, or a duplicate?): HTTP and tokens stop in 24 hours'
             end
        || ': rtm_config_api.confirm_database';
    end database_fix;

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
    feature(rtm_config_api.is_confirmed_database, 'Database is confirmed', database_fix);
    if rtm_features.c_aq then
      feature(listeners is not null, 'Worker', 'no heartbeat for ' || c_silent_s || ' seconds');
    end if;
    -- By name, as sql/install/check.sql: what else a schema has is not ours to judge.
    for unit in (
      select object_type, object_name
      from user_objects
      where status <> 'VALID'
        and object_name in (
          'RTM_LOG', 'RTM_CONFIG', 'RTM_TOKEN_SECRET', 'RTM_DATABASE', 'RTM_GAUGE', 'RTM_WORKER',
          'RTM_DELIVERY', 'RTM_RELAY_STATE', 'RTM_STATUS', 'RTM_FEATURES', 'RTM_TEXT', 'RTM_MESSAGE',
          'RTM_CONFIG_API', 'RTM_AQ', 'RTM_LOG_ROW', 'RTM_LOG_API', 'RTM_RELAY', 'RTM_HTTP', 'RTM_SENDER',
          'RTM_JOBS', 'RTM_TOKEN', 'RTM_ADMIN', 'RTM_OPERATOR', 'RTM_WORKER_API', 'RTM_ROW', 'RTM_ROW_BUFFER',
          'RTM_WATCH', 'RTM_WATCH_REGISTRY', 'RTM_WATCH_SOURCE', 'RTM_WATCHED_TABLE', 'RTM_WATCHED_COLUMN',
          'RTM_WATCH_BULK', 'RTM_WATCHES', 'RTM_REVOCATION', 'RTM_CONTROL', 'RTM_MEMBER',
          'RTM_MEMBER_SOURCE', 'RTM_PRESENT', 'RTM_PRESENCE', 'RTM_MEMBERS', 'WEBSOCKET_API',
          'WEBSOCKET_SEND_BROADCAST', 'WEBSOCKET_SENDER_MODULE'
        )
      order by object_name, object_type
    ) loop
      say('invalid', unit.object_type || ' ' || unit.object_name || ': see USER_ERRORS, install again');
    end loop;
    return l_text;
  end install_check;
end rtm_admin;
/
