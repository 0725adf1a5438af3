-- How long a token may live: as long as the attribute says, and not longer than the APEX session.
function token_seconds(p_minutes in varchar2) return number
is
  l_wanted  constant number := 60 * whole_number(p_minutes, 'Token Life', 1, 1440);
  l_ends    date;
begin
  if l_wanted is null then
    return null;
  end if;
  select min(least(session_idle_timeout_on, session_life_timeout_on)) into l_ends
    from apex_workspace_sessions
   where apex_session_id = apex_application.g_instance;
  return greatest(10, least(l_wanted, nvl(trunc((l_ends - sysdate) * 86400), l_wanted)));
end token_seconds;
