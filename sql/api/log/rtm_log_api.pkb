create or replace package body rtm_log_api as
  procedure log_event(
    p_source       in varchar2,
    p_channel      in varchar2,
    p_event_name   in varchar2,
    p_payload_json in clob     default null,
    p_http_status  in number   default null,
    p_extra_info   in varchar2 default null,
    p_error        in varchar2 default null
  ) is
    l_row rtm_log%rowtype;
  begin
    l_row               := rtm_log_row.new_row(p_source, p_channel, p_event_name);
    l_row.payload_json  := p_payload_json;
    l_row.http_status   := p_http_status;
    l_row.extra_info    := rtm_text.fit(p_extra_info, 4000);
    l_row.error_message := rtm_text.fit(p_error, 4000);
    l_row.id            := rtm_log_row.add(l_row);
  end log_event;
end rtm_log_api;
/
