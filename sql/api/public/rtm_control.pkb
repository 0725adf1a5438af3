create or replace package body rtm_control as
  -- A token lives a day at most, by its own exp or by the relay's tokens.maxLifetime. One hour more for
  -- clocks that differ.
  c_life_s constant pls_integer := 90000;

  -- p_name: of the call, for the error.
  procedure check_queue(p_name in varchar2) is
  begin
    if websocket_api.transport <> 'AQ' then
      raise_application_error(
        -20116,
        p_name || ' needs the queue: what it tells the relay cannot go over HTTP yet, and messages go here by '
          || websocket_api.transport || ' (' || websocket_api.transport_reason || ')'
      );
    end if;
  end check_queue;

  -- Enqueues an item. p_body: its JSON object.
  procedure send(p_op in varchar2, p_body in varchar2) is
    l_settings rtm_config%rowtype := rtm_config_api.settings;
    l_row      rtm_log%rowtype;
    l_id       varchar2(32);
  begin
    l_id := rtm_aq.enqueue_control(p_op, p_body);
    if l_settings.log_messages = 'Y' then
      l_row            := rtm_log_row.new_row('CONTROL', null, p_op);
      l_row.message_id := l_id;
      l_row.transport  := 'AQ';
      l_row.status     := 'QUEUED';
      l_row.extra_info := rtm_text.fit(p_body, 4000);
      rtm_log_row.note(l_row);
    end if;
  end send;

  -- Sends a revocation that is in the table under p_id. An error takes it out again: no savepoint is
  -- allowed in a trigger, and the caller may handle the error and go on.
  procedure send_revocation(p_id in number, p_op in varchar2, p_body in varchar2) is
  begin
    send(p_op, p_body);
  exception
    when others then
      delete from rtm_revocation where id = p_id;
      raise;
  end send_revocation;

  function add(
    p_claim   in varchar2,
    p_value   in varchar2,
    p_user    in varchar2,
    p_channel in varchar2
  ) return number is
    l_id     rtm_revocation.id%type;
    l_until  rtm_revocation.until_utc%type := rtm_text.now_utc + numtodsinterval(c_life_s, 'SECOND');
    l_before rtm_revocation.before_ms%type := rtm_text.epoch_ms;
    l_by     rtm_revocation.created_by%type := rtm_log_row.app_user;
  begin
    insert into rtm_revocation(claim, claim_value, user_name, channel, before_ms, until_utc, created_by)
    values (p_claim, p_value, p_user, p_channel, l_before, l_until, l_by)
    returning id into l_id;
    return l_id;
  end add;

  -- Who is meant: by the channel of their own, which tokens carry, and by name for those that do not.
  -- The members may be null; stop is true or absent.
  function user_body(p_user in varchar2, p_channel in varchar2, p_stop in boolean) return varchar2 is
    l_self varchar2(512) := websocket_api.user_channel(p_user);
    l_stop varchar2(5) := case when p_stop then 'true' end;
    l_body varchar2(4000);
  begin
    select json_object(
             'user' value p_user,
             'self' value l_self,
             'channel' value p_channel,
             'stop' value l_stop format json
             absent on null
             returning varchar2(4000)
           )
    into l_body
    from dual;
    return l_body;
  end user_body;

  procedure forget_last(p_channel in varchar2, p_event_name in varchar2) is
    l_event varchar2(32767) := coalesce(p_event_name, 'message');
    l_body  varchar2(4000);
  begin
    rtm_text.check_name(p_channel, 'p_channel');
    rtm_text.check_name(l_event, 'p_event_name');
    check_queue('FORGET_LAST');
    select json_object('channel' value p_channel, 'eventName' value l_event returning varchar2(4000))
    into l_body
    from dual;
    send('forget', l_body);
  end forget_last;

  procedure revoke_user(p_user in varchar2) is
    l_id   rtm_revocation.id%type;
    l_body varchar2(4000);
  begin
    check_queue('REVOKE_USER');
    l_body := user_body(p_user, null, null);
    l_id   := add('SELF', websocket_api.user_channel(p_user), p_user, null);
    send_revocation(l_id, 'revoke', l_body);
  end revoke_user;

  procedure revoke_session(p_session in number) is
    l_id   rtm_revocation.id%type;
    l_sid  varchar2(32);
    l_body varchar2(4000);
  begin
    if p_session is null or p_session <> trunc(p_session) or p_session <= 0 then
      raise_application_error(-20106, 'p_session must be the id of an APEX session; outside of one it is needed');
    end if;
    check_queue('REVOKE_SESSION');
    l_sid := rtm_token.session_claim(p_session);
    l_id  := add('SID', l_sid, null, null);
    select json_object('sid' value l_sid returning varchar2(4000)) into l_body from dual;
    send_revocation(l_id, 'revoke', l_body);
  end revoke_session;

  procedure disconnect_user(p_user in varchar2, p_stop in boolean) is
  begin
    check_queue('DISCONNECT_USER');
    send('disconnect', user_body(p_user, null, p_stop));
  end disconnect_user;

  procedure unsubscribe_user(p_user in varchar2, p_channel in varchar2) is
    l_id   rtm_revocation.id%type;
    l_body varchar2(4000);
  begin
    rtm_text.check_name(p_channel, 'p_channel');
    check_queue('UNSUBSCRIBE_USER');
    l_body := user_body(p_user, p_channel, null);
    l_id   := add('SELF', websocket_api.user_channel(p_user), p_user, p_channel);
    send_revocation(l_id, 'unsubscribe', l_body);
  end unsubscribe_user;

  procedure in_force(
    p_after in  number,
    p_limit in  number,
    p_items out nocopy rtm_text.t_pieces,
    p_next  out number
  ) is
    l_now  rtm_revocation.until_utc%type := rtm_text.now_utc;
    l_item varchar2(4000);
  begin
    p_items.delete;
    for revocation in (
      select *
      from (
        select id, claim, claim_value, user_name, channel, before_ms
        from rtm_revocation
        where id > p_after
          and until_utc > l_now
        order by id
      )
      where rownum <= p_limit
    ) loop
      select json_object(
               'op' value case when revocation.channel is null then 'revoke' else 'unsubscribe' end,
               'user' value revocation.user_name,
               'self' value case when revocation.claim = 'SELF' then revocation.claim_value end,
               'sid' value case when revocation.claim = 'SID' then revocation.claim_value end,
               'channel' value revocation.channel,
               'before' value revocation.before_ms
               absent on null
               returning varchar2(4000)
             )
      into l_item
      from dual;
      p_items(p_items.count + 1) := l_item;
      p_next := revocation.id;
    end loop;
    if p_items.count < p_limit then
      p_next := null;
    end if;
  end in_force;
end rtm_control;
/
