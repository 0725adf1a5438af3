-- The members of the attribute Settings.
function listener_settings(p_settings in varchar2) return json_object_t
is
begin
  return settings_of(
    p_settings,
    ':key:by:last:live:catchingUp:offline:signIn:type:title:link:seconds:position:cssClass:close:more:badge:count'
      || ':clear:badgeLabel:member:'
  );
end listener_settings;

-- What others see of the user: the member of that name of Settings.
function member_info(p_settings in varchar2) return varchar2
is
  l_settings constant json_object_t := listener_settings(p_settings);
  l_member   json_object_t;
begin
  if not nvl(l_settings.has('member'), false) then
    return null;
  elsif not l_settings.get('member').is_object then
    raise_usage('Settings: member is an object, for example {"member": {"name": "&APP_USER."}}');
  end if;
  l_member := l_settings.get_object('member');
  substitute_texts(l_member);
  if lengthb(l_member.to_string) > 512 then
    raise_usage('Settings: member has more than 512 bytes');
  end if;
  return l_member.to_string;
end member_info;

-- The user's own channel. Without a login everybody would share it.
function own_channel return varchar2
is
begin
  if not nvl(is_logged_in, false) then
    raise_usage('Channel: #USER# needs a user who has logged in');
  end if;
  return websocket_api.user_channel(p_user => apex_application.g_user);
end own_channel;

-- Adds a channel when the installation lets this user hear it. The only place where rights come from.
function grant_channel(
  p_channel  in varchar2,
  p_function in varchar2,
  p_granted  in out nocopy websocket_api.t_channels
) return boolean
is
begin
  for i in 1 .. p_granted.count loop
    if p_granted(i) = p_channel then
      return true;
    end if;
  end loop;
  if is_allowed(p_function, p_channel, 'LISTEN') then
    p_granted(p_granted.count + 1) := p_channel;
    return true;
  end if;
  apex_debug.warn('rtm: %s may not listen to %s', apex_application.g_user, p_channel);
  return false;
end grant_channel;

-- The channels of the attribute that the installation lets this user hear. Always computed from the
-- attribute; nothing that the browser sends has a part in it.
procedure find_channels(
  p_dynamic_action in apex_plugin.t_dynamic_action,
  p_plugin         in apex_plugin.t_plugin,
  p_granted        out nocopy websocket_api.t_channels,
  p_subscribed     out nocopy apex_t_varchar2
)
is
  l_function constant varchar2(32767) := p_plugin.attribute_01;
  l_entries  constant apex_t_varchar2 := entries(nvl(p_dynamic_action.attribute_02, 'test'));
  l_channel  varchar2(32767);
begin
  p_granted.delete;
  p_subscribed := apex_t_varchar2();
  if l_entries.count = 0 then
    raise_usage('Channel: name at least one channel');
  end if;
  for i in 1 .. l_entries.count loop
    l_channel := case
                   when l_entries(i) = '#USER#' then own_channel
                   else substituted(l_entries(i), 'Channel')
                 end;
    if l_channel = '*' then
      raise_usage('Channel: * alone would grant every channel. Name a prefix.');
    elsif instr(l_channel, '*') between 1 and length(l_channel) - 1 then
      raise_usage('Channel: * may only be the last character of ' || l_entries(i));
    end if;
    -- A prefix grants; what a script of the page subscribes to has a full name.
    if grant_channel(l_channel, l_function, p_granted) and l_channel not like '%*' then
      p_subscribed.extend;
      p_subscribed(p_subscribed.count) := l_channel;
    end if;
  end loop;
end find_channels;

function wants_token(p_dynamic_action in apex_plugin.t_dynamic_action) return boolean
is
begin
  return nvl(p_dynamic_action.attribute_12, 'TOKEN') <> 'PUBLIC';
end wants_token;

-- Adds a channel where the user is seen, or sees who is there, when the installation lets it.
procedure grant_presence(
  p_channel  in varchar2,
  p_function in varchar2,
  p_join     in boolean,
  p_watch    in boolean,
  p_options  in out nocopy websocket_api.t_token_options
)
is
begin
  if not (p_join or p_watch) then
    return;
  elsif not is_allowed(p_function, p_channel, 'PRESENCE') then
    apex_debug.warn('rtm: %s may have no presence in %s', apex_application.g_user, p_channel);
    return;
  end if;
  if p_join then
    p_options.presence_join(p_options.presence_join.count + 1) := p_channel;
  end if;
  if p_watch then
    p_options.presence_watch(p_options.presence_watch.count + 1) := p_channel;
  end if;
