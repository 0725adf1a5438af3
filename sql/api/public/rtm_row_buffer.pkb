create or replace package body rtm_row_buffer as
  -- More text than this in one statement becomes a bulk message: 16 to 32 MB of the session's memory.
  c_max_units constant pls_integer := 8000000;
  -- What the relay adds to a payload (docs/sql-api.md, max_message_bytes).
  c_frame_bytes constant pls_integer := 1024;
  -- Transactions whose rows are counted at the same time: autonomous ones within others.
  c_max_transactions constant pls_integer := 50;

  type t_watch is record (
    id          number,
    table_name  varchar2(128),
    channel     varchar2(128),
    prefix      varchar2(128),
    max_rows    number,
    parts       number,
    max_bytes   number
  );
  type t_watches is table of t_watch index by pls_integer;
  type t_change is record (op varchar2(10), payload clob);
  type t_changes is table of t_change index by pls_integer;
  type t_parts is table of boolean index by pls_integer;
  type t_statement is record (
    watch_id    number,
    depth       pls_integer,
    op          varchar2(10),       -- what the section before the statement said
    transaction varchar2(100),      -- of its first row
    row_count   pls_integer,
    units       pls_integer,        -- text collected
    is_bulk     boolean,
    row_op      varchar2(10),       -- the row that is being collected
    row_values  json_object_t,
    row_wanted  boolean,
    seen        t_parts,
    changes     t_changes
  );
  type t_statements is table of t_statement index by pls_integer;
  type t_counts is table of number index by varchar2(200);

  g_watches    t_watches;
  -- The innermost statement last.
  g_statements t_statements;
  -- Rows of a watch in a transaction.
  g_counts     t_counts;
  -- Whose columns g_columns holds, and the statement of the last call of wants.
  g_columns_of varchar2(100);
  g_current    pls_integer;

  procedure load(p_watch in number) is
    l_table    rtm_watched_table%rowtype;
    l_settings rtm_config%rowtype;
    l_watch    t_watch;
  begin
    if g_watches.exists(p_watch) then
      return;
    end if;
    l_table            := rtm_watch_registry.find_id(p_watch);
    l_settings         := rtm_config_api.settings;
    l_watch.id         := p_watch;
    l_watch.table_name := l_table.table_name;
    l_watch.channel    := l_table.channel;
    l_watch.prefix     := l_table.event_prefix;
    l_watch.max_rows   := l_table.max_rows;
    l_watch.parts      := l_table.trigger_count;
    l_watch.max_bytes  := l_settings.max_message_bytes - c_frame_bytes;
    if l_table.id is null then
      raise_application_error(-20147, 'Watch ' || p_watch || ' is not registered: call RTM_WATCH.WATCH again');
    end if;
    g_watches(p_watch) := l_watch;
  end load;

  procedure load_columns(p_watch in number, p_part in number) is
    c_key constant varchar2(100) := p_watch || ':' || p_part;
    l_column t_column;
  begin
    if g_columns_of = c_key then
      return;
    end if;
    -- Until all are there: an error in between must not leave some that pass for all.
    g_columns_of := null;
    g_columns.delete;
    for col in (
      select column_name, kind, row_number() over (partition by kind order by position) as place
      from rtm_watched_column
      where watch_id = p_watch
        and part = p_part
      order by position
    ) loop
      l_column.name  := col.column_name;
      l_column.kind  := col.kind;
      l_column.place := col.place;
      g_columns(g_columns.count + 1) := l_column;
    end loop;
    g_columns_of := c_key;
  end load_columns;

  procedure forget_changes(p_place in pls_integer) is
  begin
    for change in 1 .. g_statements(p_place).changes.count loop
      rtm_text.free(g_statements(p_place).changes(change).payload);
    end loop;
    g_statements(p_place).changes.delete;
    g_statements(p_place).units := 0;
  end forget_changes;

  -- Takes one out of the stack. What is above it stays: it may be a statement that is running, at the same
  -- depth, whose cascade into this table meets what a failed statement has left here.
  procedure take_out(p_place in pls_integer) is
  begin
    for i in p_place .. g_statements.count - 1 loop
      g_statements(i) := g_statements(i + 1);
    end loop;
    g_statements.delete(g_statements.count);
  end take_out;

  -- The place of a statement; null when it has none. A statement that began and failed has left one
  -- behind; so has every deeper one.
  function place_of(p_watch in number, p_depth in pls_integer) return pls_integer is
    l_last pls_integer := g_statements.count;
  begin
    while l_last > 0 and g_statements(l_last).depth > p_depth loop
      forget_changes(l_last);
      g_statements.delete(l_last);
      l_last := l_last - 1;
    end loop;
    while l_last > 0 and g_statements(l_last).depth = p_depth loop
      if g_statements(l_last).watch_id = p_watch then
        return l_last;
      end if;
      l_last := l_last - 1;
    end loop;
    return null;
  end place_of;

  procedure clear_row(p_place in pls_integer) is
  begin
    g_statements(p_place).row_op     := null;
    g_statements(p_place).row_values := null;
    g_statements(p_place).row_wanted := false;
    g_statements(p_place).seen.delete;
  end clear_row;

  function new_statement(p_watch in number, p_op in varchar2, p_depth in pls_integer) return pls_integer is
    l_statement t_statement;
  begin
    l_statement.watch_id   := p_watch;
    l_statement.depth      := p_depth;
    l_statement.op         := p_op;
    l_statement.row_count  := 0;
    l_statement.units      := 0;
    l_statement.is_bulk    := false;
    l_statement.row_wanted := false;
    g_statements(g_statements.count + 1) := l_statement;
    return g_statements.count;
  end new_statement;

  procedure begin_statement(p_watch in number, p_op in varchar2, p_depth in pls_integer) is
    l_place pls_integer := place_of(p_watch, p_depth);
  begin
    load(p_watch);
    if l_place is null then
      l_place := new_statement(p_watch, p_op, p_depth);
    elsif g_statements(l_place).row_count = 0 then
      -- The second operation of a MERGE.
      g_statements(l_place).op := p_op;
    elsif g_statements(l_place).op = 'delete'
      and p_op <> 'insert'
      and g_statements(l_place).transaction = dbms_transaction.local_transaction_id
    then
      -- A restart, whose rows are void; a delete that failed; or a foreign key of the table on itself,
      -- whose ON DELETE CASCADE or SET NULL runs inside. Only "all has changed" is true of all three.
      clear_row(l_place);
      forget_changes(l_place);
      g_statements(l_place).is_bulk := true;
    else
      -- A restart, or a statement that failed: its rows are void.
      forget_changes(l_place);
      take_out(l_place);
      l_place := new_statement(p_watch, p_op, p_depth);
    end if;
  end begin_statement;

  -- Notes that a trigger has seen the row; true at the last of them.
  function is_last_part(p_place in pls_integer, p_part in number) return boolean is
  begin
    g_statements(p_place).seen(p_part) := true;
    return g_statements(p_place).seen.count >= g_watches(g_statements(p_place).watch_id).parts;
  end is_last_part;

  -- The place of the statement, with a row that this part has not been seen of yet.
  function row_place(p_watch in number, p_part in number, p_op in varchar2, p_depth in pls_integer)
    return pls_integer
  is
    l_place pls_integer := place_of(p_watch, p_depth);
  begin
    load(p_watch);
    if l_place is null then
      l_place := new_statement(p_watch, p_op, p_depth);
    end if;
    if g_statements(l_place).seen.exists(p_part) then
      -- A part of the row before failed, or another trigger is being replaced.
      clear_row(l_place);
      g_statements(l_place).is_bulk := true;
    end if;
    return l_place;
  end row_place;

  function wants(
    p_watch in  number,
    p_part  in  number,
    p_op    in  varchar2,
    p_depth in  pls_integer,
    p_row   out nocopy json_object_t
  ) return boolean is
    l_place pls_integer := row_place(p_watch, p_part, p_op, p_depth);
  begin
    if p_part = 1 then
      g_statements(l_place).row_count := g_statements(l_place).row_count + 1;
      if g_statements(l_place).row_count = 1 then
        g_statements(l_place).transaction := dbms_transaction.local_transaction_id;
      end if;
      g_statements(l_place).row_wanted := true;
    end if;
    if g_statements(l_place).row_count > g_watches(p_watch).max_rows
      or g_statements(l_place).units > c_max_units
    then
      g_statements(l_place).is_bulk := true;
    end if;
    if g_statements(l_place).is_bulk then
      forget_changes(l_place);
      if is_last_part(l_place, p_part) then
        clear_row(l_place);
      end if;
      return false;
    end if;
    if g_statements(l_place).row_values is null then
      g_statements(l_place).row_values := json_object_t();
      g_statements(l_place).row_op     := p_op;
    end if;
    load_columns(p_watch, p_part);
    g_statements(l_place).seen(p_part) := true;
    g_current := l_place;
    p_row     := g_statements(l_place).row_values;
    return true;
  end wants;

  -- The row as a payload that fits: without its longest columns where they are too long, which are
  -- named in "omitted". Null when it does not fit even so.
  function payload_of(p_watch in t_watch, p_op in varchar2, p_row in out nocopy json_object_t) return clob is
    l_payload clob := rtm_row.change(p_op, p_watch.table_name, p_row);
    l_omitted json_array_t := json_array_t();
    l_json    json_object_t;

    function fits return boolean is
      l_bytes blob;
      l_fits  boolean := dbms_lob.getlength(l_payload) * 4 <= p_watch.max_bytes;
    begin
      if not l_fits then
        l_bytes := rtm_text.utf8_blob(l_payload);
        l_fits  := dbms_lob.getlength(l_bytes) <= p_watch.max_bytes;
        rtm_text.free(l_bytes);
      end if;
      return l_fits;
    end fits;

    procedure omit(p_kind in varchar2) is
    begin
      for col in (
        select column_name
        from rtm_watched_column
        where watch_id = p_watch.id
          and kind = p_kind
        order by position
      ) loop
        p_row.remove(col.column_name);
        l_omitted.append(col.column_name);
      end loop;
      l_json := json_object_t();
      l_json.put('op', p_op);
      l_json.put('table', p_watch.table_name);
      l_json.put('row', p_row);
      l_json.put('omitted', l_omitted);
      rtm_text.free(l_payload);
      l_payload := l_json.to_clob;
    end omit;
  begin
    if not fits then
      omit('CLOB');
      if not fits then
        omit('TEXT');
        if not fits then
          rtm_text.free(l_payload);
          l_payload := null;
        end if;
      end if;
    end if;
    return l_payload;
  end payload_of;

  -- Puts the row of g_current among the changes when all its parts are there.
  procedure close_row(p_place in pls_integer) is
    l_change t_change;
    l_row    json_object_t := g_statements(p_place).row_values;
  begin
    if g_statements(p_place).row_wanted and l_row is not null then
      l_change.op      := g_statements(p_place).row_op;
      l_change.payload := payload_of(g_watches(g_statements(p_place).watch_id), l_change.op, l_row);
      if l_change.payload is null then
        g_statements(p_place).is_bulk := true;
        forget_changes(p_place);
      else
        g_statements(p_place).changes(g_statements(p_place).changes.count + 1) := l_change;
        g_statements(p_place).units := g_statements(p_place).units + dbms_lob.getlength(l_change.payload);
      end if;
    end if;
    clear_row(p_place);
  end close_row;

  procedure close_part(p_row in json_object_t) is
  begin
    g_statements(g_current).row_values := p_row;
    if g_statements(g_current).seen.count >= g_watches(g_statements(g_current).watch_id).parts then
      close_row(g_current);
    end if;
  end close_part;

  procedure skip(p_watch in number, p_part in number, p_depth in pls_integer) is
    l_place pls_integer := row_place(p_watch, p_part, null, p_depth);
  begin
    if is_last_part(l_place, p_part) then
      close_row(l_place);
    end if;
  end skip;

  -- Adds to the rows of the transaction, and returns their sum.
  function add_rows(p_watch in number, p_transaction in varchar2, p_rows in number) return number is
    c_key constant varchar2(200) := p_watch || ':' || p_transaction;
  begin
    if not g_counts.exists(c_key) then
      if g_counts.count >= c_max_transactions then
        g_counts.delete;
      end if;
      g_counts(c_key) := 0;
    end if;
    g_counts(c_key) := g_counts(c_key) + p_rows;
    return g_counts(c_key);
  end add_rows;

  -- Sends one bulk message in a transaction. What is rolled back to a savepoint does not count.
  procedure send_bulk(p_watch in t_watch, p_rows in number) is
    e_in_use exception;
    pragma exception_init(e_in_use, -14450);
    l_count pls_integer;
  begin
    begin
      select count(*) into l_count from rtm_watch_bulk where watch_id = p_watch.id;
      if l_count > 0 then
        return;
      end if;
      insert into rtm_watch_bulk(watch_id) values (p_watch.id);
    exception
      when e_in_use then
        -- An autonomous transaction within one that has sent its bulk message: this one tells, too.
        l_count := 0;
    end;
    websocket_api.broadcast(
      p_watch.channel, p_watch.prefix || '-bulk', rtm_row.bulk(p_watch.table_name, p_rows), 'LOG', 'WATCH'
    );
  end send_bulk;

  procedure flush(p_watch in number, p_depth in pls_integer) is
    l_place     pls_integer := place_of(p_watch, p_depth);
    l_statement t_statement;
    l_messages  websocket_api.t_messages;
    l_watch     t_watch;
    l_total     number;
  begin
    if l_place is null then
      return;
    end if;
    l_statement := g_statements(l_place);
    -- Cleared first: whatever happens below, no row is sent twice.
    take_out(l_place);
    if l_statement.row_count = 0 and not l_statement.is_bulk then
      return;
    end if;
    l_watch := g_watches(p_watch);
    l_total := add_rows(p_watch, l_statement.transaction, l_statement.row_count);
    if l_statement.is_bulk or l_total > l_watch.max_rows then
      send_bulk(l_watch, l_total);
    else
      for i in 1 .. l_statement.changes.count loop
        l_messages(i).channel    := l_watch.channel;
        l_messages(i).event_name := l_watch.prefix || '-' || case l_statement.changes(i).op
                                                               when 'insert' then 'inserted'
                                                               when 'update' then 'updated'
                                                               else 'deleted'
                                                             end;
        l_messages(i).payload    := l_statement.changes(i).payload;
      end loop;
      websocket_api.broadcast_many(l_messages, 'LOG', 'WATCH');
    end if;
    for i in 1 .. l_statement.changes.count loop
      rtm_text.free(l_statement.changes(i).payload);
    end loop;
  end flush;
end rtm_row_buffer;
/
