create or replace package body rtm_relay as
  -- The session that tries a relay again has so many seconds until another may: a connect that hangs
  -- ends with the operating system, after about two minutes.
  c_trial_s  constant pls_integer := 150;
  c_busy_s   constant pls_integer := 60;
  c_silent_s constant pls_integer := 300;

  e_no_autonomous exception;
  pragma exception_init(e_no_autonomous, -164);

  function normalised(p_url in varchar2) return varchar2 is
    l_url   varchar2(32767) := rtrim(trim(p_url), '/');
    l_start pls_integer := instr(l_url, '://') + 3;
    l_end   pls_integer;
    l_host  varchar2(32767);
  begin
    if l_start = 3 or l_url is null then
      return l_url;
    end if;
    l_end := instr(l_url, '/', l_start);
    if l_end = 0 then
      l_end := length(l_url) + 1;
    end if;
    l_host := lower(substr(l_url, 1, l_end - 1));
    if l_host like 'https://%:443' then
      l_host := substr(l_host, 1, length(l_host) - 4);
    elsif l_host like 'http://%:80' then
      l_host := substr(l_host, 1, length(l_host) - 3);
    end if;
    return l_host || substr(l_url, l_end);
  end normalised;

  function begins_with(p_text in varchar2, p_start in varchar2) return boolean is
  begin
    return length(p_text) > length(p_start)
      and rtm_text.same(lower(substr(p_text, 1, length(p_start))), p_start);
  end begins_with;

  procedure check_url(p_url in varchar2, p_allow_http in varchar2) is
  begin
    if p_url is null or begins_with(p_url, 'https://') then
      return;
    end if;
    if begins_with(p_url, 'http://') then
      if p_allow_http = 'Y' then
        return;
      end if;
      raise_application_error(
        -20103,
        'base_url must begin with https://; for plain http inside a trusted network set allow_http to Y'
      );
    end if;
    raise_application_error(-20103, 'base_url must begin with https://');
  end check_url;

  procedure resolve(
    p_base_url in  varchar2,
    p_api_key  in  varchar2,
    p_settings in  rtm_config%rowtype,
    p_url      out varchar2,
    p_key      out varchar2
  ) is
    l_configured varchar2(1000) := normalised(p_settings.base_url);
    l_url        varchar2(32767) := coalesce(normalised(p_base_url), l_configured);
    l_key        varchar2(32767) := trim(p_api_key);
  begin
    rtm_config_api.check_database;
    if l_url is null then
      raise_application_error(-20103, 'No relay URL: set base_url with RTM_CONFIG_API.SET_VALUE');
    end if;
    check_url(l_url, p_settings.allow_http);
    if lengthb(l_url) > 1000 or lengthb(l_key) > 1000 then
      raise_application_error(-20103, 'p_base_url and p_api_key must not be longer than 1000 bytes');
    end if;
    if l_key is null then
      if not rtm_text.same(l_url, l_configured) then
        -- The key in the settings belongs to the URL in the settings.
        raise_application_error(-20103, 'p_base_url is not the configured URL: give p_api_key with it');
      end if;
      l_key := p_settings.api_key;
    end if;
    p_url := l_url;
    p_key := l_key;
  end resolve;

  function delivery_name(p_base_url in varchar2, p_settings in rtm_config%rowtype) return varchar2 is
    l_url varchar2(32767) := normalised(p_base_url);
  begin
    if l_url is null or rtm_text.same(l_url, normalised(p_settings.base_url)) then
      return c_configured;
    end if;
    return l_url;
  end delivery_name;

  -- Takes the next try of a relay whose pause is over, unless another session has it already.
  function take_trial(p_url in varchar2, p_retry_utc in timestamp) return boolean is
    pragma autonomous_transaction;
    l_retry timestamp(6) := rtm_text.now_utc + numtodsinterval(c_trial_s, 'SECOND');
    l_taken boolean := true;
  begin
    update rtm_relay_state
    set retry_utc = l_retry
    where url = p_url
      and retry_utc = p_retry_utc;
    if sql%rowcount = 0 then
      l_taken := false;
    end if;
    commit;
    return l_taken;
  end take_trial;

  function enter(p_url in varchar2, p_also_busy in boolean) return boolean is
    l_state rtm_relay_state%rowtype;
  begin
    select * into l_state from rtm_relay_state where url = p_url;
    if l_state.failures = 0 or (l_state.is_silent = 'N' and not p_also_busy) then
      return true;
    end if;
    if l_state.retry_utc > rtm_text.now_utc then
      return false;
    end if;
    return take_trial(p_url, l_state.retry_utc);
  exception
    when no_data_found then
      return true;
    when e_no_autonomous then
      -- In a transaction of an XA monitor nothing can be written beside it: no protection there.
      return true;
  end enter;

  procedure write_state(p_url in varchar2, p_failures in number, p_silent in varchar2, p_error in varchar2) is
    pragma autonomous_transaction;
    l_now     timestamp(6) := rtm_text.now_utc;
    l_pause_s number := 0;
    l_retry   timestamp(6);
  begin
    if p_failures > 0 then
      l_pause_s := least(
        power(2, least(p_failures, 10)),
        case when p_silent = 'Y' then c_silent_s else c_busy_s end
      );
    end if;
    l_retry := l_now + numtodsinterval(l_pause_s, 'SECOND');
    update rtm_relay_state
    set failures    = p_failures,
        is_silent   = p_silent,
        retry_utc   = l_retry,
        last_error  = p_error,
        changed_utc = l_now
    where url = p_url;
    if sql%rowcount = 0 then
      insert into rtm_relay_state(url, failures, is_silent, retry_utc, last_error, changed_utc)
      values (p_url, p_failures, p_silent, l_retry, p_error, l_now);
    end if;
    commit;
  exception
    when dup_val_on_index then
      -- Another session has just written the same failure.
      rollback;
  end write_state;

  function is_transient(p_status in number) return boolean is
  begin
    return p_status is null or p_status in (408, 429) or p_status >= 500;
  end is_transient;

  procedure report(p_url in varchar2, p_status in number, p_error in varchar2) is
    l_failures rtm_relay_state.failures%type;
  begin
    select coalesce(max(failures), 0) into l_failures from rtm_relay_state where url = p_url;
    if is_transient(p_status) then
      write_state(
        p_url,
        l_failures + 1,
        case when p_status is null then 'Y' else 'N' end,
        rtm_text.fit(case when p_status is not null then 'HTTP status ' || p_status || ' ' end || p_error, 1000)
      );
    elsif l_failures > 0 then
      write_state(p_url, 0, 'N', null);
    end if;
  exception
    when e_no_autonomous then
      rtm_text.say('RTM_RELAY: the state of ' || p_url || ' cannot be kept in an XA transaction.');
  end report;

  function summary return varchar2 is
    l_text varchar2(4000);
  begin
    for relay in (
      select url, failures, retry_utc, last_error
      from rtm_relay_state
      where failures > 0
      order by url
    ) loop
      l_text := rtm_text.fit(
        l_text || case when l_text is not null then '; ' end || relay.url || ' failed ' || relay.failures
          || ' times, next try ' || to_char(relay.retry_utc, rtm_text.c_iso_s, rtm_text.c_gregorian) || 'Z: '
          || relay.last_error,
        4000
      );
    end loop;
    return l_text;
  end summary;
end rtm_relay;
/