end grant_presence;

-- Adds a channel where the page may send client events, when the installation lets it.
procedure grant_events(
  p_channel  in varchar2,
  p_function in varchar2,
  p_options  in out nocopy websocket_api.t_token_options
)
is
begin
  if is_allowed(p_function, p_channel, 'SEND') then
    p_options.publish(p_options.publish.count + 1) := p_channel;
  else
    apex_debug.warn('rtm: %s may send no events to %s', apex_application.g_user, p_channel);
  end if;
end grant_events;

-- What the token grants beside channels: the attribute Options says whether the user is seen and sees
-- others, and whether the page may send client events. A prefix is for scripts of the page, which may ask
-- for the same in its channels.
procedure find_options(
  p_dynamic_action in apex_plugin.t_dynamic_action,
  p_plugin         in apex_plugin.t_plugin,
  p_granted        in websocket_api.t_channels,
  p_options        in out nocopy websocket_api.t_token_options
)
is
  l_function constant varchar2(32767) := p_plugin.attribute_01;
  l_wishes   constant varchar2(32767) := ':' || p_dynamic_action.attribute_13 || ':';
  l_join     constant boolean := instr(l_wishes, ':JOIN:') > 0;
  l_watch    constant boolean := instr(l_wishes, ':WATCH:') > 0;
  l_events   constant boolean := instr(l_wishes, ':EVENTS:') > 0;
begin
  if l_join then
    p_options.member_info := member_info(p_dynamic_action.attribute_15);
  end if;
  for i in 1 .. p_granted.count loop
    grant_presence(p_granted(i), l_function, l_join, l_watch, p_options);
    if l_events then
      grant_events(p_granted(i), l_function, p_options);
    end if;
  end loop;
end find_options;

function list_text(p_channels in websocket_api.t_channels) return varchar2
is
  l_list json_array_t := json_array_t();
begin
  for i in 1 .. p_channels.count loop
    l_list.append(p_channels(i));
  end loop;
  return l_list.to_string;
end list_text;

-- What the page's listeners were granted is kept in the APEX session, where the browser cannot change
-- it: one listener can then renew the token for all. Returns the number under which it is found again,
-- or null when there is no room for it.
function noted_grant(
  p_channels in websocket_api.t_channels,
  p_options  in websocket_api.t_token_options
) return pls_integer
is
  l_text   constant varchar2(32767) := list_text(p_channels);
  l_join   constant varchar2(32767) := list_text(p_options.presence_join);
  l_watch  constant varchar2(32767) := list_text(p_options.presence_watch);
  l_events constant varchar2(32767) := list_text(p_options.publish);
  l_info   constant varchar2(4000)  := p_options.member_info;
  l_number pls_integer;
begin
  if greatest(lengthb(l_text), lengthb(l_join), lengthb(l_watch), lengthb(l_events)) > 4000 then
    return null;
  end if;
  if not apex_collection.collection_exists(p_collection_name => 'RTM_LISTENERS') then
    apex_collection.create_collection(p_collection_name => 'RTM_LISTENERS');
  end if;
  select min(seq_id) into l_number
    from apex_collections
   where collection_name = 'RTM_LISTENERS'
     and c001 = l_text and c002 = l_join and c003 = l_watch and c005 = l_events
     and (c004 = l_info or c004 is null and l_info is null);
  if l_number is null then
    l_number := apex_collection.add_member(
      p_collection_name => 'RTM_LISTENERS',
      p_c001            => l_text,
      p_c002            => l_join,
      p_c003            => l_watch,
      p_c004            => l_info,
      p_c005            => l_events);
  end if;
  return l_number;
end noted_grant;

-- Adds what the page's other listeners were granted. The request names numbers, never channels, and
-- every channel is asked for again.
procedure add_noted(
  p_function in varchar2,
  p_granted  in out nocopy websocket_api.t_channels,
  p_options  in out nocopy websocket_api.t_token_options
)
is
  c_most   constant pls_integer := 100;
  l_number varchar2(32767);
  l_text   varchar2(4000);
  l_join   varchar2(4000);
  l_watch  varchar2(4000);
  l_info   varchar2(4000);
  l_events varchar2(4000);
  l_list   json_array_t;
  l_known  boolean;
