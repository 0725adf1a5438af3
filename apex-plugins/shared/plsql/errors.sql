-- What the page's author did wrong. The text names the attribute and the fix; it may be shown.
e_usage exception;
pragma exception_init(e_usage, -20190);

procedure raise_usage(p_message in varchar2)
is
begin
  raise_application_error(-20190, p_message);
end raise_usage;

-- The text of a usage error without its number.
function usage_text(p_error in varchar2) return varchar2
is
begin
  return regexp_replace(regexp_substr(p_error, '^[^' || chr(10) || ']*'), '^ORA-20190: ');
end usage_text;

-- For the debug log. Never a key, never a payload.
procedure log_failure(p_where in varchar2)
is
begin
  apex_debug.error('rtm: %s: %s %s', p_where, sqlerrm, sys.dbms_utility.format_error_backtrace);
end log_failure;
