create or replace package rtm_http authid definer as
  -- Private. POST /api/broadcast of the relay: through the MLE module where there is one, else through
  -- UTL_HTTP. Nothing is left behind in the session.

  -- True when this schema can send HTTP requests.
  function possible return boolean;

  -- Sends one message. p_status: the HTTP status; null when the relay could not be reached, and then
  -- p_body says why. p_body: the first 4,000 bytes of the answer. p_recipients: from the answer.
  -- The relay uses the message's id and time when the key is trusted.
  -- The setting http_timeout_s bounds each read of the answer. Connecting and the TLS handshake are
  -- bounded by the operating system only (RTM_RELAY leaves a silent relay alone).
  -- Raises -20112 when nothing can send.
  procedure send(
    p_url        in  varchar2,
    p_key        in  varchar2,
    p_settings   in  rtm_config%rowtype,
    p_message    in  rtm_message.t_message,
    p_status     out number,
    p_body       out varchar2,
    p_recipients out number
  );
end rtm_http;
/
