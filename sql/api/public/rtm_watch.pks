create or replace package rtm_watch authid current_user as
  -- Broadcasts the changes of a table: makes a small compound trigger that hands each row to RTM_ROW.
  -- Runs with the rights of the caller; the trigger belongs to the table's schema, which needs EXECUTE
  -- on RTM_ROW (sql/grants/app.sql). The view RTM_WATCHES shows all watches. Not for SYS (ORA-06598).

  -- Each inserted, updated or deleted row is one message
  --   {"op":"insert|update|delete","table":"SALES","row":{"ID":42,...}}
  -- with the event <prefix>-inserted, <prefix>-updated or <prefix>-deleted: the new values, or the old
  -- ones of a deleted row. A row that is too long for a message comes without its CLOBs (then without
  -- its texts), which "omitted" names. The rows of a statement, and all of a transaction beyond
  -- p_max_rows, become one message of the transaction instead
  --   {"op":"bulk","table":"SALES","rows":1234}
  -- with the event <prefix>-bulk: "rows" is how many had changed then, and more may follow it.
  -- An error of the trigger is logged in RTM_LOG; it never fails the statement.

  -- p_table: [SCHEMA.]TABLE as in SQL, so a name with lower case or blanks is in double quotes.
  -- p_channel: the channel. p_columns: the columns to send, separated by commas (with names in double
  -- quotes where SQL needs them), or a JSON array of names as the dictionary spells them; null is
  -- every visible column of a supported type (numbers, text, CLOB, dates, timestamps, booleans).
  -- p_event_prefix: null is the table's name in lower case. p_when: a PL/SQL condition on :new and
  -- :old (:new is null on delete), at most 20,000 bytes; null is every row. p_max_rows: 1 to 10,000.
  -- Raises -20140 unknown table, -20141 unknown column, -20142 column of an unsupported type,
  -- -20143 a missing grant, -20144 the trigger does not compile (p_when), -20145 a table of apex-rtm
  -- itself, -20106 other parameters. Commits, as all DDL does.
  procedure watch(
    p_table        in varchar2,
    p_channel      in varchar2,
    p_columns      in varchar2 default null,
    p_event_prefix in varchar2 default null,
    p_when         in varchar2 default null,
    p_max_rows     in number   default 500
  );

  -- Drops the trigger of watch and forgets it, also of a table that is gone; nothing when there is
  -- none. Raises -20143 when the caller may not drop it.
  procedure unwatch(p_table in varchar2);

  -- Makes the triggers again that the caller may make, from what is registered; of p_table, or of all
  -- tables. p_old_only: only those of an older version, as the installation does. Tables that were
  -- renamed keep their watch, those of the caller that were dropped lose it. Says what it did in
  -- DBMS_OUTPUT.
  procedure refresh(p_table in varchar2 default null, p_old_only in boolean default false);

  -- One line per watch: the table, where its changes go, and the state of its trigger as far as the
  -- caller can see it.
  function list return clob;

  -- The source that watch would create, with the same parameters. A wide table has several triggers.
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
