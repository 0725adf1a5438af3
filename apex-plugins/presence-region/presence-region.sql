function has_option(p_region in apex_plugin.t_region, p_option in varchar2) return boolean
is
begin
  return instr(':' || p_region.attribute_09 || ':', ':' || p_option || ':') > 0;
end has_option;

function replaced(p_text in varchar2) return varchar2
is
begin
  return apex_plugin_util.replace_substitutions(p_value => p_text, p_escape => false);
end replaced;

function epoch_s return number
is
begin
  return round((cast(sys_extract_utc(systimestamp) as date) - date '1970-01-01') * 86400);
end epoch_s;

-- Under which of these the region is in the page: what the developer wrote, or what APEX makes.
function region_ids(p_region in apex_plugin.t_region) return json_array_t
is
  l_ids json_array_t := json_array_t();
begin
  l_ids.append(p_region.static_id);
  l_ids.append('R' || p_region.id);
  return l_ids;
end region_ids;

-- The channel: one full name, with the values in session state.
function channel_of(p_region in apex_plugin.t_region) return varchar2
is
  -- Beside it stands the channel of those who look at their page: five bytes more.
  c_most_bytes constant pls_integer := 123;
  l_literal    constant varchar2(32767) := trim(p_region.attribute_01);
  l_channel    varchar2(32767);
begin
  if l_literal is null then
    raise_usage('Channel: name the channel, for example row:ORDERS:&' || 'P10_ID.');
  elsif instr(l_literal, '*') > 0 or instr(l_literal, ',') > 0 then
    raise_usage('Channel: write one name, without * and commas');
  end if;
  l_channel := substituted(l_literal, 'Channel');
  if lengthb(l_channel) > c_most_bytes then
    raise_usage('Channel: write at most ' || c_most_bytes || ' bytes');
  end if;
  return l_channel;
end channel_of;

-- Who may see whom is decided here. Nobody is seen unless somebody has said so.
procedure check_access(
  p_channel  in varchar2,
  p_access   in varchar2,
  p_function in varchar2
)
is
begin
  if not nvl(is_logged_in, false) then
    raise_usage('Channel: only users who have logged in can be seen');
  elsif p_function is null and nvl(p_access, 'FUNCTION') <> 'PAGE' then
    raise_usage('Access: name an Authorization Function in the component settings, or choose Everybody on the Page');
  elsif not (is_allowed(p_function, p_channel, 'LISTEN') and is_allowed(p_function, p_channel, 'PRESENCE')) then
    raise_usage('Channel: you may not see who is here');
  end if;
end check_access;

-- What others see of the user, and since when. The page has no part in it.
function visitor_of(p_region in apex_plugin.t_region) return varchar2
is
  l_name  constant varchar2(32767) := nvl(replaced(p_region.attribute_02), apex_application.g_user);
  l_image constant varchar2(32767) := replaced(p_region.attribute_03);
  l_info  json_object_t := json_object_t();
begin
  l_info.put('name', substr(l_name, 1, 60));
  if l_image is not null then
    l_info.put('image', l_image);
  end if;
  l_info.put('since', epoch_s);
  if p_region.attribute_07 = 'Y' or p_region.attribute_08 is not null then
    l_info.put('edits', true);
  end if;
  if lengthb(l_info.to_string) > 400 then
    raise_usage('Picture: its address is too long; others are told at most 512 bytes of a user');
  end if;
  return l_info.to_string;
end visitor_of;

-- What was granted is kept in the APEX session, where the browser cannot change it. Returns the number
-- under which it is found again. A page that is opened again takes the place of the one before.
function noted_visit(p_region in apex_plugin.t_region, p_channel in varchar2) return number
is
  l_rights constant varchar2(4000) :=
    case when has_option(p_region, 'WATCH_ONLY') then 'WATCH' else 'JOIN' end
    || case when has_option(p_region, 'AWAY') then ':AWAY' end;
  l_access constant varchar2(4000) := nvl(p_region.attribute_06, 'FUNCTION');
  l_info   constant varchar2(4000) := visitor_of(p_region);
  l_number number;
begin
  if not apex_collection.collection_exists(p_collection_name => 'RTM_PRESENCE') then
    apex_collection.create_collection(p_collection_name => 'RTM_PRESENCE');
  end if;
  select min(seq_id) into l_number
    from apex_collections
   where collection_name = 'RTM_PRESENCE'
     and c001 = p_channel and c002 = l_rights and c003 = l_access;
  if l_number is null then
    return apex_collection.add_member(
      p_collection_name => 'RTM_PRESENCE',
      p_c001            => p_channel,
      p_c002            => l_rights,
      p_c003            => l_access,
      p_c004            => l_info);
  end if;
  apex_collection.update_member(
    p_collection_name => 'RTM_PRESENCE',
    p_seq             => to_char(l_number),
    p_c001            => p_channel,
    p_c002            => l_rights,
    p_c003            => l_access,
    p_c004            => l_info);
  return l_number;
