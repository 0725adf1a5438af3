create or replace package rtm_watch_source authid current_user as
  -- Private. The text of the triggers of RTM_WATCH, and the names that its callers write. Runs with the
  -- rights of the caller, as RTM_WATCH does, and sees the tables that the caller sees.

  type t_name is record (name varchar2(32767), is_quoted boolean);
  type t_names is table of t_name index by pls_integer;

  -- A name in double quotes, whatever it holds.
  function sql_name(p_name in varchar2) return varchar2;
  -- Both parts of [SCHEMA.]TABLE as the dictionary spells them. Raises -20140.
  procedure split_name(p_table in varchar2, p_owner out varchar2, p_name out varchar2);
  function table_is_visible(p_owner in varchar2, p_name in varchar2) return boolean;

  -- The row that a call of RTM_WATCH.WATCH would register, with its columns in the table's order and
  -- their types. Raises what WATCH raises for its parameters.
  procedure check_call(
    p_table        in  varchar2,
    p_channel      in  varchar2,
    p_columns      in  varchar2,
    p_event_prefix in  varchar2,
    p_when         in  varchar2,
    p_max_rows     in  number,
    p_row          out nocopy rtm_watched_table%rowtype,
    p_found        out nocopy rtm_watch_registry.t_columns,
    p_types        out nocopy t_names
  );

  -- RTM_W_... or, for a trial, RTM_T_...; the second and later parts have a number.
  function trigger_name(
    p_row   in rtm_watched_table%rowtype,
    p_part  in pls_integer,
    p_trial in boolean default false
  ) return varchar2;

  -- One trigger. p_trial: under the name of the trial, and never fired.
  function source(
    p_row     in rtm_watched_table%rowtype,
    p_columns in rtm_watch_registry.t_columns,
    p_types   in t_names,
    p_part    in pls_integer,
    p_trial   in boolean
  ) return clob;
end rtm_watch_source;
/
