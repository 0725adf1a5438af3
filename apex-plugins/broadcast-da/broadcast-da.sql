-- Where the payload comes from; a null attribute behaves as the predecessor did.
function source_of(p_dynamic_action in apex_plugin.t_dynamic_action) return varchar2
is
begin
  return case
           when p_dynamic_action.attribute_07 is not null then p_dynamic_action.attribute_07
           when p_dynamic_action.attribute_05 is not null then 'ITEM'
           else 'NONE'
         end;
end source_of;

function items_of(p_dynamic_action in apex_plugin.t_dynamic_action) return apex_t_varchar2
is
begin
  return case source_of(p_dynamic_action)
           when 'ITEM' then item_names(p_dynamic_action.attribute_05)
           when 'ITEMS' then item_names(p_dynamic_action.attribute_08)
           else apex_t_varchar2()
         end;
end items_of;

-- As published: LOG is the default of the attribute, null raises.
function on_error_of(p_dynamic_action in apex_plugin.t_dynamic_action) return varchar2
is
begin
  return case
           when p_dynamic_action.attribute_06 in ('LOG', 'IGNORE') then p_dynamic_action.attribute_06
           else 'RAISE'
         end;
end on_error_of;

function rtm_broadcast_render(
  p_dynamic_action in apex_plugin.t_dynamic_action,
  p_plugin         in apex_plugin.t_plugin
) return apex_plugin.t_dynamic_action_render_result
is
  l_result        apex_plugin.t_dynamic_action_render_result;
  l_configuration json_object_t := json_object_t();
  l_list          json_array_t := json_array_t();
  l_source        constant varchar2(32767) := source_of(p_dynamic_action);
  l_items         constant apex_t_varchar2 := items_of(p_dynamic_action);
  l_script        constant varchar2(32767) := p_dynamic_action.attribute_10;
  l_debounce      constant varchar2(32767) := nvl(p_dynamic_action.attribute_11, '0');
  l_throttle      constant varchar2(32767) := nvl(p_dynamic_action.attribute_12, '0');
  l_retain_s      pls_integer;
begin
  for i in 1 .. l_items.count loop
    l_list.append(l_items(i));
  end loop;
  -- Neither the key nor the address of the relay nor the channel goes to the page.
  l_configuration.put('source', case when l_source = 'JSON' then 'NONE' else l_source end);
  l_configuration.put('items', l_list);
  l_configuration.put('onError', on_error_of(p_dynamic_action));
  l_configuration.put('sender', nvl(p_dynamic_action.attribute_13, 'N') = 'Y');
  begin
    l_configuration.put('debounceMs', whole_number(l_debounce, 'Debounce', 0, 60000));
    l_configuration.put('throttleMs', whole_number(l_throttle, 'Throttle', 0, 60000));
    l_retain_s := retain_seconds(p_dynamic_action.attribute_14);
  exception
    when e_usage then
      l_configuration.put('error', usage_text(sqlerrm));
  end;
  if l_source in ('ITEM', 'ITEMS') and l_items.count = 0 then
    l_configuration.put('error', 'Items: name at least one page item');
  elsif l_source = 'SCRIPT' and l_script is null then
    l_configuration.put('error', 'JavaScript Expression: it is empty');
  end if;
  -- A variable takes the value, so that a semicolon or a comment at the end does no harm: a mistake
  -- in the text would break all dynamic actions of the page.
  -- The developer's expression becomes a function of the page's own script, so that a policy
  -- without unsafe-eval holds. No substitutions: session values never become code.
  l_result.javascript_function :=
    case
      when l_source = 'SCRIPT' and l_script is not null
        then 'function(){return rtm.broadcast.call(this,function(){var value=' || l_script || chr(10) || ';return value;});}'
      else 'rtm.broadcast'
    end;
  l_result.ajax_identifier := apex_plugin.get_ajax_identifier;
  l_result.attribute_01    := l_configuration.to_string;
  return l_result;
end rtm_broadcast_render;

-- The JSON text that the page sent, in pieces.
function request_text return clob
is
  l_text clob;
begin
  for i in 1 .. apex_application.g_f01.count loop
    l_text := l_text || to_clob(apex_application.g_f01(i));
  end loop;
  return l_text;
