create or replace package rtm_watch_registry authid definer as
  -- Private. The rows of RTM_WATCHED_TABLE and RTM_WATCHED_COLUMN, for RTM_WATCH, which runs with the
  -- rights of its caller, and for the triggers. Changes are transactions of their own.

  -- Raised by one with each change of what a trigger looks like: an upgrade makes older ones again.
  c_version constant pls_integer := 1;

  type t_tables is table of rtm_watched_table%rowtype index by pls_integer;
  type t_columns is table of rtm_watched_column%rowtype index by pls_integer;

  -- The schema of this installation.
  function schema_name return varchar2;
  -- True for tables of the installation itself.
  function is_own_table(p_owner in varchar2, p_table in varchar2) return boolean;
  -- True when this schema has granted EXECUTE on RTM_ROW to p_schema, or to PUBLIC.
  function has_grant(p_schema in varchar2) return boolean;
  -- Raises -20101 unless the channel and the events of a watch are valid names.
  procedure check_names(p_channel in varchar2, p_event_prefix in varchar2);

  -- A row; all fields are null when there is none.
  function find_id(p_id in number) return rtm_watched_table%rowtype;
  function find_table(p_owner in varchar2, p_table in varchar2) return rtm_watched_table%rowtype;
  -- The current rows by owner and table; p_owner null: of all owners.
  function current_rows(p_owner in varchar2 default null) return t_tables;

  -- Adds a row that is not current yet, and returns it with its id and its trigger's name: that of
  -- the table's row before it, else a new one.
  function add(p_row in rtm_watched_table%rowtype, p_columns in t_columns) return rtm_watched_table%rowtype;
  -- Makes a row the current one of its table, and forgets the others.
  procedure activate(p_id in number);
  -- Forgets one row, or all of a table.
  procedure remove(p_id in number);
  procedure remove_table(p_owner in varchar2, p_table in varchar2);
  -- The table of a row has got another name. By its id: of two tables that swap their names, each in its
  -- turn has the name of the other.
  procedure rename_table(p_id in number, p_new_name in varchar2);
end rtm_watch_registry;
/
