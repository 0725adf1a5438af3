create or replace package rtm_row authid definer as
  -- What the triggers of RTM_WATCH call: one row as JSON, and their errors. An application schema
  -- needs EXECUTE on it (sql/grants/app.sql).

  -- One column. Numbers of more than 15 significant digits become strings, because JavaScript would
  -- round them; dates become ISO 8601 text (with the offset when the type has one).
  procedure put(p_row in out nocopy json_object_t, p_name in varchar2, p_value in number);
  procedure put(p_row in out nocopy json_object_t, p_name in varchar2, p_value in binary_double);
  procedure put(p_row in out nocopy json_object_t, p_name in varchar2, p_value in varchar2);
  procedure put(p_row in out nocopy json_object_t, p_name in varchar2, p_value in clob);
  procedure put(p_row in out nocopy json_object_t, p_name in varchar2, p_value in date);
  procedure put(p_row in out nocopy json_object_t, p_name in varchar2, p_value in timestamp);
  procedure put(
    p_row   in out nocopy json_object_t,
    p_name  in varchar2,
    p_value in timestamp with time zone
  );
  procedure put(
    p_row   in out nocopy json_object_t,
    p_name  in varchar2,
    p_value in timestamp with local time zone
  );
  procedure put(p_row in out nocopy json_object_t, p_name in varchar2, p_value in boolean);

  -- {"op":..,"table":..,"row":..} as JSON text.
  function change(p_op in varchar2, p_table in varchar2, p_row in json_object_t) return clob;
  -- {"op":"bulk","table":..,"rows":..}: more rows changed in one statement than are sent one by one.
  function bulk(p_table in varchar2, p_rows in number) return clob;

  -- The schema of this installation.
  function owner return varchar2;
  -- Raises -20101 unless the channel and the events of a watch are valid names.
  procedure check_names(p_channel in varchar2, p_event_prefix in varchar2);

  -- Logs an error of a trigger in a transaction of its own. Never raises: the statement goes on.
  procedure log_error(p_channel in varchar2, p_table in varchar2, p_error in varchar2);
end rtm_row;
/
