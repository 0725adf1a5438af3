create or replace package body websocket_api as
  c_max_channels constant pls_integer := 100;
  -- Seconds between two counts of the backlog, whatever the number of broadcasts.
  c_gauge_s      constant pls_integer := 5;
  -- What the relay's encoding adds to a payload at the very most: two names of 128 bytes (256 when
  -- every character is escaped), id, numbers and keys. max_message_bytes counts it, as the relay does.
  c_envelope_bytes constant pls_integer := 1024;

  e_busy exception;
  pragma exception_init(e_busy, -54);

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
  procedure measure_backlog(p_limit in number) is
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

  -- The payload's JSON text, never null; bytes and syntax are checked.
  function checked_payload(p_payload in clob, p_settings in rtm_config%rowtype) return clob is
    l_limit number := p_settings.max_message_bytes - c_envelope_bytes;
    l_blob  blob;
    l_bytes number;
  begin
    if p_payload is null or dbms_lob.getlength(p_payload) = 0 then
      return to_clob('{}');
    end if;
    -- A unit of a CLOB is at most 4 bytes of UTF-8: only what may be too long is counted exactly.
    if dbms_lob.getlength(p_payload) * 4 > l_limit then
      l_blob  := rtm_text.utf8_blob(p_payload);
      l_bytes := dbms_lob.getlength(l_blob);
      rtm_text.free(l_blob);
      if l_bytes > l_limit then
        raise_application_error(
          -20105,
          'p_payload has ' || l_bytes || ' bytes; setting max_message_bytes (' || p_settings.max_message_bytes
            || ') less ' || c_envelope_bytes || ' for the names and numbers allows ' || l_limit
        );
      end if;
    end if;
    if not rtm_text.is_json(p_payload) then
      raise_application_error(-20105, 'p_payload is not one JSON value in strict syntax');
    end if;
    return p_payload;
  end checked_payload;

  procedure send(
    p_row      in out nocopy rtm_log%rowtype,
    p_settings in rtm_config%rowtype,
    p_api_key  in varchar2,
    p_base_url in varchar2
  ) is
    l_payload clob := p_row.payload_json;
    l_ts_ms   number := rtm_text.epoch_ms(p_row.ts);
    l_reason  varchar2(4000);
    l_id      number;
  begin
    p_row.transport := way(p_settings, l_reason);
    case p_row.transport
      when 'AQ' then
        if is_over_backlog(p_settings.max_backlog) then
          p_row.status        := 'REJECTED';
          p_row.error_message := 'Backlog of ' || p_settings.max_backlog
            || ' messages reached (setting max_backlog): is the worker running?';
        else
          p_row.message_id := rtm_aq.enqueue(
            p_channel      => p_row.channel,
            p_event_name   => p_row.event_name,
            p_payload      => l_payload,
            p_ts_ms        => l_ts_ms,
            p_expiration_s => p_settings.expiration_s
          );
          p_row.status := 'QUEUED';
        end if;
        p_row.payload_json := rtm_log_row.kept(
          l_payload,
          p_settings.log_payload,
          p_is_error => p_row.status = 'REJECTED'
        );
        if p_settings.log_messages = 'Y' or p_row.status = 'REJECTED' then
          if p_api_key is not null or p_base_url is not null then
            p_row.extra_info := 'p_api_key and p_base_url are not used on the AQ transport';
          end if;
          l_id := rtm_log_row.add(p_row);
        end if;
      when 'HTTP_DEFERRED' then
        p_row.message_id := lower(rawtohex(sys_guid()));
        p_row.status     := 'QUEUED';
        rtm_sender.put(p_row, p_base_url, p_api_key);
      when 'HTTP' then
        p_row.message_id := lower(rawtohex(sys_guid()));
        rtm_sender.send_now(p_row, l_ts_ms, p_base_url, p_api_key);
      else
        raise_application_error(-20110, 'Messages cannot be sent: ' || l_reason);
    end case;
  exception
    when others then
      p_row.payload_json := l_payload;
      raise;
  end send;

  procedure broadcast_item(
    p_api_key    in varchar2,
    p_base_url   in varchar2,
    p_channel    in varchar2,
    p_event_name in varchar2,
    p_payload    in clob,
    p_on_error   in varchar2 default null,
    p_source     in varchar2 default 'APEX'
  ) is
    l_settings rtm_config%rowtype := rtm_config_api.settings;
    l_row      rtm_log%rowtype;
    l_policy   varchar2(5) := 'RAISE';
  begin
    l_row    := rtm_log_row.new_row(p_source, p_channel, coalesce(p_event_name, 'message'));
    l_policy := error_policy(p_on_error, l_settings);
    rtm_text.check_name(p_channel, 'p_channel');
    rtm_text.check_name(coalesce(p_event_name, 'message'), 'p_event_name');
    l_row.payload_json := checked_payload(p_payload, l_settings);
    send(l_row, l_settings, p_api_key, p_base_url);
  exception
    when others then
      l_row.payload_json  := rtm_log_row.kept(p_payload, l_settings.log_payload, true);
      l_row.status        := 'FAILED';
      l_row.error_message := rtm_text.fit(
        sqlerrm || chr(10) || dbms_utility.format_error_backtrace,
        4000
      );
      -- In a transaction of its own, so that the reason survives the caller's rollback.
      rtm_log_row.try_add_now(l_row);
      if l_policy = 'RAISE' then
        raise;
      end if;
  end broadcast_item;

  procedure broadcast(
    p_channel    in varchar2,
    p_event_name in varchar2,
    p_payload    in clob,
    p_on_error   in varchar2 default null,
    p_source     in varchar2 default 'PLSQL'
  ) is
  begin
    broadcast_item(
      p_api_key    => null,
      p_base_url   => null,
      p_channel    => p_channel,
      p_event_name => p_event_name,
      p_payload    => p_payload,
      p_on_error   => p_on_error,
      p_source     => p_source
    );
  end broadcast;

  $if dbms_db_version.version >= 21 $then
  procedure broadcast_json(
    p_channel    in varchar2,
    p_event_name in varchar2,
    p_payload    in json,
    p_on_error   in varchar2 default null,
    p_source     in varchar2 default 'PLSQL'
  ) is
    l_payload clob;
  begin
    if p_payload is not null then
      select json_serialize(p_payload returning clob) into l_payload from dual;
    end if;
    broadcast(p_channel, p_event_name, l_payload, p_on_error, p_source);
  end broadcast_json;
  $end

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
    p_user     in varchar2 default null,
    p_ttl_s    in number   default null
  ) return varchar2 is
    l_user     varchar2(4000) := apex_user(p_user);
    l_ttl_s    number := p_ttl_s;
    l_index    pls_integer := p_channels.first;
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
    while l_index is not null loop
      rtm_text.check_name(p_channels(l_index), 'p_channels', p_prefix_allowed => true);
      l_index := p_channels.next(l_index);
    end loop;
    return rtm_token.sign(l_user, p_channels, l_ttl_s);
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

  function install_check return clob is
  begin
    return rtm_admin.install_check;
  end install_check;
end websocket_api;
/
