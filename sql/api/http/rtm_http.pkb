create or replace package body rtm_http as
  function possible return boolean is
  begin
    return rtm_features.c_mle or rtm_features.c_utl_http;
  end possible;

  procedure check_url(p_url in varchar2, p_allow_http in varchar2) is
  begin
    if p_url is null or lower(p_url) like 'https://_%' then
      return;
    end if;
    if lower(p_url) like 'http://_%' then
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

  -- The URL and key of a call: those given, or the configured ones.
  procedure resolve(
    p_base_url in  varchar2,
    p_api_key  in  varchar2,
    p_settings in  rtm_config%rowtype,
    p_url      out varchar2,
    p_key      out varchar2
  ) is
  begin
    rtm_config_api.check_database;
    p_url := coalesce(rtrim(trim(p_base_url), '/'), p_settings.base_url);
    p_key := trim(p_api_key);
    if p_url is null then
      raise_application_error(-20103, 'No relay URL: set base_url with RTM_CONFIG_API.SET_VALUE');
    end if;
    check_url(p_url, p_settings.allow_http);
    if p_key is null then
      if p_settings.base_url is null or p_url <> p_settings.base_url then
        -- The key in the settings belongs to the URL in the settings.
        raise_application_error(-20103, 'p_base_url is not the configured URL: give p_api_key with it');
      end if;
      p_key := p_settings.api_key;
    end if;
  end resolve;

  procedure check_call(p_base_url in varchar2, p_api_key in varchar2) is
    l_base_url varchar2(32767);
    l_api_key  varchar2(32767);
  begin
    resolve(p_base_url, p_api_key, rtm_config_api.settings, l_base_url, l_api_key);
    if lengthb(l_base_url) > 1000 or lengthb(l_api_key) > 1000 then
      raise_application_error(-20103, 'p_base_url and p_api_key must not be longer than 1000 bytes');
    end if;
  end check_call;

  $if rtm_features.c_mle $then
  procedure send_mle(
    p_base_url   in  varchar2,
    p_api_key    in  varchar2,
    p_timeout_s  in  number,
    p_channel    in  varchar2,
    p_event_name in  varchar2,
    p_payload    in  clob,
    p_message_id in  varchar2,
    p_ts_ms      in  number,
    p_status     out number,
    p_body       out nocopy varchar2
  ) is
    l_answer varchar2(32767);
  begin
    -- Never raises for the relay's sake: a failed fetch is an answer without a status.
    l_answer := websocket_send_broadcast(
      p_api_key    => p_api_key,
      p_base_url   => p_base_url,
      p_channel    => p_channel,
      p_event_name => p_event_name,
      p_payload    => p_payload,
      p_message_id => p_message_id,
      p_ts_ms      => p_ts_ms,
      p_timeout_s  => p_timeout_s
    );
    select json_value(l_answer, '$.status' returning number),
           json_value(l_answer, '$.body' returning varchar2(4000) null on error)
    into p_status, p_body
    from dual;
  end send_mle;
  $elsif rtm_features.c_utl_http $then
  -- The body's bytes. The payload's text goes in unchanged; it is known to be JSON.
  function request_body(
    p_channel    in varchar2,
    p_event_name in varchar2,
    p_payload    in clob,
    p_message_id in varchar2,
    p_ts_ms      in number
  ) return blob is
    l_members varchar2(4000);
  begin
    select json_object(
             'channel' value p_channel,
             'eventName' value p_event_name,
             'id' value p_message_id,
             'ts' value p_ts_ms
             absent on null
             returning varchar2(4000)
           )
    into l_members
    from dual;
    return rtm_text.utf8_blob(
      to_clob(substr(l_members, 1, length(l_members) - 1) || ',"payload":') || p_payload || '}'
    );
  end request_body;

  procedure write_body(p_request in out nocopy utl_http.req, p_body in blob) is
    c_chunk_bytes constant pls_integer := 32000;
    l_offset number := 1;
  begin
    while l_offset <= dbms_lob.getlength(p_body) loop
      utl_http.write_raw(r => p_request, data => dbms_lob.substr(p_body, c_chunk_bytes, l_offset));
      l_offset := l_offset + c_chunk_bytes;
    end loop;
  end write_body;

  function read_body(p_response in out nocopy utl_http.resp) return varchar2 is
    l_text  varchar2(32767);
    l_piece varchar2(4000);
  begin
    while l_text is null or length(l_text) < 4000 loop
      utl_http.read_text(r => p_response, data => l_piece, len => 1000);
      l_text := l_text || l_piece;
    end loop;
    return rtm_text.fit(l_text, 4000);
  exception
    when utl_http.end_of_body then
      return rtm_text.fit(l_text, 4000);
  end read_body;

  -- One request in a context of its own: wallet and cookies end with it. It never raises.
  procedure post(
    p_url       in  varchar2,
    p_api_key   in  varchar2,
    p_settings  in  rtm_config%rowtype,
    p_request   in  blob,
    p_status    out number,
    p_body      out nocopy varchar2
  ) is
    l_context     utl_http.request_context_key;
    l_request     utl_http.req;
    l_response    utl_http.resp;
    l_in_request  boolean := false;
    l_in_response boolean := false;

    -- A request that is left open counts against the session's limit (ORA-29270).
    procedure close_all is
    begin
      if l_in_response then
        utl_http.end_response(r => l_response);
      elsif l_in_request then
        utl_http.end_request(r => l_request);
      end if;
      if l_context is not null then
        utl_http.destroy_request_context(request_context => l_context);
      end if;
    exception
      when others then
        p_body := rtm_text.fit(p_body || dbms_utility.format_error_stack, 4000);
    end close_all;
  begin
    l_context := utl_http.create_request_context(
      wallet_path     => p_settings.wallet_path,
      wallet_password => p_settings.wallet_password,
      enable_cookies  => false
    );
    l_request := utl_http.begin_request(
      url             => p_url,
      method          => 'POST',
      http_version    => 'HTTP/1.1',
      request_context => l_context
    );
    l_in_request := true;
    utl_http.set_header(r => l_request, name => 'Content-Type', value => 'application/json');
    utl_http.set_header(
      r     => l_request,
      name  => 'Content-Length',
      value => to_char(dbms_lob.getlength(p_request))
    );
    utl_http.set_header(r => l_request, name => 'Connection', value => 'close');
    if p_api_key is not null then
      utl_http.set_header(r => l_request, name => 'x-api-key', value => p_api_key);
    end if;
    write_body(l_request, p_request);
    l_response    := utl_http.get_response(r => l_request);
    l_in_request  := false;
    l_in_response := true;
    p_status      := l_response.status_code;
    p_body        := read_body(l_response);
    close_all;
  exception
    when others then
      p_body := rtm_text.fit(dbms_utility.format_error_stack, 4000);
      close_all;
  end post;

  procedure send_utl_http(
    p_base_url   in  varchar2,
    p_api_key    in  varchar2,
    p_settings   in  rtm_config%rowtype,
    p_channel    in  varchar2,
    p_event_name in  varchar2,
    p_payload    in  clob,
    p_message_id in  varchar2,
    p_ts_ms      in  number,
    p_status     out number,
    p_body       out nocopy varchar2
  ) is
    l_request blob;
  begin
    l_request := request_body(p_channel, p_event_name, p_payload, p_message_id, p_ts_ms);
    post(p_base_url || '/api/broadcast', p_api_key, p_settings, l_request, p_status, p_body);
    rtm_text.free(l_request);
  end send_utl_http;
  $end

  procedure send(
    p_base_url   in  varchar2,
    p_api_key    in  varchar2,
    p_channel    in  varchar2,
    p_event_name in  varchar2,
    p_payload    in  clob,
    p_message_id in  varchar2,
    p_ts_ms      in  number,
    p_status     out number,
    p_body       out varchar2,
    p_recipients out number
  ) is
    l_settings rtm_config%rowtype := rtm_config_api.settings;
    l_base_url varchar2(1000);
    l_api_key  varchar2(1000);
    $if rtm_features.c_utl_http $then
    l_timeout_s pls_integer;
    l_check     boolean;

    procedure restore_session is
    begin
      utl_http.set_transfer_timeout(timeout => l_timeout_s);
      utl_http.set_response_error_check(enable => l_check);
    end restore_session;
    $end
  begin
    resolve(p_base_url, p_api_key, l_settings, l_base_url, l_api_key);
    $if rtm_features.c_utl_http $then
      -- For MLE too: its fetch is said to run on the session's UTL_HTTP settings (not verified).
      utl_http.get_transfer_timeout(timeout => l_timeout_s);
      utl_http.get_response_error_check(enable => l_check);
      utl_http.set_transfer_timeout(timeout => l_settings.http_timeout_s);
      utl_http.set_response_error_check(enable => false);
    $end
    begin
      $if rtm_features.c_mle $then
        send_mle(
          l_base_url, l_api_key, l_settings.http_timeout_s, p_channel, p_event_name, p_payload,
          p_message_id, p_ts_ms, p_status, p_body
        );
      $elsif rtm_features.c_utl_http $then
        send_utl_http(
          l_base_url, l_api_key, l_settings, p_channel, p_event_name, p_payload,
          p_message_id, p_ts_ms, p_status, p_body
        );
      $else
        raise_application_error(-20112, 'No way to send HTTP: neither MLE nor EXECUTE on UTL_HTTP');
      $end
    exception
      when others then
        $if rtm_features.c_utl_http $then
          restore_session;
        $end
        raise;
    end;
    $if rtm_features.c_utl_http $then
      restore_session;
    $end
    if p_status = 200 then
      select json_value(p_body, '$.recipients' returning number null on error)
      into p_recipients
      from dual;
    end if;
  end send;
end rtm_http;
/
