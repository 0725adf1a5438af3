create or replace package rtm_row authid definer as
  -- What the triggers of RTM_WATCH call. An application schema needs EXECUTE on it
  -- (sql/grants/app.sql). None of begin_statement, add, skip, flush and failed raises: a mistake of
  -- ours is logged in RTM_LOG and never fails the statement of the application.

  -- Values of one row by kind, each in the order of the watch's columns of that kind.
  type t_numbers    is table of number;
  type t_doubles    is table of binary_double;
  type t_texts      is table of varchar2(32767);
  type t_clobs      is table of clob;
  type t_dates      is table of date;
  type t_timestamps is table of timestamp(9);
  type t_zoned      is table of timestamp(9) with time zone;
  type t_locals     is table of timestamp(9) with local time zone;
  type t_booleans   is table of boolean;

  -- Before the first row of a statement, and again when Oracle restarts it or when a MERGE names a
  -- second operation. p_watch: id in RTM_WATCHED_TABLE. p_op: insert, update or delete.
  procedure begin_statement(p_watch in number, p_op in varchar2);

  -- One row, or the part of a wide row that one of several triggers sees.
  procedure add(
    p_watch      in number,
    p_part       in number,
    p_op         in varchar2,
    p_numbers    in t_numbers    default null,
    p_doubles    in t_doubles    default null,
    p_texts      in t_texts      default null,
    p_clobs      in t_clobs      default null,
    p_dates      in t_dates      default null,
    p_timestamps in t_timestamps default null,
    p_zoned      in t_zoned      default null,
    p_locals     in t_locals     default null,
    p_booleans   in t_booleans   default null
  );

  -- A row that the condition of the watch leaves out; only where several triggers see each row.
  procedure skip(p_watch in number, p_part in number);

  -- After the last row: sends what was collected, and forgets it. A second call sends nothing.
  procedure flush(p_watch in number);

  -- An error in the trigger itself, such as in the condition of the watch.
  procedure failed(p_watch in number, p_error in varchar2);

  -- One column. Numbers of more than 15 significant digits become strings, because JavaScript would
  -- round them; dates become ISO 8601 text (with the offset when the type has one) of the Gregorian
  -- calendar.
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
  -- {"op":"bulk","table":..,"rows":..}: more rows changed than are sent one by one.
  function bulk(p_table in varchar2, p_rows in number) return clob;
  -- Logs an error in a transaction of its own. Never raises.
  procedure log_error(p_channel in varchar2, p_table in varchar2, p_error in varchar2);
end rtm_row;
/
