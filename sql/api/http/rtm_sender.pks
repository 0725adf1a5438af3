create or replace package rtm_sender authid definer as
  -- Private. The HTTP path: at once, or after commit from RTM_DELIVERY.

  -- Queues a message in the caller's transaction, and sets its id. p_base_url, p_api_key: those of the
  -- call, or null. Raises as RTM_RELAY.RESOLVE: what can be known now is refused now.
  procedure put(
    p_message  in out nocopy rtm_message.t_message,
    p_settings in rtm_config%rowtype,
    p_base_url in varchar2,
    p_api_key  in varchar2
  );

  -- Sends a message now, outside of the caller's transaction, sets its id, and logs a success at once.
  -- Raises -20113 when the relay refused the message or was not reached, and -20114, without calling
  -- it, while it is left alone because it did not answer lately.
  procedure send_now(
    p_message  in out nocopy rtm_message.t_message,
    p_settings in rtm_config%rowtype,
    p_base_url in varchar2,
    p_api_key  in varchar2
  );

  -- Gives up what has expired, then sends what is due, in order for each relay, and commits message by
  -- message. What a relay cannot take now waits until it expires (setting expiration_s), and holds back
  -- what comes behind it; the relay is left alone for a while. The job RTM_SEND_JOB calls it.
  procedure run;
end rtm_sender;
/
