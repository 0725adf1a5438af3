create or replace package rtm_log_api authid definer as
  -- The log table RTM_LOG, for applications. Rows are added here and read by SQL; the owner deletes
  -- old ones (RTM_ADMIN.PURGE).

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
end rtm_log_api;
/
