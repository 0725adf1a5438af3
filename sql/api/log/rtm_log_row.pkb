create or replace package body rtm_log_row as
  c_refused_units constant pls_integer := 4000;

  function app_user return varchar2 is
  begin
    return rtm_text.fit(
      coalesce(sys_context('APEX$SESSION', 'APP_USER'), sys_context('USERENV', 'SESSION_USER')),
      255
    );
  end app_user;

  function new_row(p_source in varchar2, p_channel in varchar2, p_event_name in varchar2)
    return rtm_log%rowtype
  is
    l_row rtm_log%rowtype;
  begin
    l_row.ts          := systimestamp;
    l_row.source      := rtm_text.fit(p_source, 30);
    l_row.channel     := rtm_text.fit(p_channel, 128);
    l_row.event_name  := rtm_text.fit(p_event_name, 128);
    l_row.app_user    := app_user;
    l_row.app_session := to_number(sys_context('APEX$SESSION', 'APP_SESSION'));
    $if rtm_features.c_apex $then
      begin
        l_row.app_id      := to_number(v('APP_ID'));
        l_row.app_page_id := to_number(v('APP_PAGE_ID'));
      exception
        when others then
          -- While APEX is being patched its packages are invalid: a row without them, not an error of the
          -- call, whose message may be on its way.
          rtm_text.say('RTM_LOG: no application and page: ' || sqlerrm);
      end;
    $end
    return l_row;
  end new_row;

  function row_of(
    p_message   in rtm_message.t_message,
    p_transport in varchar2,
    p_status    in varchar2
  ) return rtm_log%rowtype is
    l_row rtm_log%rowtype;
  begin
    l_row            := new_row(p_message.source, p_message.channel, p_message.event_name);
    l_row.app_user   := p_message.app_user;
    l_row.message_id := p_message.id;
    l_row.transport  := p_transport;
    l_row.status     := p_status;
    return l_row;
  end row_of;

  function add(p_row in rtm_log%rowtype) return number is
    l_id rtm_log.id%type;
  begin
    -- Every column but the id, which the identity column makes. The payload goes in as it is.
    insert into rtm_log(
      ts, source, channel, event_name, payload_json, http_status, extra_info, error_message,
      message_id, transport, status, app_user, app_session, app_id, app_page_id, delivered_ts, recipients
    ) values (
      p_row.ts, p_row.source, p_row.channel, p_row.event_name, p_row.payload_json, p_row.http_status,
      p_row.extra_info, p_row.error_message, p_row.message_id, p_row.transport, p_row.status,
      p_row.app_user, p_row.app_session, p_row.app_id, p_row.app_page_id, p_row.delivered_ts,
      p_row.recipients
    )
    returning id into l_id;
    return l_id;
  end add;

  -- The last place that is left to tell.
  procedure report(p_row in rtm_log%rowtype, p_error in varchar2) is
  begin
    rtm_text.say(
      'RTM_LOG: ' || p_error || ' while logging ' || p_row.status || ' ' || p_row.message_id || ' '
        || p_row.error_message
    );
  end report;

  procedure note(p_row in rtm_log%rowtype) is
    l_id rtm_log.id%type;
  begin
    l_id := add(p_row);
  exception
    when others then
      report(p_row, sqlerrm);
  end note;

  procedure add_now(p_row in rtm_log%rowtype) is
    pragma autonomous_transaction;
    l_id rtm_log.id%type;
  begin
    l_id := add(p_row);
    commit;
  end add_now;

  procedure try_add_now(p_row in rtm_log%rowtype) is
  begin
    add_now(p_row);
  exception
    when others then
      report(p_row, sqlerrm);
  end try_add_now;

  function kept(p_payload in clob, p_policy in varchar2, p_is_error in boolean) return clob is
  begin
    return case
             when p_policy = 'ALL' or (p_policy = 'ERROR' and p_is_error) then p_payload
           end;
  end kept;

  function kept_refused(p_payload in clob, p_policy in varchar2) return clob is
  begin
    if p_policy = 'NONE' or p_payload is null or dbms_lob.getlength(p_payload) <= c_refused_units then
      return kept(p_payload, p_policy, true);
    end if;
    return to_clob(dbms_lob.substr(p_payload, c_refused_units, 1));
  end kept_refused;
end rtm_log_row;
/
