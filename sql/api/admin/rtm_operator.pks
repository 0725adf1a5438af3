create or replace package rtm_operator authid definer as
  -- For whoever watches an installation and may delete nothing: what RTM_ADMIN has for looking at the
  -- exception queue and for putting messages back. For the console: grant execute to the worker's user.

  type t_exception is record (
    message_id varchar2(32),
    enq_time   date,            -- in the session's time zone
    attempts   number,          -- rollbacks; 0 means that the message expired
    channel    varchar2(128),
    event_name varchar2(128)
  );
  type t_exceptions is table of t_exception;

  -- As RTM_ADMIN.LIST_EXCEPTIONS: oldest first.
  function list_exceptions(p_limit in number default 100) return t_exceptions pipelined;

  -- As RTM_ADMIN.REQUEUE: the caller commits; -20107 when there is no such message.
  function requeue(p_message_id in varchar2) return varchar2;

  -- Which workers were heard lately, and how they are.
  function listeners return varchar2;
end rtm_operator;
/
