create or replace package rtm_admin authid definer as
  -- For the person who runs the installation: the exception queue, and what is wrong with the schema.

  type t_exception is record (
    message_id varchar2(32),
    enq_time   date,            -- in the session's time zone
    attempts   number,          -- rollbacks; 0 means that the message expired
    channel    varchar2(128),
    event_name varchar2(128)
  );
  type t_exceptions is table of t_exception;

  -- Messages of the exception queue, oldest first:
  -- select * from table(rtm_admin.list_exceptions(100))
  function list_exceptions(p_limit in number default 100) return t_exceptions pipelined;

  -- Puts one message of the exception queue back into RTM_QUEUE, with a new expiration, and returns
  -- its new id. The caller commits. Raises -20107 when there is no such message.
  function requeue(p_message_id in varchar2) return varchar2;

  -- Deletes messages of the exception queue that were enqueued more than p_days days ago, with their
  -- claim checks, and adds a row FAILED to RTM_LOG for each. Commits slice by slice and returns the
  -- number of messages.
  function purge_exceptions(p_days in number default 30) return number;

  -- Deletes rows of RTM_LOG older than p_days (default: the setting log_days), claim checks that no
  -- message can need any more, revocations that no token can meet any more, expired
  -- events of RTM_EVENTS, and old messages of the exception queue (PURGE_EXCEPTIONS). Commits slice
  -- by slice. The nightly job RTM_NIGHTLY_JOB calls it. For the owner: it deletes everybody's rows.
  procedure purge(p_days in number default null);

  -- Figures for RTM_STATUS.
  function listeners return varchar2;
  function last_error return varchar2;

  -- See WEBSOCKET_API.INSTALL_CHECK.
  function install_check return clob;
end rtm_admin;
/
