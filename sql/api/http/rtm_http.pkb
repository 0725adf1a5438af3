create or replace package body rtm_http as
  function possible return boolean is
  begin
    return rtm_features.c_mle or rtm_features.c_utl_http;
  end possible;

  $if rtm_features.c_mle $then
  e_module_replaced exception;
  pragma exception_init(e_module_replaced, -4106);

  procedure send_mle(
    p_url      in  varchar2,
    p_key      in  varchar2,
    p_settings in  rtm_config%rowtype,
    p_message  in  rtm_message.t_message,
    p_status   out number,
    p_body     out nocopy varchar2
  ) is
    l_answer varchar2(32767);

    -- Never raises for the relay's sake: a failed fetch is an answer without a status.
    function answer return varchar2 is
    begin
      return websocket_send_broadcast(
        p_api_key    => p_key,
        p_base_url   => p_url,
        p_channel    => p_message.channel,
        p_event_name => p_message.event_name,
        p_payload    => p_message.payload,
        p_message_id => p_message.id,
        p_ts_ms      => p_message.ts_ms,
        p_timeout_s  => p_settings.http_timeout_s,
        p_retain_s   => p_message.retain_s
      );
    end answer;
  begin
    begin
      l_answer := answer;
    exception
      when e_module_replaced then
        -- The first call of a session that used the module before it was replaced; it did nothing.
        l_answer := answer;
    end;
    select json_value(l_answer, '$.status' returning number),
           json_value(l_answer, '$.body' returning varchar2(4000) null on error)
    into p_status, p_body
    from dual;
  end send_mle;
  $elsif rtm_features.c_utl_http $then
  -- The body's bytes. The payload's text goes in unchanged; it is known to be JSON.
  function request_body(p_message in rtm_message.t_message) return blob is
    l_members varchar2(4000);
    l_text    clob;
    l_blob    blob;
  begin
    select json_object(
             'channel' value p_message.channel,
             'eventName' value p_message.event_name,
             'id' value p_message.id,
             'ts' value p_message.ts_ms,
             'retain' value p_message.retain_s
             absent on null
             returning varchar2(4000)
           )
    into l_members
    from dual;
    l_text := to_clob(substr(l_members, 1, length(l_members) - 1) || ',"payload":') || p_message.payload || '}';
    l_blob := rtm_text.utf8_blob(l_text);
    rtm_text.free(l_text);
    return l_blob;
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
    p_url      in  varchar2,
    p_key      in  varchar2,
    p_settings in  rtm_config%rowtype,
    p_message  in  rtm_message.t_message,
    p_status   out number,
    p_body     out nocopy varchar2
  ) is
    l_request blob;
  begin
    l_request := request_body(p_message);
    post(p_url || '/api/broadcast', p_key, p_settings, l_request, p_status, p_body);
    rtm_text.free(l_request);
  end send_utl_http;
  $end

  procedure send(
    p_url        in  varchar2,
    p_key        in  varchar2,
    p_settings   in  rtm_config%rowtype,
    p_message    in  rtm_message.t_message,
    p_status     out number,
    p_body       out varchar2,
    p_recipients out number
  ) is
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
    $if rtm_features.c_utl_http $then
      -- For MLE too: its fetch is said to run on the session's UTL_HTTP settings (not verified).
      utl_http.get_transfer_timeout(timeout => l_timeout_s);
      utl_http.get_response_error_check(enable => l_check);
      utl_http.set_transfer_timeout(timeout => p_settings.http_timeout_s);
      utl_http.set_response_error_check(enable => false);
    $end
    begin
      $if rtm_features.c_mle $then
        send_mle(p_url, p_key, p_settings, p_message, p_status, p_body);
      $elsif rtm_features.c_utl_http $then
        send_utl_http(p_url, p_key, p_settings, p_message, p_status, p_body);
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
