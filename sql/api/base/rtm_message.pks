create or replace package rtm_message authid definer as
  -- Private. One message between the call that broadcasts it and the transport, apart from what
  -- RTM_LOG keeps of it.

  type t_message is record (
    id         varchar2(32),  -- of the AQ message, or one of ours; null until a transport has it
    channel    varchar2(512), -- checked names
    event_name varchar2(512),
    payload    clob,          -- checked JSON text, never null
    ts_ms      number,        -- time of the call, ms since 1970
    source     varchar2(30),  -- for RTM_LOG
    app_user   varchar2(255),
    retain_s   number         -- seconds as last value of its channel and event; null for no retaining
  );

  -- A message of the caller, now. p_event_name: null is "message"; p_payload: null is {}.
  -- Raises -20101 for a name, -20105 for a payload that is not JSON or too long, -20106 for p_retain_s.
  function checked(
    p_channel    in varchar2,
    p_event_name in varchar2,
    p_payload    in clob,
    p_source     in varchar2,
    p_settings   in rtm_config%rowtype,
    p_retain_s   in number default null
  ) return t_message;
end rtm_message;
/
