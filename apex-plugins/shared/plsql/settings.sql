-- Replaces the substitutions in the texts of an object.
procedure substitute_texts(p_object in out nocopy json_object_t)
is
  l_members constant json_key_list := p_object.get_keys;
  l_text    varchar2(32767);
begin
  for i in 1 .. l_members.count loop
    if p_object.get(l_members(i)).is_string then
      l_text := p_object.get_string(l_members(i));
      p_object.put(l_members(i), apex_plugin_util.replace_substitutions(p_value => l_text, p_escape => false));
    end if;
  end loop;
end substitute_texts;

-- The attribute Settings: a JSON object with the members that p_known (':a:b:') allows. Substitutions are
-- replaced in its texts after it is parsed, so that a session value cannot add a member.
function settings_of(p_settings in varchar2, p_known in varchar2) return json_object_t
is
  l_settings json_object_t := json_object_t();
  l_members  json_key_list;
begin
  if p_settings is null then
    return l_settings;
  end if;
  begin
    l_settings := json_object_t.parse(p_settings);
  exception
    when others then
      raise_usage('Settings: write a JSON object, for example {"key": "value"}');
  end;
  l_members := l_settings.get_keys;
  for i in 1 .. l_members.count loop
    if instr(p_known, ':' || l_members(i) || ':') = 0 then
      raise_usage('Settings: there is no ' || l_members(i) || '; known are '
        || replace(trim(':' from p_known), ':', ', '));
    end if;
  end loop;
  substitute_texts(l_settings);
  return l_settings;
end settings_of;
