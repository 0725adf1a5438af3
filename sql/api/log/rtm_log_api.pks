create or replace package rtm_log_api authid definer as
  -- The log table RTM_LOG. log_event is the published call; the rest serves our own packages.

  -- Adds a row in the caller's transaction. Texts that are too long are cut.
  procedure log_event(
    p_source       in varchar2,
    p_channel      in varchar2,
    p_event_name   in varchar2,
    p_payload_json in clob     default null,
    p_http_status  in number   default null,
    p_extra_info   in varchar2 default null,
    p_error        in varchar2 default null
  );

  -- Deletes rows older than p_days (default: the setting log_days), claim checks that no message can
  -- need any more, and old messages of the exception queue, whose rows in RTM_LOG become FAILED.
  -- Commits slice by slice. The nightly job RTM_NIGHTLY_JOB calls it.
  procedure purge(p_days in number default null);
end rtm_log_api;
/
