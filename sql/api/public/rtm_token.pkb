create or replace package body rtm_token as
  function possible return boolean is
  begin
    return rtm_features.c_crypto or rtm_features.c_apex_jwt;
  end possible;

  function current_secret return rtm_token_secret%rowtype is
    l_secret rtm_token_secret%rowtype;
  begin
    select * into l_secret from rtm_token_secret where is_current = 'Y';
    return l_secret;
  exception
    when no_data_found then
      raise_application_error(
        -20104,
        'No token secret: set the one of the relay with RTM_CONFIG_API.SET_TOKEN_SECRET'
      );
  end current_secret;

  function channel_list(p_channels in websocket_api.t_channels) return json_array_t is
    l_list  json_array_t := json_array_t();
    l_index pls_integer := p_channels.first;
  begin
    while l_index is not null loop
      l_list.append(p_channels(l_index));
      l_index := p_channels.next(l_index);
    end loop;
    return l_list;
  end channel_list;

  -- What base64url takes.
  procedure check_length(p_claims in varchar2) is
  begin
    if rtm_text.utf8_bytes(p_claims) > 16000 then
      raise_application_error(-20106, 'p_channels are too long together: use fewer, or prefixes with *');
    end if;
  end check_length;

  $if rtm_features.c_crypto $then
  function sign_crypto(
    p_secret   in rtm_token_secret%rowtype,
    p_user     in varchar2,
    p_channels in websocket_api.t_channels,
    p_ttl_s    in number
  ) return varchar2 is
    l_header json_object_t := json_object_t();
    l_claims json_object_t := json_object_t();
    l_now_s  number := floor(rtm_text.epoch_ms / 1000);
    l_input  varchar2(32767);
    l_text   varchar2(32767);
  begin
    l_header.put('alg', 'HS256');
    l_header.put('typ', 'JWT');
    l_header.put('kid', p_secret.kid);
    l_claims.put('sub', p_user);
    l_claims.put('iat', l_now_s);
    l_claims.put('exp', l_now_s + p_ttl_s);
    l_claims.put('channels', channel_list(p_channels));
    l_text  := l_claims.to_string;
    check_length(l_text);
    l_input := rtm_text.base64url(rtm_text.utf8(l_header.to_string)) || '.'
      || rtm_text.base64url(rtm_text.utf8(l_text));
    return l_input || '.' || rtm_text.base64url(
      dbms_crypto.mac(
        src => rtm_text.utf8(l_input),
        typ => dbms_crypto.hmac_sh256,
        key => rtm_text.utf8(p_secret.secret)
      )
    );
  end sign_crypto;
  $elsif rtm_features.c_apex_jwt $then
  function sign_apex(
    p_secret   in rtm_token_secret%rowtype,
    p_user     in varchar2,
    p_channels in websocket_api.t_channels,
    p_ttl_s    in number
  ) return varchar2 is
    l_claims json_object_t := json_object_t();
    l_text   varchar2(32767);
  begin
    l_claims.put('channels', channel_list(p_channels));
    l_text := l_claims.to_string;
    check_length(l_text);
    return apex_jwt.encode(
      p_sub           => p_user,
      p_exp_sec       => p_ttl_s,
      -- The members without the braces.
      p_other_claims  => substr(l_text, 2, length(l_text) - 2),
      p_signature_key => rtm_text.utf8(p_secret.secret)
    );
  end sign_apex;
  $end

  function sign(p_user in varchar2, p_channels in websocket_api.t_channels, p_ttl_s in number) return varchar2 is
    l_secret rtm_token_secret%rowtype;
  begin
    rtm_config_api.check_database;
    l_secret := current_secret;
    $if rtm_features.c_crypto $then
      return sign_crypto(l_secret, p_user, p_channels, p_ttl_s);
    $elsif rtm_features.c_apex_jwt $then
      return sign_apex(l_secret, p_user, p_channels, p_ttl_s);
    $else
      raise_application_error(-20112, 'Tokens need EXECUTE on DBMS_CRYPTO, or APEX (APEX_JWT)');
    $end
  end sign;
end rtm_token;
/
