create or replace package rtm_sender authid definer as
  -- Private. The HTTP path: at once, or after commit from RTM_OUTBOX.

  -- Queues p_row (transport HTTP_DEFERRED, status QUEUED, with its payload) in the caller's
  -- transaction. p_base_url, p_api_key: those of the call, or null. Raises as RTM_HTTP.CHECK_CALL.
  procedure put(p_row in rtm_log%rowtype, p_base_url in varchar2, p_api_key in varchar2);

  -- Sends p_row now, outside of the caller's transaction, and logs the outcome at once. Raises -20113
  -- when the relay refused the message or was not reached.
  procedure send_now(
    p_row      in rtm_log%rowtype,
    p_ts_ms    in number,
    p_base_url in varchar2,
    p_api_key  in varchar2
  );

  -- Sends what is in the outbox, in order for each relay, and commits message by message. What the
  -- relay cannot take now is tried again until it expires (setting expiration_s), and holds back what
  -- comes behind it. The job RTM_SEND_JOB calls it.
  procedure run;
end rtm_sender;
/
