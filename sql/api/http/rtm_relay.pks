create or replace package rtm_relay authid definer as
  -- Private. The relays that messages go to over HTTP: their addresses and keys, and for how long one
  -- that failed is left alone (RTM_RELAY_STATE), so that a connect that hangs does not hold every
  -- transaction and every message behind it.

  -- What a delivery says for the configured relay, whose URL may change before it is sent.
  c_configured constant varchar2(1) := '-';

  -- One spelling of a URL: scheme and host in lower case, no default port, no slash at the end.
  function normalised(p_url in varchar2) return varchar2;
  -- Raises -20103 unless p_url is null or an https URL (http too with p_allow_http Y).
  procedure check_url(p_url in varchar2, p_allow_http in varchar2);

  -- URL and key of a call: those given, or the configured ones. Raises -20103 for a URL that is missing
  -- or bad, or one that is not the configured one and comes without its key; -20111 in a clone.
  procedure resolve(
    p_base_url in  varchar2,
    p_api_key  in  varchar2,
    p_settings in  rtm_config%rowtype,
    p_url      out varchar2,
    p_key      out varchar2
  );
  -- What a delivery row says for the URL of a call: c_configured, or the normalised URL.
  function delivery_name(p_base_url in varchar2, p_settings in rtm_config%rowtype) return varchar2;

  -- True when this session may call the relay now. After the pause of a relay that failed, one session
  -- gets true and tries; the others wait for its outcome. p_also_busy: false asks only whether the
  -- relay was silent lately, not whether it refused.
  function enter(p_url in varchar2, p_also_busy in boolean) return boolean;
  -- The outcome of a call. p_status: of HTTP; null when there was no answer. A failure leaves the relay
  -- alone for 2, 4, 8 ... seconds: at most 60 when it answers, at most 300 when it is silent.
  procedure report(p_url in varchar2, p_status in number, p_error in varchar2);
  -- Worth another try: not reached, busy, or a failure of the relay.
  function is_transient(p_status in number) return boolean;

  -- Relays that are left alone now, for RTM_STATUS; null when there is none.
  function summary return varchar2;
end rtm_relay;
/
