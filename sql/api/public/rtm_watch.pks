create or replace package rtm_watch authid current_user as
  -- Broadcasts the changes of a table: generates a readable compound trigger RTM_W_<table>. Runs with
  -- the rights of the caller, and the trigger belongs to the table's schema, which needs EXECUTE on
  -- WEBSOCKET_API and RTM_ROW (sql/grants/app.sql).

  -- Each inserted, updated or deleted row is one message
  --   {"op":"insert|update|delete","table":"SALES","row":{"ID":42,...}}
  -- with the event <prefix>-inserted, <prefix>-updated or <prefix>-deleted: the new values, or the old
  -- ones of a deleted row. A statement that changes more than p_max_rows rows sends one message
  -- {"op":"bulk","table":"SALES","rows":1234} with the event <prefix>-bulk instead.
  -- An error of the trigger is logged in RTM_LOG; it never fails the statement.

  -- p_table: [SCHEMA.]TABLE. p_channel: the channel. p_columns: the columns to send, separated by
  -- commas; null is every column of a supported type (numbers, text, CLOB, dates, timestamps,
  -- booleans). p_event_prefix: null is the table's name in lower case. p_when: a PL/SQL condition on
  -- :new and :old (:new is null on delete); null is every row. p_max_rows: 1 to 10,000.
  -- Raises -20140 unknown table, -20141 unknown column, -20142 column of an unsupported type,
  -- -20143 missing CREATE TRIGGER, -20144 the trigger does not compile (p_when), -20106 other
  -- parameters. Commits, as all DDL does.
  procedure watch(
    p_table        in varchar2,
    p_channel      in varchar2,
    p_columns      in varchar2 default null,
    p_event_prefix in varchar2 default null,
    p_when         in varchar2 default null,
    p_max_rows     in number   default 500
  );

  -- Drops the trigger of watch; nothing when there is none.
  procedure unwatch(p_table in varchar2);

  -- The source that watch would create, with the same parameters.
  function generated_source(
    p_table        in varchar2,
    p_channel      in varchar2,
    p_columns      in varchar2 default null,
    p_event_prefix in varchar2 default null,
    p_when         in varchar2 default null,
    p_max_rows     in number   default 500
  ) return clob;
end rtm_watch;
/