end request_text;

-- The values of the configured items, in their order. The browser gives values, never names.
function item_values(p_count in pls_integer) return json_array_t
is
  l_values json_array_t;
begin
  l_values := json_array_t.parse(request_text);
  if l_values.get_size <> p_count then
    raise_usage('The request does not hold one value per item');
  end if;
  for i in 0 .. p_count - 1 loop
    if not (l_values.get(i).is_string or l_values.get(i).is_null) then
      raise_usage('The request holds a value that is not text');
    end if;
  end loop;
  return l_values;
end item_values;

function payload_of(p_dynamic_action in apex_plugin.t_dynamic_action) return clob
is
  l_items   constant apex_t_varchar2 := items_of(p_dynamic_action);
  l_json    constant varchar2(32767) := p_dynamic_action.attribute_09;
  l_payload json_object_t := json_object_t();
  l_values  json_array_t;
begin
  case source_of(p_dynamic_action)
    when 'ITEM' then
      l_values := item_values(1);
      l_payload.put('itemName', l_items(1));
      l_payload.put('value', l_values.get(0));
      return l_payload.to_clob;
    when 'ITEMS' then
      l_values := item_values(l_items.count);
      for i in 1 .. l_items.count loop
        l_payload.put(l_items(i), l_values.get(i - 1));
      end loop;
      return l_payload.to_clob;
    when 'JSON' then
      return l_json;
    when 'SCRIPT' then
      -- WEBSOCKET_API checks that it is one JSON value and not too large.
      return request_text;
    else
      return null;
  end case;
end payload_of;

-- The payload with the mark of the page that sends it. Only an object has room for it. The mark is the
-- browser's word: all it can do is keep a message from a page that knows it.
function with_sender(p_dynamic_action in apex_plugin.t_dynamic_action, p_payload in clob) return clob
is
  l_sender constant varchar2(32767) := apex_application.g_x01;
  l_object json_object_t;
begin
  if nvl(p_dynamic_action.attribute_13, 'N') <> 'Y' then
    return p_payload;
  elsif not nvl(regexp_like(l_sender, '^[0-9a-f]{32}$'), false) then
    return p_payload;
  elsif p_payload is not null and not regexp_like(substr(p_payload, 1, 200), '^[[:space:]]*\{') then
    return p_payload;
  end if;
  l_object := json_object_t.parse(nvl(p_payload, to_clob('{}')));
  l_object.put('rtmSender', l_sender);
  return l_object.to_clob;
end with_sender;

function rtm_broadcast_ajax(
  p_dynamic_action in apex_plugin.t_dynamic_action,
  p_plugin         in apex_plugin.t_plugin
) return apex_plugin.t_dynamic_action_ajax_result
is
  l_nothing apex_plugin.t_dynamic_action_ajax_result;
  l_answer  json_object_t := json_object_t();
  l_error   varchar2(32767);
begin
  begin
    send(
      p_api_key  => p_dynamic_action.attribute_01,
      p_base_url => p_dynamic_action.attribute_02,
      p_channel  => p_dynamic_action.attribute_03,
      p_event    => p_dynamic_action.attribute_04,
      p_payload  => with_sender(p_dynamic_action, payload_of(p_dynamic_action)),
      p_retain   => p_dynamic_action.attribute_14,
      p_function => p_plugin.attribute_01
    );
    l_answer.put('status', 'OK');
  exception
    when others then
      l_error := case when sqlcode = -20190 then usage_text(sqlerrm) else 'The message could not be sent.' end;
      if on_error_of(p_dynamic_action) <> 'IGNORE' then
        log_failure('Broadcast');
      end if;
      -- A top-level "error" is what APEX shows, and what stops the actions that follow.
      if on_error_of(p_dynamic_action) = 'RAISE' then
        l_answer.put('error', l_error);
      else
        l_answer.put('status', case on_error_of(p_dynamic_action) when 'LOG' then 'LOGGED' else 'IGNORED' end);
      end if;
  end;
  apex_plugin_util.print_json_http_header;
  sys.htp.prn(l_answer.to_string);
  return l_nothing;
end rtm_broadcast_ajax;
