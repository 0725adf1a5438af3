create or replace package body rtm_sender as
  -- A run ends after so many messages for one relay; the job starts the next one two seconds later.
  c_messages_per_run constant pls_integer := 500;

  procedure put(p_row in rtm_log%rowtype, p_base_url in varchar2, p_api_key in varchar2) is
    l_id number;
  begin
    -- What can be known now is refused now, not by the job.
    rtm_http.check_call(p_base_url, p_api_key);
    l_id := rtm_log_row.add(p_row);
    insert into rtm_outbox(log_id, base_url, api_key)
    values (l_id, trim(p_base_url), trim(p_api_key));
  end put;

  -- Worth another try: not reached, busy, or a failure of the relay.
  function is_transient(p_status in number) return boolean is
  begin
    return p_status is null or p_status in (408, 429) or p_status >= 500;
  end is_transient;

  procedure send_now(
    p_row      in rtm_log%rowtype,
    p_ts_ms    in number,
    p_base_url in varchar2,
    p_api_key  in varchar2
  ) is
    l_row      rtm_log%rowtype := p_row;
    l_settings rtm_config%rowtype := rtm_config_api.settings;
    l_body     varchar2(4000);
  begin
    rtm_http.send(
      p_base_url   => p_base_url,
      p_api_key    => p_api_key,
      p_channel    => l_row.channel,
      p_event_name => l_row.event_name,
      p_payload    => l_row.payload_json,
      p_message_id => l_row.message_id,
      p_ts_ms      => p_ts_ms,
      p_status     => l_row.http_status,
      p_body       => l_body,
      p_recipients => l_row.recipients
    );
    l_row.status     := case when l_row.http_status = 200 then 'SENT' else 'FAILED' end;
    l_row.extra_info := l_body;
    if l_row.status = 'SENT' then
      l_row.payload_json := rtm_log_row.kept(p_row.payload_json, l_settings.log_payload, false);
      rtm_log_row.add_now(l_row);
    else
      -- The caller logs it, with the payload, by its error policy.
      raise_application_error(
        -20113,
        'The relay did not take the message: '
          || case when l_row.http_status is not null then 'HTTP status ' || l_row.http_status || ' ' end
          || substr(l_body, 1, 500)
      );
    end if;
  end send_now;

  procedure settle(
    p_log_id     in number,
    p_status     in varchar2,
    p_http       in number,
    p_body       in varchar2,
    p_recipients in number,
    p_policy     in varchar2
  ) is
    l_is_error boolean := p_status = 'FAILED';
    l_keep     number := case
                           when p_policy = 'ALL' or (p_policy = 'ERROR' and l_is_error) then 1
                           else 0
                         end;
    l_error    rtm_log.error_message%type;
  begin
    if l_is_error then
      l_error := rtm_text.fit('Not sent: ' || p_body, 4000);
    end if;
    update rtm_log
    set status        = p_status,
        http_status   = p_http,
        extra_info    = p_body,
        error_message = l_error,
        recipients    = p_recipients,
        payload_json  = case when l_keep = 1 then payload_json end
    where id = p_log_id;
    delete from rtm_outbox where log_id = p_log_id;
  end settle;

  -- Sends one message and settles it, or puts it off. False when the relay cannot take it now.
  function sent(
    p_outbox   in rtm_outbox%rowtype,
    p_log      in rtm_log%rowtype,
    p_settings in rtm_config%rowtype
  ) return boolean is
    l_status     number;
    l_body       varchar2(4000);
    l_recipients number;
    l_seconds    number;
  begin
    begin
      rtm_http.send(
        p_base_url   => p_outbox.base_url,
        p_api_key    => p_outbox.api_key,
        p_channel    => p_log.channel,
        p_event_name => p_log.event_name,
        p_payload    => p_log.payload_json,
        p_message_id => p_log.message_id,
        p_ts_ms      => rtm_text.epoch_ms(p_log.ts),
        p_status     => l_status,
        p_body       => l_body,
        p_recipients => l_recipients
      );
    exception
      when others then
        -- Bad URL, clone: no status, kept until it expires or somebody mends the settings.
        l_status := null;
        l_body   := rtm_text.fit(sqlerrm, 4000);
    end;
    if l_status = 200 then
      settle(p_log.id, 'SENT', l_status, l_body, l_recipients, p_settings.log_payload);
      return true;
    end if;
    if not is_transient(l_status)
      or p_outbox.created_ts < systimestamp - numtodsinterval(p_settings.expiration_s, 'SECOND')
    then
      settle(p_log.id, 'FAILED', l_status, l_body, null, p_settings.log_payload);
      return true;
    end if;
    -- 2, 4, 8 ... 60 seconds.
    l_seconds := least(60, power(2, least(p_outbox.attempts + 1, 10)));
    update rtm_outbox
    set attempts    = attempts + 1,
        next_try_ts = systimestamp + numtodsinterval(l_seconds, 'SECOND')
    where log_id = p_log.id;
    update rtm_log set extra_info = l_body, http_status = l_status where id = p_log.id;
    return false;
  end sent;

  -- The messages for one URL ('-' for the configured one), in order. The first that must wait holds
  -- back those behind it: they must not overtake.
  procedure run_relay(p_url in varchar2, p_settings in rtm_config%rowtype) is
    l_outbox rtm_outbox%rowtype;
    l_log    rtm_log%rowtype;
    l_sent   boolean := true;
  begin
    for i in 1 .. c_messages_per_run loop
      select *
      into l_outbox
      from rtm_outbox
      where log_id = (select min(log_id) from rtm_outbox where coalesce(base_url, '-') = p_url)
      for update skip locked;
      if l_outbox.next_try_ts > systimestamp then
        l_sent := false;
      else
        select * into l_log from rtm_log where id = l_outbox.log_id;
        l_sent := sent(l_outbox, l_log, p_settings);
      end if;
      commit;
      exit when not l_sent;
    end loop;
  exception
    when no_data_found then
      -- Nothing is left, or another run has the row. Ends the transaction that looked.
      commit;
  end run_relay;

  procedure run is
    l_settings rtm_config%rowtype := rtm_config_api.settings;
  begin
    for relay in (select distinct coalesce(base_url, '-') as url from rtm_outbox) loop
      run_relay(relay.url, l_settings);
    end loop;
  end run;
end rtm_sender;
/
