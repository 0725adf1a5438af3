-- A text of any length as a JSON value. RETURNING CLOB: without it 4,000 bytes are the end.
function json_text(p_text in clob) return json_element_t
is
  l_object clob;
begin
  select json_object('text' value p_text null on null returning clob) into l_object from dual;
  return json_object_t.parse(l_object).get('text');
end json_text;

-- The session state of an item, long ones too. apex_session_state is younger than APEX 22.1 and is
-- therefore called by name; apex_util raises for an item of the data type CLOB.
function session_value(p_item in varchar2) return clob
is
  l_value clob;
begin
  return apex_util.get_session_state(p_item => p_item);
exception
  when others then
    execute immediate 'begin :value := apex_session_state.get_clob(p_item => :item); end;'
      using out l_value, in p_item;
    return l_value;
end session_value;

-- One column of the current row. Dates as ISO 8601 in the Gregorian calendar whatever the session says,
-- numbers that JavaScript would round as text, and every null as the JSON null.
procedure put_column(
  p_row     in out nocopy json_object_t,
  p_context in apex_exec.t_context,
  p_index   in pls_integer
)
is
  c_gregorian constant varchar2(30) := 'nls_calendar=gregorian';
  l_column apex_exec.t_column := apex_exec.get_column(p_context => p_context, p_column_idx => p_index);
  l_number number;

  procedure put_text(p_text in varchar2) is
  begin
    if p_text is null then
      p_row.put_null(l_column.name);
    else
      p_row.put(l_column.name, p_text);
    end if;
  end put_text;

  procedure put_number is
    l_text varchar2(32767) := to_char(l_number, 'TM9', 'nls_numeric_characters=''.,''');
  begin
    if l_text is null or length(ltrim(translate(l_text, '0123456789-.', '0123456789'), '0')) > 15 then
      put_text(l_text);
    else
      p_row.put(l_column.name, l_number);
    end if;
  end put_number;

  function utc_text(p_time in timestamp) return varchar2 is
  begin
    return to_char(p_time, 'yyyy-mm-dd"T"hh24:mi:ss.ff3"Z"', c_gregorian);
  end utc_text;
begin
  case l_column.data_type
    when apex_exec.c_data_type_number then
      l_number := apex_exec.get_number(p_context => p_context, p_column_idx => p_index);
      put_number;
    when apex_exec.c_data_type_date then
      put_text(
        to_char(
          apex_exec.get_date(p_context => p_context, p_column_idx => p_index),
          'yyyy-mm-dd"T"hh24:mi:ss',
          c_gregorian
        )
      );
    when apex_exec.c_data_type_timestamp then
      put_text(
        to_char(
          apex_exec.get_timestamp(p_context => p_context, p_column_idx => p_index),
          'yyyy-mm-dd"T"hh24:mi:ss.ff3',
          c_gregorian
        )
      );
    when apex_exec.c_data_type_timestamp_tz then
      put_text(
        utc_text(sys_extract_utc(apex_exec.get_timestamp_tz(p_context => p_context, p_column_idx => p_index)))
      );
    when apex_exec.c_data_type_timestamp_ltz then
      put_text(
        utc_text(sys_extract_utc(apex_exec.get_timestamp_ltz(p_context => p_context, p_column_idx => p_index)))
      );
    when apex_exec.c_data_type_clob then
      p_row.put(
        l_column.name,
        json_text(apex_exec.get_clob(p_context => p_context, p_column_idx => p_index))
      );
    else
      put_text(apex_exec.get_varchar2(p_context => p_context, p_column_idx => p_index));
  end case;
end put_column;

-- The rows of the query as a JSON list; null when there are none. Items are bound by name.
function rows_payload(p_query in varchar2) return clob
is
  l_context apex_exec.t_context;
  l_rows    json_array_t := json_array_t();
  l_row     json_object_t;
begin
  l_context := apex_exec.open_query_context(
    p_location  => apex_exec.c_location_local_db,
    p_sql_query => p_query
  );
  while apex_exec.next_row(p_context => l_context) loop
    l_row := json_object_t();
    for i in 1 .. apex_exec.get_column_count(p_context => l_context) loop
      put_column(l_row, l_context, i);
    end loop;
    l_rows.append(l_row);
  end loop;
  apex_exec.close(p_context => l_context);
  return case when l_rows.get_size > 0 then l_rows.to_clob end;
exception
  when others then
    apex_exec.close(p_context => l_context);
    raise;
end rows_payload;

function item_payload(p_item in varchar2) return clob
is
  l_payload json_object_t := json_object_t();
begin
  l_payload.put('itemName', p_item);
  l_payload.put('value', json_text(session_value(p_item)));
  return l_payload.to_clob;
end item_payload;

function items_payload(p_items in apex_t_varchar2) return clob
is
  l_payload json_object_t := json_object_t();
begin
  for i in 1 .. p_items.count loop
    l_payload.put(p_items(i), json_text(session_value(p_items(i))));
  end loop;
  return l_payload.to_clob;
end items_payload;

-- Null, with p_skip true, when a query finds nothing to send.
procedure make_payload(
  p_process in apex_plugin.t_process,
  p_payload out nocopy clob,
  p_skip    out boolean
)
is
  l_item       constant varchar2(32767) := upper(trim(p_process.attribute_05));
  l_source     constant varchar2(32767) := p_process.attribute_07;
  l_items      constant varchar2(32767) := p_process.attribute_08;
  l_query      constant varchar2(32767) := p_process.attribute_09;
  l_expression constant varchar2(32767) := p_process.attribute_10;
  l_json       constant varchar2(32767) := p_process.attribute_11;
begin
  p_skip := false;
  if l_source is null then
    -- As published.
    p_payload := case when l_item is not null then item_payload(l_item) end;
    return;
  end if;
  case l_source
    when 'ITEMS' then
      p_payload := items_payload(item_names(l_items));
    when 'SQL' then
      p_payload := rows_payload(l_query);
      p_skip    := p_payload is null;
    when 'PLSQL' then
      p_payload := apex_plugin_util.get_plsql_expression_result(p_plsql_expression => l_expression);
    when 'JSON' then
      p_payload := l_json;
    else
      raise_usage('Payload: ' || l_source || ' is not one of ITEMS, SQL, PLSQL, JSON');
  end case;
end make_payload;

function rtm_broadcast_execute(
  p_process in apex_plugin.t_process,
  p_plugin  in apex_plugin.t_plugin
) return apex_plugin.t_process_exec_result
is
  l_result   apex_plugin.t_process_exec_result;
  l_on_error constant varchar2(32767) := nvl(p_process.attribute_06, 'RAISE');
  l_payload  clob;
  l_skip     boolean;
begin
  make_payload(p_process, l_payload, l_skip);
  if l_skip then
    apex_debug.info('rtm: the query found no row, nothing was sent');
    l_result.execution_skipped := true;
    return l_result;
  end if;
  send(
    p_api_key  => p_process.attribute_01,
    p_base_url => p_process.attribute_02,
    p_channel  => p_process.attribute_03,
    p_event    => p_process.attribute_04,
    p_payload  => l_payload,
    p_retain   => p_process.attribute_12,
    p_function => p_plugin.attribute_01
  );
  l_result.success_message := p_process.success_message;
  return l_result;
exception
  when others then
    -- WEBSOCKET_API has logged its own errors in RTM_LOG; a second row would be a duplicate.
    case l_on_error
      when 'LOG' then
        log_failure('Broadcast (process)');
        return l_result;
      when 'IGNORE' then
        return l_result;
      else
        raise;
    end case;
end rtm_broadcast_execute;
