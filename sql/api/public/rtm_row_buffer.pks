create or replace package rtm_row_buffer authid definer as
  -- Private. The rows of the statements that are being executed on watched tables, until each is sent:
  -- state of the session, kept out of the triggers because a compound trigger can lose its own in a
  -- MERGE. A statement is known by its watch and by the depth of the call stack, so that a statement
  -- within another one (of a trigger, of a cascade) has rows of its own.

  type t_column is record (name varchar2(128), kind varchar2(10), place pls_integer);
  type t_columns is table of t_column index by pls_integer;

  -- The columns of the watch and part of the last call of wants. For RTM_ROW.
  g_columns t_columns;

  -- p_depth: utl_call_stack.dynamic_depth in the caller, the same in all sections of a trigger.
  procedure begin_statement(p_watch in number, p_op in varchar2, p_depth in pls_integer);

  -- Counts a row. True when its values are wanted: they go into p_row, and close_part follows. False
  -- above the limit of rows or of text.
  function wants(
    p_watch in  number,
    p_part  in  number,
    p_op    in  varchar2,
    p_depth in  pls_integer,
    p_row   out nocopy json_object_t
  ) return boolean;
  procedure close_part(p_row in json_object_t);

  -- A row that the condition leaves out, in one of several triggers that see each row.
  procedure skip(p_watch in number, p_part in number, p_depth in pls_integer);

  -- Sends the rows as messages, or one bulk message above the limit; nothing when there are none.
  procedure flush(p_watch in number, p_depth in pls_integer);
end rtm_row_buffer;
/
