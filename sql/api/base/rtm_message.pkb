create or replace package body rtm_message as
  -- What the relay's encoding adds to a payload at the very most: two names of 128 bytes (256 when
  -- every character is escaped), id, numbers and keys. max_message_bytes counts it, as the relay does.
  c_envelope_bytes constant pls_integer := 1024;

  -- A week.
  c_max_retain_s constant pls_integer := 604800;

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

  function checked(
    p_channel    in varchar2,
    p_event_name in varchar2,
    p_payload    in clob,
    p_source     in varchar2,
    p_settings   in rtm_config%rowtype,
    p_retain_s   in number default null
  ) return t_message is
    l_message t_message;
  begin
    if p_retain_s not between 1 and c_max_retain_s or p_retain_s <> trunc(p_retain_s) then
      raise_application_error(-20106, 'p_retain_s must be a whole number from 1 to ' || c_max_retain_s);
    end if;
    rtm_text.check_name(p_channel, 'p_channel');
    rtm_text.check_name(coalesce(p_event_name, 'message'), 'p_event_name');
    l_message.channel    := p_channel;
    l_message.event_name := coalesce(p_event_name, 'message');
    l_message.payload    := checked_payload(p_payload, p_settings);
    l_message.ts_ms      := rtm_text.epoch_ms;
    l_message.source     := rtm_text.fit(p_source, 30);
    l_message.app_user   := rtm_log_row.app_user;
    l_message.retain_s   := p_retain_s;
    return l_message;
  end checked;
end rtm_message;
/
