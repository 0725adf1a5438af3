create or replace package body rtm_token as
  c_max_patterns   constant pls_integer := 100;
  c_max_info_bytes constant pls_integer := 512;
  -- What base64url takes.
  c_max_claims_bytes constant pls_integer := 16000;
  -- HMAC (RFC 2104) with SHA-256: bytes of a block.
  c_block_bytes constant pls_integer := 64;

  function possible return boolean is
  begin
    return rtm_features.c_crypto or rtm_features.c_apex_jwt;
  end possible;

  procedure refuse(p_parameter in varchar2, p_problem in varchar2) is
  begin
    raise_application_error(-20106, p_parameter || ' ' || p_problem);
  end refuse;

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

  -- Checked names, of which each may end in *. p_parameter is named in errors.
  function patterns(p_patterns in websocket_api.t_channels, p_parameter in varchar2) return json_array_t is
    l_list  json_array_t := json_array_t();
    l_index pls_integer := p_patterns.first;
  begin
    if p_patterns.count > c_max_patterns then
      refuse(p_parameter, 'must hold at most ' || c_max_patterns || ' names');
    end if;
    while l_index is not null loop
      rtm_text.check_name(p_patterns(l_index), p_parameter, p_prefix_allowed => true);
      l_list.append(p_patterns(l_index));
      l_index := p_patterns.next(l_index);
    end loop;
    return l_list;
  end patterns;

  function member_info(p_info in varchar2) return json_object_t is
    c_parameter constant varchar2(30) := 'p_options.member_info';
    l_info  json_object_t;
    l_bytes pls_integer := rtm_text.utf8_bytes(p_info);
  begin
    if l_bytes > c_max_info_bytes then
      refuse(c_parameter, 'has ' || l_bytes || ' bytes of UTF-8; at most ' || c_max_info_bytes || ' are allowed');
    end if;
    if not rtm_text.is_json(p_info)
      or substr(ltrim(p_info, ' ' || chr(9) || chr(10) || chr(13)), 1, 1) <> '{'
    then
      refuse(c_parameter, 'must be a JSON object such as {"name":"Scott"}');
    end if;
    l_info  := json_object_t.parse(p_info);
    -- As the token writes it: a number such as 1E40 can get longer.
    l_bytes := rtm_text.utf8_bytes(l_info.to_string);
    if l_bytes > c_max_info_bytes then
      refuse(c_parameter, 'has ' || l_bytes || ' bytes when it is written in full; at most ' || c_max_info_bytes
        || ' are allowed');
    end if;
    return l_info;
  end member_info;

  -- The claim presence; null when nothing of it is granted.
  function presence(p_options in websocket_api.t_token_options) return json_object_t is
    l_presence json_object_t := json_object_t();
  begin
    if p_options.member_info is not null and p_options.presence_join.count = 0 then
      refuse('p_options.member_info', 'says who joins: set p_options.presence_join too');
    end if;
    if p_options.presence_join.count = 0 and p_options.presence_watch.count = 0 then
      return null;
    end if;
    if p_options.presence_join.count > 0 then
      l_presence.put('join', patterns(p_options.presence_join, 'p_options.presence_join'));
    end if;
    if p_options.presence_watch.count > 0 then
      l_presence.put('watch', patterns(p_options.presence_watch, 'p_options.presence_watch'));
    end if;
    if p_options.member_info is not null then
      l_presence.put('info', member_info(p_options.member_info));
    end if;
    return l_presence;
  end presence;

  -- One round of HMAC: the padded key, changed by p_pad, before the text.
  function keyed_hash(p_key in raw, p_pad in varchar2, p_text in raw) return raw is
    l_block raw(2000);
    l_hash  raw(32);
  begin
    l_block := utl_raw.concat(
      utl_raw.bit_xor(
        utl_raw.concat(p_key, utl_raw.copies(hextoraw('00'), c_block_bytes - utl_raw.length(p_key))),
        utl_raw.copies(hextoraw(p_pad), c_block_bytes)
      ),
      p_text
    );
    -- In SQL, where no grant is needed for it.
    select standard_hash(l_block, 'SHA256') into l_hash from dual;
    return l_hash;
  end keyed_hash;

  function session_claim(p_session in number) return varchar2 is
    l_key  raw(32) := rtm_config_api.session_key;
    l_text raw(200) := rtm_text.utf8('apex-rtm session ' || to_char(p_session, 'fm99999999999999999999999999999999999990'));
  begin
    return lower(rawtohex(utl_raw.substr(keyed_hash(l_key, '5C', keyed_hash(l_key, '36', l_text)), 1, 16)));
  end session_claim;

  -- Names under which APEX runs pages for whoever has not logged in: no token of theirs stands for one
  -- person. (APEX_AUTHENTICATION.IS_PUBLIC_USER knows the first three; the others are pools of ORDS.)
  function is_public(p_user in varchar2) return boolean is
  begin
    return upper(p_user) in ('NOBODY', 'PUBLIC', 'APEX_PUBLIC_USER', 'ANONYMOUS', 'ORDS_PUBLIC_USER');
  end is_public;

  -- Everything but sub and the times.
  function claims(
    p_user     in varchar2,
    p_channels in websocket_api.t_channels,
    p_options  in websocket_api.t_token_options
  ) return json_object_t is
    l_claims   json_object_t := json_object_t();
    l_presence json_object_t := presence(p_options);
    l_session  number := to_number(sys_context('APEX$SESSION', 'APP_SESSION'));
  begin
    l_claims.put('jti', lower(rawtohex(sys_guid())));
    if not is_public(p_user) then
      l_claims.put('self', websocket_api.user_channel(p_user));
    end if;
    if l_session is not null then
      l_claims.put('sid', session_claim(l_session));
    end if;
    if l_presence is not null then
      l_claims.put('presence', l_presence);
    end if;
    if p_options.publish.count > 0 then
      l_claims.put('publish', patterns(p_options.publish, 'p_options.publish'));
    end if;
    l_claims.put('channels', patterns(p_channels, 'p_channels'));
    return l_claims;
  end claims;

  function claims_utf8(p_claims in json_object_t) return raw is
    l_text clob := p_claims.to_clob;
    l_blob blob;
    l_raw  raw(32767);
  begin
    l_blob := rtm_text.utf8_blob(l_text);
    rtm_text.free(l_text);
    if dbms_lob.getlength(l_blob) <= c_max_claims_bytes then
      l_raw := dbms_lob.substr(l_blob, c_max_claims_bytes, 1);
    end if;
    rtm_text.free(l_blob);
    if l_raw is null then
      refuse('p_channels', 'and the lists of p_options are too long together: use fewer, or prefixes with *');
    end if;
    return l_raw;
  end claims_utf8;

  $if rtm_features.c_crypto $then
  function sign_crypto(
    p_secret in rtm_token_secret%rowtype,
    p_user   in varchar2,
    p_claims in json_object_t,
    p_ttl_s  in number
  ) return varchar2 is
    l_header json_object_t := json_object_t();
    l_claims json_object_t := p_claims;
    l_now_s  number := floor(rtm_text.epoch_ms / 1000);
    l_input  varchar2(32767);
  begin
    l_header.put('alg', 'HS256');
    l_header.put('typ', 'JWT');
    l_header.put('kid', p_secret.kid);
    l_claims.put('sub', p_user);
    l_claims.put('iat', l_now_s);
    l_claims.put('exp', l_now_s + p_ttl_s);
    l_input := rtm_text.base64url(rtm_text.utf8(l_header.to_string)) || '.'
      || rtm_text.base64url(claims_utf8(l_claims));
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
    p_secret in rtm_token_secret%rowtype,
    p_user   in varchar2,
    p_claims in json_object_t,
    p_ttl_s  in number
  ) return varchar2 is
    l_text varchar2(32767) := utl_i18n.raw_to_char(claims_utf8(p_claims), 'AL32UTF8');
  begin
    -- It writes iat by itself: now.
    return apex_jwt.encode(
      p_sub           => p_user,
      p_exp_sec       => p_ttl_s,
      -- The members without the braces.
      p_other_claims  => substr(l_text, 2, length(l_text) - 2),
      p_signature_key => rtm_text.utf8(p_secret.secret)
    );
  end sign_apex;
  $end

  function sign(
    p_user     in varchar2,
    p_channels in websocket_api.t_channels,
    p_options  in websocket_api.t_token_options,
    p_ttl_s    in number
  ) return varchar2 is
    l_secret rtm_token_secret%rowtype;
    l_claims json_object_t;
  begin
    rtm_config_api.check_database;
    l_secret := current_secret;
    l_claims := claims(p_user, p_channels, p_options);
    $if rtm_features.c_crypto $then
      return sign_crypto(l_secret, p_user, l_claims, p_ttl_s);
    $elsif rtm_features.c_apex_jwt $then
      return sign_apex(l_secret, p_user, l_claims, p_ttl_s);
    $else
      raise_application_error(-20112, 'Tokens need EXECUTE on DBMS_CRYPTO, or APEX (APEX_JWT)');
    $end
  end sign;
end rtm_token;
/
