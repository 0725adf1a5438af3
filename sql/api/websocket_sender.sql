-- The MLE module and its call specification, where the database and the schema's privileges allow
-- it (23ai and later: CREATE MLE, EXECUTE ON JAVASCRIPT up to 23.8). Elsewhere nothing: UTL_HTTP
-- serves. The build puts sql/api/websocket_sender_module.js in place of the marker.
declare
  e_compilation_error exception;
  pragma exception_init(e_compilation_error, -24344);

  procedure drop_if_there(p_type in varchar2, p_name in varchar2) is
    l_count pls_integer;
  begin
    select count(*)
    into l_count
    from user_objects
    where object_type = p_type
      and object_name = p_name;
    if l_count > 0 then
      execute immediate 'drop ' || p_type || ' ' || p_name;
    end if;
  end drop_if_there;
begin
  if dbms_db_version.version < 23 then
    dbms_output.put_line('No MLE before 23ai: UTL_HTTP serves the HTTP path.');
    return;
  end if;
  -- The published predecessor had a procedure of this name.
  drop_if_there('PROCEDURE', 'WEBSOCKET_SEND_BROADCAST');
  execute immediate q'~create or replace mle module websocket_sender_module language javascript as
{{websocket_sender_module.js}}~';
  execute immediate q'~
    create or replace function websocket_send_broadcast(
      p_api_key    in varchar2,
      p_base_url   in varchar2,
      p_channel    in varchar2,
      p_event_name in varchar2,
      p_payload    in clob,
      p_message_id in varchar2,
      p_ts_ms      in number,
      p_timeout_s  in number
    ) return varchar2
    as mle module websocket_sender_module
    signature 'sendBroadcast(string, string, string, string, string, string, number, number)';~';
exception
  when others then
    -- No privilege, MLE switched off, or removed as in slim images: the features table says so.
    dbms_output.put_line('No MLE here: ' || sqlerrm);
    drop_if_there('FUNCTION', 'WEBSOCKET_SEND_BROADCAST');
end;
/
