create or replace package body rtm_sender as
  -- A run ends after so many messages for one relay; the job starts the next one two seconds later.
  c_messages_per_run constant pls_integer := 500;
  c_slice            constant pls_integer := 500;

  procedure put(
    p_message  in out nocopy rtm_message.t_message,
    p_settings in rtm_config%rowtype,
    p_base_url in varchar2,
    p_api_key  in varchar2
  ) is
    l_url   varchar2(1000);
    l_key   varchar2(1000);
    l_relay rtm_delivery.relay%type;
    l_body  blob;
    l_until rtm_delivery.expires_utc%type;
  begin
    rtm_relay.resolve(p_base_url, p_api_key, p_settings, l_url, l_key);
    p_message.id := lower(rawtohex(sys_guid()));
    l_relay      := rtm_relay.delivery_name(p_base_url, p_settings);
    l_body       := rtm_text.utf8_blob(p_message.payload);
    l_until      := rtm_text.now_utc + numtodsinterval(p_settings.expiration_s, 'SECOND');
    l_key        := trim(p_api_key);
    insert into rtm_delivery(
      id, expires_utc, body, channel, event_name, ts_ms, source, app_user, relay, api_key, seq,
      retain_s
    ) values (
      p_message.id, l_until, l_body, p_message.channel, p_message.event_name, p_message.ts_ms,
      p_message.source, p_message.app_user, l_relay, l_key, rtm_delivery_seq.nextval,
      p_message.retain_s
    );
    rtm_text.free(l_body);
  exception
    when others then
      rtm_text.free(l_body);
      raise;
  end put;

  function message_of(p_delivery in rtm_delivery%rowtype) return rtm_message.t_message is
    l_message rtm_message.t_message;
  begin
    l_message.id         := p_delivery.id;
    l_message.channel    := p_delivery.channel;
    l_message.event_name := p_delivery.event_name;
    l_message.payload    := rtm_text.utf8_text(p_delivery.body);
    l_message.ts_ms      := p_delivery.ts_ms;
    l_message.source     := p_delivery.source;
    l_message.app_user   := p_delivery.app_user;
    l_message.retain_s   := p_delivery.retain_s;
    return l_message;
  end message_of;

  procedure send_now(
    p_message  in out nocopy rtm_message.t_message,
    p_settings in rtm_config%rowtype,
    p_base_url in varchar2,
    p_api_key  in varchar2
  ) is
    l_url        varchar2(1000);
    l_key        varchar2(1000);
    l_status     number;
    l_body       varchar2(4000);
    l_recipients number;
    l_row        rtm_log%rowtype;
  begin
    rtm_relay.resolve(p_base_url, p_api_key, p_settings, l_url, l_key);
    if not rtm_relay.enter(l_url, p_also_busy => false) then
      raise_application_error(
        -20114,
        'The relay ' || l_url || ' did not answer lately and is left alone for a while; see RTM_STATUS.RELAYS'
      );
    end if;
    p_message.id := lower(rawtohex(sys_guid()));
    rtm_http.send(l_url, l_key, p_settings, p_message, l_status, l_body, l_recipients);
    rtm_relay.report(l_url, l_status, l_body);
    if l_status = 200 then
      if p_settings.log_messages = 'Y' then
        l_row              := rtm_log_row.row_of(p_message, 'HTTP', 'SENT');
        l_row.http_status  := l_status;
        l_row.extra_info   := l_body;
        l_row.recipients   := l_recipients;
        l_row.payload_json := rtm_log_row.kept(p_message.payload, p_settings.log_payload, false);
        rtm_log_row.try_add_now(l_row);
      end if;
    else
      -- The caller logs it, with the payload, by its error policy.
      raise_application_error(
        -20113,
        'The relay did not take the message: '
          || case when l_status is not null then 'HTTP status ' || l_status || ' ' end
          || substr(l_body, 1, 500)
      );
    end if;
  end send_now;

  -- Removes a delivery with its outcome in the log; nothing when another run was faster.
  procedure settle(
    p_delivery   in rtm_delivery%rowtype,
    p_status     in varchar2,
    p_http       in number,
    p_body       in varchar2,
    p_recipients in number,
    p_settings   in rtm_config%rowtype
  ) is
    l_is_error boolean := p_status = 'FAILED';
    l_message  rtm_message.t_message;
    l_row      rtm_log%rowtype;
  begin
    delete from rtm_delivery where id = p_delivery.id;
    if sql%rowcount = 0 or (not l_is_error and p_settings.log_messages = 'N') then
      return;
    end if;
    l_message          := message_of(p_delivery);
    l_row              := rtm_log_row.row_of(l_message, 'HTTP_DEFERRED', p_status);
    l_row.http_status  := p_http;
    l_row.extra_info   := p_body;
    l_row.recipients   := p_recipients;
    l_row.payload_json := rtm_log_row.kept(l_message.payload, p_settings.log_payload, l_is_error);
    if l_is_error then
      l_row.error_message := rtm_text.fit('Not sent: ' || p_body, 4000);
    end if;
    rtm_log_row.note(l_row);
  end settle;

  procedure expire(p_delivery in rtm_delivery%rowtype, p_settings in rtm_config%rowtype) is
  begin
    settle(
      p_delivery,
      'FAILED',
      null,
      'expired after ' || p_delivery.attempts || ' attempts (setting expiration_s)',
      null,
      p_settings
    );
  end expire;

  -- Before anything is sent: what has expired costs no attempt, however long the outage was.
  procedure expire_all(p_settings in rtm_config%rowtype) is
    l_now   timestamp(6) := rtm_text.now_utc;
    l_found pls_integer;
  begin
    loop
      l_found := 0;
      for delivery in (
        select *
        from rtm_delivery
        where expires_utc <= l_now
          and relay is not null
          and rownum <= c_slice
      ) loop
        expire(delivery, p_settings);
        l_found := l_found + 1;
      end loop;
      commit;
      exit when l_found < c_slice;
    end loop;
  end expire_all;

  -- Sends one message and settles it, or leaves it where it is. False when the relay cannot take it now.
  function sent(p_delivery in rtm_delivery%rowtype, p_settings in rtm_config%rowtype) return boolean is
    l_url        varchar2(1000);
    l_key        varchar2(1000);
    l_status     number;
    l_body       varchar2(4000);
    l_recipients number;
    l_message    rtm_message.t_message;
  begin
    begin
      rtm_relay.resolve(
        case when not rtm_text.same(p_delivery.relay, rtm_relay.c_configured) then p_delivery.relay end,
        p_delivery.api_key, p_settings, l_url, l_key
      );
      if not rtm_relay.enter(l_url, p_also_busy => true) then
        return false;
      end if;
      l_message := message_of(p_delivery);
      rtm_http.send(l_url, l_key, p_settings, l_message, l_status, l_body, l_recipients);
    exception
      when others then
        -- Bad URL, clone: no status, kept until it expires or somebody mends the settings.
        l_status := null;
        l_body   := rtm_text.fit(sqlerrm, 4000);
    end;
    rtm_relay.report(coalesce(l_url, p_delivery.relay), l_status, l_body);
    if l_status = 200 then
      settle(p_delivery, 'SENT', l_status, l_body, l_recipients, p_settings);
      return true;
    end if;
    if not rtm_relay.is_transient(l_status) then
      settle(p_delivery, 'FAILED', l_status, l_body, null, p_settings);
      return true;
    end if;
    update rtm_delivery set attempts = attempts + 1 where id = p_delivery.id;
    return false;
  end sent;

  -- The messages of one relay, in order. The first that must wait holds back those behind it: they
  -- must not overtake.
  procedure run_relay(p_relay in varchar2, p_settings in rtm_config%rowtype) is
    l_delivery rtm_delivery%rowtype;
    l_sent     boolean := true;
  begin
    for i in 1 .. c_messages_per_run loop
      select *
      into l_delivery
      from rtm_delivery
      where relay = p_relay
        and seq = (select min(d.seq) from rtm_delivery d where d.relay = p_relay)
      for update skip locked;
      if l_delivery.expires_utc <= rtm_text.now_utc then
        expire(l_delivery, p_settings);
      else
        l_sent := sent(l_delivery, p_settings);
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
    expire_all(l_settings);
    for delivery in (select distinct relay from rtm_delivery where relay is not null) loop
      run_relay(delivery.relay, l_settings);
    end loop;
  end run;
end rtm_sender;
/
