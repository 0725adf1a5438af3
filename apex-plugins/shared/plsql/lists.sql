-- The entries of a list. Split before anything is substituted, so that a session value cannot add
-- an entry.
function entries(p_list in varchar2) return apex_t_varchar2
is
  l_raw   apex_t_varchar2 := apex_string.split(p_str => p_list, p_sep => ',');
  l_clean apex_t_varchar2 := apex_t_varchar2();
  l_entry varchar2(4000);
begin
  for i in 1 .. l_raw.count loop
    l_entry := regexp_replace(l_raw(i), '^[[:space:]]+|[[:space:]]+$');
    if l_entry is not null then
      l_clean.extend;
      l_clean(l_clean.count) := l_entry;
    end if;
  end loop;
  return l_clean;
end entries;

function json_list(p_values in apex_t_varchar2) return json_array_t
is
  l_list json_array_t := json_array_t();
begin
  for i in 1 .. p_values.count loop
    l_list.append(p_values(i));
  end loop;
  return l_list;
end json_list;
