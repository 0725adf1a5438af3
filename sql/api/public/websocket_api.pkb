create or replace package body websocket_api as
  c_max_channels constant pls_integer := 100;
  -- Seconds between two counts of the backlog, whatever the number of broadcasts.
  c_gauge_s      constant pls_integer := 5;
  -- Rows of a cursor that are checked and sent at a time.
  c_slice        constant pls_integer := 100;

  e_busy exception;
  pragma exception_init(e_busy, -54);
  -- An autonomous transaction inside of one of an XA monitor.
  e_no_autonomous exception;
  pragma exception_init(e_no_autonomous, -164);

  function way(p_settings in rtm_config%rowtype, p_reason out varchar2) return varchar2 is
  begin
    if p_settings.transport = 'OFF' then
      p_reason := 'setting transport is OFF';
      return 'OFF';
    end if;
    if p_settings.transport in ('AUTO', 'AQ') and rtm_features.c_aq then
      p_reason := 'queue ' || rtm_aq.queue_name || ' (' || rtm_aq.payload_kind || ')';
      return 'AQ';
    end if;
    if p_settings.transport = 'AQ' then
      p_reason := 'setting transport is AQ, but this schema has no queue or no EXECUTE on DBMS_AQ';
      return 'OFF';
    end if;
    if not rtm_http.possible then
      p_reason := 'no queue, and no way to send HTTP (neither MLE nor EXECUTE on UTL_HTTP)';
      return 'OFF';
    end if;
    p_reason := case
                  when p_settings.transport = 'HTTP' then 'setting transport is HTTP'
                  else 'no queue, or no EXECUTE on DBMS_AQ'
                end
      || case when p_settings.base_url is null then '; no relay URL is set (base_url)' end;
    if not rtm_features.c_jobs then
      p_reason := p_reason || '; sent at once, because the schema may not create jobs';
      return 'HTTP';
    end if;
    if p_settings.http_deferred = 'N' then
      p_reason := p_reason || '; sent at once, because setting http_deferred is N';
      return 'HTTP';
    end if;
    return 'HTTP_DEFERRED';
  end way;

  function transport return varchar2 is
    l_reason varchar2(4000);
  begin
    return way(rtm_config_api.settings, l_reason);
  end transport;

  function transport_reason return varchar2 is
    l_reason varchar2(4000);
    l_way    varchar2(13);
  begin
    l_way := way(rtm_config_api.settings, l_reason);
    return l_reason;
  end transport_reason;

  -- Counts the queue unless somebody did, or is doing it. Never waits: e_busy means another session
  -- counts, and its last figure is good enough.
  procedure count_backlog(p_limit in number) is
    pragma autonomous_transaction;
    l_ready rtm_gauge.ready%type;
  begin
    select ready into l_ready from rtm_gauge where id = 1 for update nowait;
    l_ready := rtm_aq.ready(p_limit);
    update rtm_gauge set ready = l_ready, measured_ts = systimestamp where id = 1;
    commit;
  exception
    when e_busy then
      rollback;
  end count_backlog;

  procedure measure_backlog(p_limit in number) is
  begin
    count_backlog(p_limit);
  exception
    when e_no_autonomous then
      -- The last figure is good enough here too; the next call outside of XA counts again.
      rtm_text.say('RTM_GAUGE: not counted inside of an XA transaction.');
  end measure_backlog;

  function is_over_backlog(p_limit in number) return boolean is
    l_ready number;
    l_stale number;
  begin
    select ready, case when measured_ts < systimestamp - numtodsinterval(c_gauge_s, 'SECOND') then 1 else 0 end
    into l_ready, l_stale
    from rtm_gauge
    where id = 1;
    if l_stale = 1 then
      measure_backlog(p_limit);
      select ready into l_ready from rtm_gauge where id = 1;
    end if;
    return l_ready >= p_limit;
  end is_over_backlog;

  function error_policy(p_on_error in varchar2, p_settings in rtm_config%rowtype) return varchar2 is
  begin
    if upper(trim(p_on_error)) not in ('RAISE', 'LOG') then
      raise_application_error(-20106, 'p_on_error must be RAISE or LOG');
    end if;
    return coalesce(upper(trim(p_on_error)), p_settings.on_error);
  end error_policy;

  -- Hands a checked message to p_way (WAY), and sets its id.
  procedure send(
    p_message  in out nocopy rtm_message.t_message,
    p_settings in rtm_config%rowtype,
    p_way      in varchar2,
    p_reason   in varchar2,
    p_api_key  in varchar2,
    p_base_url in varchar2
  ) is
    l_row rtm_log%rowtype;
  begin
    case p_way
      when 'AQ' then
        if is_over_backlog(p_settings.max_backlog) then
          l_row               := rtm_log_row.row_of(p_message, 'AQ', 'REJECTED');
          l_row.error_message := 'Backlog of ' || p_settings.max_backlog
            || ' messages reached (setting max_backlog): is the worker running?';
          l_row.payload_json  := rtm_log_row.kept(p_message.payload, p_settings.log_payload, true);
          l_row.id            := rtm_log_row.add(l_row);
          return;
        end if;
        p_message.id := rtm_aq.enqueue(p_message, p_settings.expiration_s);
      when 'HTTP_DEFERRED' then
        rtm_sender.put(p_message, p_settings, p_base_url, p_api_key);
      when 'HTTP' then
        -- Logs what it sent by itself.
        rtm_sender.send_now(p_message, p_settings, p_base_url, p_api_key);
        return;
      else
        raise_application_error(-20110, 'Messages cannot be sent: ' || p_reason);
    end case;
    if p_settings.log_messages = 'Y' then
      l_row              := rtm_log_row.row_of(p_message, p_way, 'QUEUED');
      l_row.payload_json := rtm_log_row.kept(p_message.payload, p_settings.log_payload, false);
      if p_way = 'AQ' and (p_api_key is not null or p_base_url is not null) then
        l_row.extra_info := 'p_api_key and p_base_url are not used on the AQ transport';
      end if;
      -- The message is on its way: a log that cannot be written is no error of the call.
      rtm_log_row.note(l_row);
    end if;
  end send;

  -- The error of a call in RTM_LOG, in a transaction of its own, so that it survives the caller's
  -- rollback. p_is_checked: the payload is JSON and not too long, and was not delivered.
  procedure log_failure(
    p_source     in varchar2,
    p_channel    in varchar2,
    p_event_name in varchar2,
    p_payload    in clob,
    p_is_checked in boolean,
    p_settings   in rtm_config%rowtype,
    p_error      in varchar2
  ) is
    l_row rtm_log%rowtype;
  begin
    l_row               := rtm_log_row.new_row(p_source, p_channel, coalesce(p_event_name, 'message'));
    l_row.status        := 'FAILED';
    l_row.error_message := rtm_text.fit(p_error, 4000);
    if p_is_checked then
      l_row.payload_json := rtm_log_row.kept(p_payload, p_settings.log_payload, true);
    else
      l_row.payload_json := rtm_log_row.kept_refused(p_payload, p_settings.log_payload);
    end if;
    rtm_log_row.try_add_now(l_row);
  end log_failure;

  -- Raises what the caller can act upon in place of errors of the database that say nothing to him.
  -- -1456: read-only transaction. -14551: DML inside of a query. -164: beside an XA transaction.
  procedure explain(p_code in number) is
  begin
    if p_code in (-1456, -14551) then
      raise_application_error(
        -20115,
        'This transaction is read-only, or the call is inside of a query: WEBSOCKET_API.BROADCAST_NOW works there',
        true
      );
    elsif p_code = -164 then
      raise_application_error(
        -20115,
        'Nothing can be written beside a transaction of an XA monitor: call WEBSOCKET_API.BROADCAST, which'
          || ' takes part in it',
        true
      );
    end if;
  end explain;

  procedure broadcast_item(
    p_api_key    in varchar2,
    p_base_url   in varchar2,
    p_channel    in varchar2,
    p_event_name in varchar2,
    p_payload    in clob,
    p_on_error   in varchar2 default null,
    p_source     in varchar2 default 'APEX',
    p_retain_s   in number   default null
  ) is
    l_settings   rtm_config%rowtype := rtm_config_api.settings;
    l_message    rtm_message.t_message;
    l_policy     varchar2(5) := 'RAISE';
    l_is_checked boolean := false;
    l_reason     varchar2(4000);
    l_way        varchar2(13);
    l_code       number;
  begin
    l_policy     := error_policy(p_on_error, l_settings);
    l_message    := rtm_message.checked(
      p_channel, p_event_name, p_payload, p_source, l_settings, p_retain_s
    );
    l_is_checked := true;
    l_way        := way(l_settings, l_reason);
    send(l_message, l_settings, l_way, l_reason, p_api_key, p_base_url);
  exception
    when others then
      l_code := sqlcode;
      log_failure(
        p_source, p_channel, p_event_name, p_payload, l_is_checked, l_settings,
        sqlerrm || chr(10) || dbms_utility.format_error_backtrace
      );
      if l_policy = 'RAISE' then
        explain(l_code);
        raise;
      end if;
  end broadcast_item;

  procedure broadcast(
    p_channel    in varchar2,
    p_event_name in varchar2,
    p_payload    in clob,
    p_on_error   in varchar2 default null,
    p_source     in varchar2 default 'PLSQL',
    p_retain_s   in number   default null
  ) is
  begin
    broadcast_item(
      p_api_key    => null,
      p_base_url   => null,
      p_channel    => p_channel,
      p_event_name => p_event_name,
      p_payload    => p_payload,
      p_on_error   => p_on_error,
      p_source     => p_source,
      p_retain_s   => p_retain_s
    );
  end broadcast;

  procedure broadcast_user(
    p_user       in varchar2,
    p_event_name in varchar2,
    p_payload    in clob,
    p_on_error   in varchar2 default null,
    p_source     in varchar2 default 'PLSQL',
    p_retain_s   in number   default null
  ) is
  begin
    broadcast(user_channel(p_user), p_event_name, p_payload, p_on_error, p_source, p_retain_s);
  end broadcast_user;

  procedure broadcast_json(
    p_channel    in varchar2,
    p_event_name in varchar2,
    p_payload    in json_element_t,
    p_on_error   in varchar2 default null,
    p_source     in varchar2 default 'PLSQL',
    p_retain_s   in number   default null
  ) is
    l_payload clob;
  begin
    if p_payload is not null then
      l_payload := p_payload.to_clob;
    end if;
    broadcast(p_channel, p_event_name, l_payload, p_on_error, p_source, p_retain_s);
    rtm_text.free(l_payload);
  exception
    when others then
      rtm_text.free(l_payload);
      raise;
  end broadcast_json;

  $if rtm_features.c_json_type $then
  procedure broadcast_json(
    p_channel    in varchar2,
    p_event_name in varchar2,
    p_payload    in json,
    p_on_error   in varchar2 default null,
    p_source     in varchar2 default 'PLSQL',
    p_retain_s   in number   default null
  ) is
    l_payload clob;
  begin
    if p_payload is not null then
      select json_serialize(p_payload returning clob) into l_payload from dual;
    end if;
    broadcast(p_channel, p_event_name, l_payload, p_on_error, p_source, p_retain_s);
    rtm_text.free(l_payload);
  exception
    when others then
      rtm_text.free(l_payload);
      raise;
  end broadcast_json;
  $end

  procedure broadcast_many(
    p_messages in t_messages,
    p_on_error in varchar2 default null,
    p_source   in varchar2 default 'PLSQL',
    p_retain_s in number   default null
  ) is
    type t_checked is table of rtm_message.t_message index by pls_integer;
    l_settings   rtm_config%rowtype := rtm_config_api.settings;
    l_policy     varchar2(5) := error_policy(p_on_error, l_settings);
    l_checked    t_checked;
    l_given      t_message;
    l_message    rtm_message.t_message;
    l_index      pls_integer := p_messages.first;
    l_is_checked boolean := false;
    l_reason     varchar2(4000);
    l_way        varchar2(13) := way(l_settings, l_reason);

    -- Logs the error of one message, and explains it to a caller who wants it raised.
    procedure fail(p_at in pls_integer) is
      l_code  number := sqlcode;
      l_error varchar2(4000) := sqlerrm;
      l_bad   t_message := p_messages(p_at);
    begin
      log_failure(
        p_source, l_bad.channel, l_bad.event_name, l_bad.payload, l_is_checked, l_settings,
        'p_messages(' || p_at || '): ' || l_error || chr(10) || dbms_utility.format_error_backtrace
      );
      if l_policy = 'RAISE' then
        explain(l_code);
        if l_code > -21000 and l_code <= -20000 then
          -- The same error, with the index in front of its text. Codes of the database are raised as
          -- they are: a stopped queue, ORA-25207, is beyond what RAISE_APPLICATION_ERROR takes.
          raise_application_error(
            l_code,
            'p_messages(' || p_at || '): ' || substr(l_error, length('ORA-20000: ') + 1, 1500)
          );
        end if;
      end if;
    end fail;
  begin
    while l_index is not null loop
      begin
        l_given            := p_messages(l_index);
        l_checked(l_index) := rtm_message.checked(
          l_given.channel, l_given.event_name, l_given.payload, p_source, l_settings, p_retain_s
        );
      exception
        when others then
          fail(l_index);
          if l_policy = 'RAISE' then
            raise;
          end if;
      end;
      l_index := p_messages.next(l_index);
    end loop;
    l_is_checked := true;
    l_index      := l_checked.first;
    while l_index is not null loop
      begin
        l_message := l_checked(l_index);
        send(l_message, l_settings, l_way, l_reason, null, null);
      exception
        when others then
          fail(l_index);
          if l_policy = 'RAISE' then
            raise;
          end if;
      end;
      l_index := l_checked.next(l_index);
    end loop;
  end broadcast_many;

  procedure broadcast_many(
    p_messages in sys_refcursor,
    p_on_error in varchar2 default null,
    p_source   in varchar2 default 'PLSQL',
    p_retain_s in number   default null
  ) is
    l_messages t_messages;
  begin
    loop
      fetch p_messages bulk collect into l_messages limit c_slice;
      exit when l_messages.count = 0;
      broadcast_many(l_messages, p_on_error, p_source, p_retain_s);
    end loop;
    close p_messages;
  exception
    when others then
      if p_messages%isopen then
        close p_messages;
      end if;
      raise;
  end broadcast_many;

  procedure broadcast_now(
    p_channel    in varchar2,
    p_event_name in varchar2,
    p_payload    in clob,
    p_on_error   in varchar2 default null,
    p_source     in varchar2 default 'PLSQL',
    p_retain_s   in number   default null
  ) is
    pragma autonomous_transaction;
  begin
    broadcast(p_channel, p_event_name, p_payload, p_on_error, p_source, p_retain_s);
    commit;
  exception
    when others then
      rollback;
      raise;
  end broadcast_now;

  function apex_user(p_user in varchar2) return varchar2 is
    l_user varchar2(4000) := coalesce(trim(p_user), sys_context('APEX$SESSION', 'APP_USER'));
  begin
    if l_user is null then
      raise_application_error(-20106, 'p_user is needed outside of an APEX session');
    end if;
    return l_user;
  end apex_user;

  function client_token(
    p_channels in t_channels,
    p_options  in t_token_options,
    p_user     in varchar2 default null,
    p_ttl_s    in number   default null
  ) return varchar2 is
    l_user     varchar2(4000) := apex_user(p_user);
    l_ttl_s    number := p_ttl_s;
    l_settings rtm_config%rowtype;
  begin
    if l_ttl_s is null then
      l_settings := rtm_config_api.settings;
      l_ttl_s    := l_settings.token_ttl_s;
    end if;
    if l_ttl_s not between 10 and 86400 or l_ttl_s <> trunc(l_ttl_s) then
      raise_application_error(-20106, 'p_ttl_s must be a whole number from 10 to 86400');
    end if;
    if length(l_user) > 256 then
      raise_application_error(-20106, 'p_user must not be longer than 256 characters');
    end if;
    if p_channels.count not between 1 and c_max_channels then
      raise_application_error(-20106, 'p_channels must hold 1 to ' || c_max_channels || ' names');
    end if;
    return rtm_token.sign(l_user, p_channels, p_options, l_ttl_s);
  end client_token;

  function client_token(
    p_channels in t_channels,
    p_user     in varchar2 default null,
    p_ttl_s    in number   default null
  ) return varchar2 is
    l_none t_token_options;
  begin
    return client_token(p_channels, l_none, p_user, p_ttl_s);
  end client_token;

  function client_token(
    p_channel in varchar2,
    p_user    in varchar2 default null,
    p_ttl_s   in number   default null
  ) return varchar2 is
    l_channels t_channels;
  begin
    l_channels(1) := p_channel;
    return client_token(l_channels, p_user, p_ttl_s);
  end client_token;

  function user_channel(p_user in varchar2 default null) return varchar2 is
    l_user    varchar2(4000) := upper(apex_user(p_user));
    l_channel varchar2(32767);
    l_char    varchar2(8);
    l_hash    varchar2(64);
  begin
    l_channel := 'user:';
    for i in 1 .. length(l_user) loop
      l_char := substr(l_user, i, 1);
      if l_char in ('*', '%')
        or ascii(l_char) between 0 and 31
        or ascii(l_char) = 127
        or instr(asciistr(l_char), '\008') > 0
        or instr(asciistr(l_char), '\009') > 0
      then
        for byte_index in 1 .. utl_raw.length(rtm_text.utf8(l_char)) loop
          l_channel := l_channel || '%' || rawtohex(utl_raw.substr(rtm_text.utf8(l_char), byte_index, 1));
        end loop;
      else
        l_channel := l_channel || l_char;
      end if;
    end loop;
    if rtm_text.utf8_bytes(l_channel) > 128 then
      select lower(rawtohex(standard_hash(l_user, 'SHA256'))) into l_hash from dual;
      l_channel := 'user:#' || l_hash;
    end if;
    return l_channel;
  end user_channel;

  procedure forget_last(p_channel in varchar2, p_event_name in varchar2) is
  begin
    rtm_control.forget_last(p_channel, p_event_name);
  end forget_last;

  procedure revoke_user(p_user in varchar2 default null) is
  begin
    rtm_control.revoke_user(apex_user(p_user));
  end revoke_user;

  procedure revoke_session(p_session in number default null) is
  begin
    rtm_control.revoke_session(coalesce(p_session, to_number(sys_context('APEX$SESSION', 'APP_SESSION'))));
  end revoke_session;

  procedure unsubscribe_user(p_user in varchar2, p_channel in varchar2) is
  begin
    rtm_control.unsubscribe_user(apex_user(p_user), p_channel);
  end unsubscribe_user;

  procedure disconnect_user(p_user in varchar2, p_stop in boolean default false) is
  begin
    rtm_control.disconnect_user(apex_user(p_user), p_stop);
  end disconnect_user;

  function members(p_channel in varchar2) return t_members pipelined is
    l_member t_member;
  begin
    rtm_text.check_name(p_channel, 'p_channel');
    for found in (
      select user_name, connections, member_info, since_ts
      from rtm_presence
      where channel = p_channel
      order by since_ts, user_name
    ) loop
      l_member.user_name   := found.user_name;
      l_member.connections := found.connections;
      l_member.member_info := found.member_info;
      l_member.since_ts    := found.since_ts;
      pipe row (l_member);
    end loop;
    return;
  end members;

  function install_check return clob is
  begin
    return rtm_admin.install_check;
  end install_check;
end websocket_api;
/