begin
  for i in 1 .. apex_application.g_f01.count loop
    l_number := apex_application.g_f01(i);
    if regexp_like(l_number, '^[[:digit:]]{1,9}$') then
      select max(c001), max(c002), max(c003), max(c004), max(c005)
        into l_text, l_join, l_watch, l_info, l_events
        from apex_collections
       where collection_name = 'RTM_LISTENERS' and seq_id = to_number(l_number);
      l_list := json_array_t.parse(nvl(l_text, '[]'));
      for j in 0 .. l_list.get_size - 1 loop
        exit when p_granted.count >= c_most;
        l_known := grant_channel(l_list.get_string(j), p_function, p_granted);
      end loop;
      l_list := json_array_t.parse(nvl(l_join, '[]'));
      for j in 0 .. l_list.get_size - 1 loop
        exit when p_options.presence_join.count >= c_most;
        grant_presence(l_list.get_string(j), p_function, true, false, p_options);
      end loop;
      l_list := json_array_t.parse(nvl(l_watch, '[]'));
      for j in 0 .. l_list.get_size - 1 loop
        exit when p_options.presence_watch.count >= c_most;
        grant_presence(l_list.get_string(j), p_function, false, true, p_options);
      end loop;
      l_list := json_array_t.parse(nvl(l_events, '[]'));
      for j in 0 .. l_list.get_size - 1 loop
        exit when p_options.publish.count >= c_most;
        grant_events(l_list.get_string(j), p_function, p_options);
      end loop;
      p_options.member_info := nvl(p_options.member_info, l_info);
    end if;
  end loop;
end add_noted;

-- An action from before there were tokens (Access is null) goes on without one when none can be made;
-- the relay then lets it listen to public channels only.
procedure add_token(
  p_dynamic_action in apex_plugin.t_dynamic_action,
  p_channels       in websocket_api.t_channels,
  p_options        in websocket_api.t_token_options,
  p_configuration  in out nocopy json_object_t
)
is
  l_seconds constant number := token_seconds(p_dynamic_action.attribute_14);
  l_token   varchar2(32767);
begin
  l_token := websocket_api.client_token(
    p_channels => p_channels,
    p_options  => p_options,
    p_ttl_s    => l_seconds);
  p_configuration.put('token', l_token);
  p_configuration.put('renew', true);
  p_configuration.put('grant', noted_grant(p_channels, p_options));
  p_configuration.put('sessionEnded', apex_lang.message(p_name => 'APEX.SESSION.EXPIRED'));
exception
  when others then
    if p_dynamic_action.attribute_12 is not null then
      raise;
    end if;
    log_failure('Listener without a token');
end add_token;

-- Writes one JSON configuration for the page: no key, and nothing that the page must not know.
procedure write_configuration(
  p_dynamic_action in apex_plugin.t_dynamic_action,
  p_plugin         in apex_plugin.t_plugin,
  p_configuration  in out nocopy json_object_t
)
is
  l_url         constant varchar2(32767) := 
    coalesce(p_dynamic_action.attribute_01, p_plugin.attribute_02, '/rtm/ws');
  l_events      constant varchar2(32767) := nvl(p_dynamic_action.attribute_03, 'ping');
  l_apex_event  constant varchar2(32767) := nvl(p_dynamic_action.attribute_04, 'rtm-message');
  l_on_message  constant varchar2(32767) := p_dynamic_action.attribute_05;
  l_items       constant varchar2(32767) := p_dynamic_action.attribute_06;
  l_regions     constant varchar2(32767) := p_dynamic_action.attribute_07;
  l_text        constant varchar2(32767) := p_dynamic_action.attribute_08;
  l_throttle    constant varchar2(32767) := nvl(p_dynamic_action.attribute_09, '200');
  l_after_gap   constant varchar2(32767) := p_dynamic_action.attribute_10;
  l_fire_change constant varchar2(32767) := nvl(p_dynamic_action.attribute_11, 'Y');
  l_options     constant varchar2(32767) := p_dynamic_action.attribute_13;
  l_settings    constant varchar2(32767) := p_dynamic_action.attribute_15;
  l_event_names apex_t_varchar2 := entries(l_events);
  l_granted     websocket_api.t_channels;
  l_token       websocket_api.t_token_options;
  l_subscribed  apex_t_varchar2;
  l_shown       json_object_t;
  l_last        pls_integer;
