create or replace package rtm_log_row authid definer as
  -- Private. Rows of RTM_LOG: who and where from, in the caller's transaction or in one of their own.
  -- The log is append-only: what becomes of a message is a further row with its message_id.

  -- The user of the APEX session, or of the database session.
  function app_user return varchar2;
  -- A row with time, user, APEX session, application and page of the caller.
  function new_row(p_source in varchar2, p_channel in varchar2, p_event_name in varchar2)
    return rtm_log%rowtype;
  -- A row about a message; without its payload.
  function row_of(
    p_message   in rtm_message.t_message,
    p_transport in varchar2,
    p_status    in varchar2
  ) return rtm_log%rowtype;

  -- Inserts the row in the caller's transaction and returns its id.
  function add(p_row in rtm_log%rowtype) return number;
  -- The same for a message that is on its way already: never raises, because the message will be
  -- delivered. A row that cannot be written is reported to DBMS_OUTPUT.
  procedure note(p_row in rtm_log%rowtype);
  -- Inserts the row in a transaction of its own: it survives the caller's rollback.
  procedure add_now(p_row in rtm_log%rowtype);
  -- The same, and never raises: for callers whose business must go on when even the log fails.
  procedure try_add_now(p_row in rtm_log%rowtype);

  -- p_payload as the setting log_payload wants it in the row of a success or of an error.
  function kept(p_payload in clob, p_policy in varchar2, p_is_error in boolean) return clob;
  -- The first characters of a payload that was refused before it became a message: it can have any
  -- size, and is not JSON. Null by the setting.
  function kept_refused(p_payload in clob, p_policy in varchar2) return clob;
end rtm_log_row;
/
