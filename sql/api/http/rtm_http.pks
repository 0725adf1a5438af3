create or replace package rtm_http authid definer as
  -- Private. POST /api/broadcast of the relay: through the MLE module where there is one, else through
  -- UTL_HTTP. Nothing is left behind in the session.

  -- True when this schema can send HTTP requests.
  function possible return boolean;
  -- Raises -20103 unless p_url is null or an https URL (http too with p_allow_http Y).
  procedure check_url(p_url in varchar2, p_allow_http in varchar2);

  -- Raises what SEND would raise before it sends: -20103 for a URL that is missing or bad, or a URL that
  -- is not the configured one and comes without its key; -20111 in a clone.
  procedure check_call(p_base_url in varchar2, p_api_key in varchar2);

  -- Sends one message. p_status: the HTTP status; null when the relay could not be reached, and then
  -- p_body says why. p_body: the first 4,000 bytes of the answer. p_recipients: from the answer.
  -- p_message_id, p_ts_ms: the relay uses them when the key is trusted.
  -- Raises as check_call, and -20112 when nothing can send.
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
  );
end rtm_http;
/