begin
  find_channels(p_dynamic_action, p_plugin, l_granted, l_subscribed);
  find_options(p_dynamic_action, p_plugin, l_granted, l_token);
  if l_on_message = 'BADGE' and not nvl(listener_settings(l_settings).has('badge'), false) then
    raise_usage('Settings: name the element of the badge, for example {"badge": "NAV_ORDERS"}');
  end if;
  if l_granted.count = 0 then
    raise_usage('Channel: you may not listen to any of the channels');
  elsif l_subscribed.count = 0 then
    raise_usage('Channel: name a channel that does not end with *, too');
  end if;
  for i in 1 .. l_event_names.count loop
    if l_event_names(i) <> '*' then
      l_event_names(i) := substituted(l_event_names(i), 'Event Name');
    end if;
  end loop;
  p_configuration.put('url', apex_plugin_util.replace_substitutions(p_value => l_url, p_escape => false));
  p_configuration.put('channels', json_list(l_subscribed));
  p_configuration.put('events', json_list(l_event_names));
  p_configuration.put('apexEvent', l_apex_event);
  p_configuration.put('onMessage', l_on_message);
  p_configuration.put('items', json_list(entries(upper(l_items))));
  p_configuration.put('regions', json_list(entries(l_regions)));
  p_configuration.put('text', apex_plugin_util.replace_substitutions(p_value => l_text, p_escape => false));
  p_configuration.put('throttleMs', whole_number(l_throttle, 'Throttle', 0, 60000));
  p_configuration.put('refreshAfterGap', nvl(l_after_gap, 'EVENT') = 'REFRESH');
  p_configuration.put('fireChange', l_fire_change = 'Y');
  p_configuration.put('options', json_list(entries(replace(l_options, ':', ','))));
  l_shown := listener_settings(l_settings);
  if nvl(l_shown.has('last'), false) then
    l_last := whole_number(trim('"' from l_shown.get('last').to_string), 'Settings: last', 1, 10);
    l_shown.put('last', l_last);
    if instr(':' || l_options || ':', ':LAST:') = 0 then
      raise_usage('Settings: last needs the option Last Values');
    end if;
  end if;
  l_shown.remove('member');
  p_configuration.put('settings', l_shown);
  if wants_token(p_dynamic_action) then
    add_token(p_dynamic_action, l_granted, l_token, p_configuration);
  end if;
end write_configuration;

function rtm_listener_render(
  p_dynamic_action in apex_plugin.t_dynamic_action,
  p_plugin         in apex_plugin.t_plugin
) return apex_plugin.t_dynamic_action_render_result
is
  l_result        apex_plugin.t_dynamic_action_render_result;
  l_configuration json_object_t := json_object_t();
begin
  -- Real-time must not take the page down: an error becomes a status event of the action.
  begin
    write_configuration(p_dynamic_action, p_plugin, l_configuration);
  exception
    when e_usage then
      log_failure('Listener');
      l_configuration := json_object_t();
      l_configuration.put('error', usage_text(sqlerrm));
    when others then
      log_failure('Listener');
      l_configuration := json_object_t();
      l_configuration.put('error', 'The token could not be made. The debug log of the page says why.');
  end;
  l_result.javascript_function := 'rtm.listen';
  l_result.ajax_identifier     := apex_plugin.get_ajax_identifier;
  l_result.attribute_01        := l_configuration.to_string;
  return l_result;
end rtm_listener_render;

-- Renews the token for all listeners of the page. APEX has checked the session before it gets here.
function rtm_listener_ajax(
  p_dynamic_action in apex_plugin.t_dynamic_action,
  p_plugin         in apex_plugin.t_plugin
) return apex_plugin.t_dynamic_action_ajax_result
is
  l_nothing    apex_plugin.t_dynamic_action_ajax_result;
  l_answer     json_object_t := json_object_t();
  l_granted    websocket_api.t_channels;
  l_options    websocket_api.t_token_options;
  l_subscribed apex_t_varchar2;
  l_seconds    number;
begin
  begin
    find_channels(p_dynamic_action, p_plugin, l_granted, l_subscribed);
    find_options(p_dynamic_action, p_plugin, l_granted, l_options);
    add_noted(p_plugin.attribute_01, l_granted, l_options);
    if not wants_token(p_dynamic_action) or l_granted.count = 0 then
      l_answer.put('code', 'not_authorized');
    else
      l_seconds := token_seconds(p_dynamic_action.attribute_14);
      l_answer.put('token', websocket_api.client_token(
        p_channels => l_granted,
        p_options  => l_options,
        p_ttl_s    => l_seconds));
    end if;
  exception
    when others then
      log_failure('Listener, renewal');
      l_answer.put('code', 'token_not_made');
  end;
  apex_plugin_util.print_json_http_header;
  sys.htp.prn(l_answer.to_string);
  return l_nothing;
end rtm_listener_ajax;