end noted_visit;

-- Of the rows that the page says are edited those that there is room for, each since when.
function rows_of(p_info in varchar2, p_before in varchar2) return varchar2
is
  c_most_bytes constant pls_integer := 512;
  l_before     constant json_object_t := json_object_t.parse(nvl(p_before, '{}'));
  l_rows       json_object_t := json_object_t();
  l_key        varchar2(32767);
begin
  for i in 1 .. apex_application.g_f02.count loop
    l_key := apex_application.g_f02(i);
    if l_key is not null then
      if l_before.has(l_key) then
        l_rows.put(l_key, l_before.get_number(l_key));
      else
        l_rows.put(l_key, epoch_s);
      end if;
      if lengthb(p_info) + lengthb(l_rows.to_string) + lengthb(',"rows":') > c_most_bytes then
        l_rows.remove(l_key);
        exit;
      end if;
    end if;
  end loop;
  return l_rows.to_string;
end rows_of;

-- Notes which rows the page edits.
procedure note_rows(p_number in number)
is
begin
  for visit in (
    select c001, c002, c003, c004, c005
      from apex_collections
     where collection_name = 'RTM_PRESENCE' and seq_id = p_number
  ) loop
    apex_collection.update_member(
      p_collection_name => 'RTM_PRESENCE',
      p_seq             => to_char(p_number),
      p_c001            => visit.c001,
      p_c002            => visit.c002,
      p_c003            => visit.c003,
      p_c004            => visit.c004,
      p_c005            => rows_of(visit.c004, visit.c005));
  end loop;
end note_rows;

-- A token for what was noted under the number; null when the session has noted nothing. Whether it is
-- still allowed is asked each time.
function visit_token(
  p_number   in number,
  p_life     in varchar2,
  p_function in varchar2
) return varchar2
is
  l_channels websocket_api.t_channels;
  l_options  websocket_api.t_token_options;
  l_info     json_object_t;
  l_seconds  constant number := token_seconds(p_life);
begin
  for visit in (
    select c001, c002, c003, c004, c005
      from apex_collections
     where collection_name = 'RTM_PRESENCE' and seq_id = p_number
  ) loop
    check_access(visit.c001, visit.c003, p_function);
    l_channels(1) := visit.c001;
    if visit.c002 like '%:AWAY' then
      l_channels(2) := visit.c001 || '~here';
    end if;
    l_options.presence_watch := l_channels;
    if visit.c002 like 'JOIN%' then
      l_options.presence_join := l_channels;
      l_info := json_object_t.parse(visit.c004);
      if visit.c005 is not null then
        l_info.put('rows', json_object_t.parse(visit.c005));
      end if;
      l_options.member_info := l_info.to_string;
    end if;
    return websocket_api.client_token(
      p_channels => l_channels,
      p_options  => l_options,
      p_ttl_s    => l_seconds);
  end loop;
  return null;
end visit_token;

-- Writes one JSON configuration for the page: no key, and nothing that the page must not know.
procedure write_configuration(
  p_region        in apex_plugin.t_region,
  p_plugin        in apex_plugin.t_plugin,
  p_configuration in out nocopy json_object_t
)
is
  l_channel constant varchar2(32767) := channel_of(p_region);
  l_number  number;
  l_token   varchar2(32767);
