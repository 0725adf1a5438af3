-- Item names of a PAGE ITEMS attribute, trimmed and in upper case.
function item_names(p_items in varchar2) return apex_t_varchar2
is
  l_names apex_t_varchar2 := apex_string.split(p_str => p_items, p_sep => ',');
begin
  for i in 1 .. l_names.count loop
    l_names(i) := upper(trim(l_names(i)));
  end loop;
  return l_names;
end item_names;

-- The attribute Retain.
function retain_seconds(p_retain in varchar2) return pls_integer
is
begin
  return whole_number(p_retain, 'Retain', 1, 604800);
end retain_seconds;

-- Hands the message over. Channel, event and time come from the attributes, whoever asks.
procedure send(
  p_api_key   in varchar2,
  p_base_url  in varchar2,
  p_channel   in varchar2,
  p_event     in varchar2,
  p_payload   in clob,
  p_retain    in varchar2,
  p_function  in varchar2
)
is
  l_channel varchar2(32767);
begin
  if p_channel is null then
    raise_usage('Channel: name the channel');
  end if;
  l_channel := substituted(p_channel, 'Channel');
  if not is_allowed(p_function, l_channel, 'SEND') then
    raise_usage('Channel: you may not send to this channel');
  end if;
  websocket_api.broadcast_item(
    p_api_key    => apex_plugin_util.replace_substitutions(p_value => p_api_key, p_escape => false),
    p_base_url   => apex_plugin_util.replace_substitutions(p_value => p_base_url, p_escape => false),
    p_channel    => l_channel,
    p_event_name => substituted(p_event, 'Event Name'),
    p_payload    => p_payload,
    p_on_error   => 'RAISE',
    p_source     => 'APEX-PLUGIN',
    p_retain_s   => retain_seconds(p_retain)
  );
end send;
