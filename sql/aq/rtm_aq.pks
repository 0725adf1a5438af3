create or replace package rtm_aq authid definer as
  -- Private. The queue RTM_QUEUE: enqueue, dequeue in PL/SQL, depth, exception queue. Without AQ
  -- (no EXECUTE on DBMS_AQ, or no queue) every call that needs it raises -20110.

  c_queue           constant varchar2(30) := 'RTM_QUEUE';
  c_exception_queue constant varchar2(30) := 'AQ$_RTM_QT_E';
  -- Who joined and left, for applications (docs/sql-api.md, "Who is here").
  c_events          constant varchar2(30) := 'RTM_EVENTS';
  c_old_events      constant varchar2(30) := 'AQ$_RTM_EVENTS_QT_E';

  -- OWNER.RTM_QUEUE, and the payload kind of the installed queue: RAW or JSON.
  function queue_name return varchar2;
  function payload_kind return varchar2;

  -- Enqueues one message, visible when the caller commits, and returns its id (lower-case hex).
  -- p_expiration_s: seconds until an undelivered message expires.
  function enqueue(p_message in rtm_message.t_message, p_expiration_s in number) return varchar2;

  -- Enqueues a control item (docs/worker-api.md) that never expires. p_body: its JSON object.
  function enqueue_control(p_op in varchar2, p_body in varchar2) return varchar2;

  -- Enqueues a text on RTM_EVENTS, where it expires after p_expiration_s seconds.
  function enqueue_event(p_text in varchar2, p_expiration_s in number) return varchar2;
  -- Removes expired events, at most p_limit, and returns how many. The caller commits.
  function remove_old_events(p_limit in number) return number;

  -- One dequeue, REMOVE and ON_COMMIT, of a message of any queue this schema may dequeue from.
  -- p_kind: RAW, JSON or JMS_TEXT. Nothing within p_wait_s seconds: p_message_id is null.
  -- p_text: the payload as UTF-8, a temporary BLOB, which the caller frees.
  -- p_enq_time_ms: read as a time of the session's time zone; a hint.
  procedure dequeue(
    p_queue_name  in  varchar2,
    p_kind        in  varchar2,
    p_consumer    in  varchar2,
    p_wait_s      in  number,
    p_navigation  in  number,
    p_message_id  out varchar2,
    p_attempts    out number,
    p_enq_time_ms out number,
    p_text        out nocopy blob
  );

  -- Ready messages of our queue and messages of its exception queue, counted up to p_limit.
  function ready(p_limit in number) return number;
  function exceptions(p_limit in number) return number;
  -- Age in seconds of the oldest of p_limit ready messages of our queue; null when there is none.
  function oldest_age_s(p_limit in number) return number;

  -- Header line or JSON envelope of a message of the exception queue, as JSON text; null when the
  -- message is not one of ours.
  function header(p_message_id in varchar2) return varchar2;
  -- Moves a message of the exception queue back to RTM_QUEUE and returns its new id; null when it is
  -- not there. The caller commits.
  function requeue(p_message_id in varchar2, p_expiration_s in number) return varchar2;
  -- Removes a message of the exception queue with its claim check; false when it is not there.
  function remove_exception(p_message_id in varchar2) return boolean;
end rtm_aq;
/
