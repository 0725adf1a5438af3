-- One name of a channel or an event with its substitutions, unescaped: a name is not HTML.
-- p_literal is what the developer wrote; only there a wildcard or a separator is legal. A session
-- value that is empty or holds one would widen or shift what the name grants, so it is an error.
function substituted(p_literal in varchar2, p_attribute in varchar2) return varchar2
is
  c_reference constant varchar2(60) := '&[[:alnum:]_$#"]+(![[:alpha:]]+)?\.';
  l_result    varchar2(32767);
  l_reference varchar2(4000);
  l_value     varchar2(32767);
  l_from      pls_integer := 1;
  l_start     pls_integer;
begin
  loop
    l_start := regexp_instr(p_literal, c_reference, l_from);
    exit when nvl(l_start, 0) = 0;
    l_reference := regexp_substr(p_literal, c_reference, l_from);
    l_value     := apex_plugin_util.replace_substitutions(p_value => l_reference, p_escape => false);
    if l_value is null then
      raise_usage(p_attribute || ': ' || l_reference || ' is empty. Set it before the page is rendered.');
    elsif l_value = l_reference then
      raise_usage(p_attribute || ': there is no item for ' || l_reference);
    elsif regexp_like(l_value, '[*,[:cntrl:]]') then
      raise_usage(p_attribute || ': the value of ' || l_reference || ' holds a *, a comma or a control character');
    end if;
    l_result := l_result || substr(p_literal, l_from, l_start - l_from) || l_value;
    l_from   := l_start + length(l_reference);
  end loop;
  return l_result || substr(p_literal, l_from);
end substituted;

-- Is the installation's function, if there is one, in favour? p_operation: LISTEN, SEND or
-- PRESENCE. The function is called by name: my_schema.my_function(p_user, p_channel, p_operation) return boolean.
function is_allowed(
  p_function  in varchar2,
  p_channel   in varchar2,
  p_operation in varchar2
) return boolean
is
  l_answer varchar2(1);
begin
  if p_function is null then
    return true;
  end if;
  execute immediate
    'begin :answer := case when ' || sys.dbms_assert.qualified_sql_name(trim(p_function))
    || '(p_user => :user_name, p_channel => :channel, p_operation => :operation)'
    || ' then ''Y'' else ''N'' end; end;'
    using out l_answer, in apex_application.g_user, in p_channel, in p_operation;
  return l_answer = 'Y';
end is_allowed;
