create or replace package rtm_control authid definer as
  -- Private. Control items: what the relay is told beside messages, in order with them and in the
  -- caller's transaction (WEBSOCKET_API.REVOKE_USER and its neighbours). They expire never, and no backlog
  -- stops them. A revocation is a row of RTM_REVOCATION too.
  -- All raise -20116 where messages do not go over the queue, -20101 and -20106 for parameters.

  procedure forget_last(p_channel in varchar2, p_event_name in varchar2);
  procedure revoke_user(p_user in varchar2);
  procedure revoke_session(p_session in number);
  procedure disconnect_user(p_user in varchar2, p_stop in boolean);
  procedure unsubscribe_user(p_user in varchar2, p_channel in varchar2);

  -- Revocations in force, one JSON object each, as the body of a control item with "op" and "before", by
  -- their ids: at most p_limit with an id above p_after. p_next: the last of them; null at the end.
  procedure in_force(
    p_after in  number,
    p_limit in  number,
    p_items out nocopy rtm_text.t_pieces,
    p_next  out number
  );
end rtm_control;
/