begin
  check_access(l_channel, p_region.attribute_06, p_plugin.attribute_01);
  l_number := noted_visit(p_region, l_channel);
  l_token  := visit_token(l_number, p_region.attribute_11, p_plugin.attribute_01);
  p_configuration.put('url', replaced(coalesce(p_region.attribute_10, p_plugin.attribute_02, '/rtm/ws')));
  p_configuration.put('channel', l_channel);
  p_configuration.put('token', l_token);
  p_configuration.put('grant', l_number);
  p_configuration.put('sessionEnded', apex_lang.message(p_name => 'APEX.SESSION.EXPIRED'));
  p_configuration.put('look', nvl(p_region.attribute_04, 'AVATARS'));
  p_configuration.put('most', nvl(whole_number(p_region.attribute_05, 'Most Shown', 1, 100), 8));
  p_configuration.put('lock', nvl(p_region.attribute_07, 'N') = 'Y');
  p_configuration.put('grid', trim(p_region.attribute_08));
  p_configuration.put('join', not has_option(p_region, 'WATCH_ONLY'));
  p_configuration.put('away', has_option(p_region, 'AWAY'));
  p_configuration.put('myself', has_option(p_region, 'MYSELF'));
  p_configuration.put('lazy', has_option(p_region, 'LAZY'));
  p_configuration.put('stay', has_option(p_region, 'STAY'));
  p_configuration.put('readOnly', has_option(p_region, 'READ_ONLY'));
  p_configuration.put('settings', settings_of(
    p_region.attribute_12,
    ':awaySeconds:label:you:away:more:count:nobody:came:left:edits:rowEdits:kept:somebody:fetch:added:deleted'
      || ':live:paused:offline:pause:resume:'
  ));
end write_configuration;

-- Real-time must not take the page down: an error becomes a text for the debug log, and nobody is seen.
procedure write_or_explain(
  p_region        in apex_plugin.t_region,
  p_plugin        in apex_plugin.t_plugin,
  p_configuration in out nocopy json_object_t
)
is
begin
  begin
    write_configuration(p_region, p_plugin, p_configuration);
  exception
    when e_usage then
      log_failure('Presence');
      p_configuration := json_object_t();
      p_configuration.put('error', usage_text(sqlerrm));
    when others then
      log_failure('Presence');
      p_configuration := json_object_t();
      p_configuration.put('error', 'The token could not be made. The debug log of the page says why.');
  end;
  -- A region that shows nobody can be refreshed all the same.
  p_configuration.put('pageItems', apex_plugin_util.page_item_names_to_jquery(p_region.ajax_items_to_submit));
  p_configuration.put('regions', region_ids(p_region));
end write_or_explain;

function rtm_presence_render(
  p_region              in apex_plugin.t_region,
  p_plugin              in apex_plugin.t_plugin,
  p_is_printer_friendly in boolean
) return apex_plugin.t_region_render_result
is
  l_nothing       apex_plugin.t_region_render_result;
  l_id            constant varchar2(100) := 'rtm_presence_' || p_region.id;
  l_configuration json_object_t := json_object_t();
begin
  if p_is_printer_friendly then
    return l_nothing;
  end if;
  write_or_explain(p_region, p_plugin, l_configuration);
  sys.htp.prn('<div class="rtm-Presence" id="' || l_id || '"></div>');
  -- APEX puts it into its own script, with its nonce; ADD_VALUE makes literals that end no script.
  apex_javascript.add_onload_code(p_code =>
    'rtm.presence('
    || apex_javascript.add_value(l_id)
    || apex_javascript.add_value(l_configuration.to_string)
    || apex_javascript.add_value(apex_plugin.get_ajax_identifier, false)
    || ');');
  return l_nothing;
end rtm_presence_render;

-- x01: CONFIG after a refresh of the region, with the session state of now; ROWS with the rows that the
-- page edits (f02); otherwise a new token. The number of the visit (f01) is the session's own.
function rtm_presence_ajax(
  p_region in apex_plugin.t_region,
  p_plugin in apex_plugin.t_plugin
) return apex_plugin.t_region_ajax_result
is
  l_nothing       apex_plugin.t_region_ajax_result;
  l_answer        json_object_t := json_object_t();
  l_configuration json_object_t := json_object_t();
  l_given         varchar2(32767);
  l_number        number;
  l_token         varchar2(32767);
begin
  if apex_application.g_x01 = 'CONFIG' then
    write_or_explain(p_region, p_plugin, l_configuration);
    l_answer.put('configuration', l_configuration);
  else
    begin
      l_given  := apex_application.g_f01(1);
      l_number := case when regexp_like(l_given, '^[[:digit:]]{1,9}$') then to_number(l_given) end;
      if apex_application.g_x01 = 'ROWS' then
        note_rows(l_number);
      end if;
      l_token := visit_token(l_number, p_region.attribute_11, p_plugin.attribute_01);
      if l_token is null then
        l_answer.put('code', 'not_authorized');
      else
        l_answer.put('token', l_token);
      end if;
    exception
      when e_usage then
        l_answer.put('code', 'not_authorized');
      when others then
        log_failure('Presence, renewal');
        l_answer.put('code', 'token_not_made');
    end;
  end if;
  apex_plugin_util.print_json_http_header;
  sys.htp.prn(l_answer.to_string);
  return l_nothing;
end rtm_presence_ajax;
