create or replace package rtm_log_row authid definer as
  -- Private. Rows of RTM_LOG: who and where from, in the caller's transaction or in one of their own.

  -- A row with time, user, APEX session, application and page of the caller.
  function new_row(p_source in varchar2, p_channel in varchar2, p_event_name in varchar2)
    return rtm_log%rowtype;
  -- Inserts the row in the caller's transaction and returns its id.
  function add(p_row in rtm_log%rowtype) return number;
  -- Inserts the row in a transaction of its own: it survives the caller's rollback.
  procedure add_now(p_row in rtm_log%rowtype);
  -- The same, and never raises: for callers whose business must go on when even the log fails.
  procedure try_add_now(p_row in rtm_log%rowtype);

  -- p_payload as the setting log_payload wants it in the row of a success or of an error.
  function kept(p_payload in clob, p_policy in varchar2, p_is_error in boolean) return clob;
end rtm_log_row;
/
