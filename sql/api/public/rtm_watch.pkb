create or replace package body rtm_watch as
  e_compilation_error exception;
  pragma exception_init(e_compilation_error, -24344);

  type t_column is record (name varchar2(128), data_type varchar2(128));
  type t_columns is table of t_column index by pls_integer;

  -- Splits and checks p_table; both parts as the dictionary spells them.
  procedure find_table(p_table in varchar2, p_owner out varchar2, p_name out varchar2) is
    l_point pls_integer := instr(p_table, '.');
    l_count pls_integer;
  begin
    p_owner := upper(trim(case
                 when l_point > 0 then substr(p_table, 1, l_point - 1)
                 else sys_context('USERENV', 'CURRENT_SCHEMA')
               end));
    p_name  := upper(trim(substr(p_table, l_point + 1)));
    select count(*) into l_count from all_tables where owner = p_owner and table_name = p_name;
    if l_count = 0 then
      raise_application_error(-20140, 'p_table: no table ' || p_owner || '.' || p_name || ' is visible');
    end if;
  end find_table;

  function trigger_name(p_name in varchar2) return varchar2 is
  begin
    return 'RTM_W_' || substrb(p_name, 1, 120);
  end trigger_name;

  function is_supported(p_type in varchar2) return boolean is
  begin
    return p_type in (
        'NUMBER', 'FLOAT', 'BINARY_FLOAT', 'BINARY_DOUBLE', 'VARCHAR2', 'CHAR', 'NVARCHAR2', 'NCHAR',
        'CLOB', 'NCLOB', 'DATE', 'BOOLEAN'
      )
      or p_type like 'TIMESTAMP%';
  end is_supported;

  -- The columns to send, in the table's order.
  function columns_of(p_owner in varchar2, p_name in varchar2, p_columns in varchar2) return t_columns is
    l_wanted  varchar2(32767) := ',' || upper(replace(p_columns, ' ')) || ',';
    l_columns t_columns;
    l_rest    varchar2(32767) := l_wanted;

    procedure add_column(p_column in varchar2, p_data_type in varchar2) is
      l_column t_column;
    begin
      l_column.name      := p_column;
      l_column.data_type := p_data_type;
      l_columns(l_columns.count + 1) := l_column;
    end add_column;
  begin
    for col in (
      select column_name, data_type
      from all_tab_columns
      where owner = p_owner
        and table_name = p_name
      order by column_id
    ) loop
      if p_columns is null then
        if is_supported(col.data_type) then
          add_column(col.column_name, col.data_type);
        end if;
      elsif instr(l_wanted, ',' || upper(col.column_name) || ',') > 0 then
        if not is_supported(col.data_type) then
          raise_application_error(
            -20142,
            'p_columns: ' || col.column_name || ' has the type ' || col.data_type || ', which cannot be sent'
          );
        end if;
        add_column(col.column_name, col.data_type);
        l_rest := replace(l_rest, ',' || upper(col.column_name) || ',', ',');
      end if;
    end loop;
    if p_columns is not null and trim(',' from l_rest) is not null then
      raise_application_error(-20141, 'p_columns: no column ' || trim(',' from l_rest) || ' in the table');
    end if;
    if l_columns.count = 0 then
      raise_application_error(-20142, 'p_table: no column of a type that can be sent');
    end if;
    return l_columns;
  end columns_of;

  -- A PL/SQL string literal.
  function literal(p_text in varchar2) return varchar2 is
  begin
    return '''' || replace(p_text, '''', '''''') || '''';
  end literal;

  -- The schema of WEBSOCKET_API and RTM_ROW, as generated code spells it.
  function api_schema return varchar2 is
  begin
    return dbms_assert.enquote_name(rtm_row.owner, false);
  end api_schema;

  -- The calls that put the columns of :new or :old into l_row.
  function puts(p_columns in t_columns, p_state in varchar2) return clob is
    l_text  clob;
    l_value varchar2(300);
  begin
    for i in 1 .. p_columns.count loop
      l_value := ':' || p_state || '.' || dbms_assert.enquote_name(p_columns(i).name, false);
      -- Types for which the overloads of rtm_row.put would be ambiguous.
      l_value := case
                   when p_columns(i).data_type = 'BINARY_FLOAT' then 'to_binary_double(' || l_value || ')'
                   when p_columns(i).data_type in ('NVARCHAR2', 'NCHAR') then 'to_char(' || l_value || ')'
                   when p_columns(i).data_type = 'NCLOB' then 'to_clob(' || l_value || ')'
                   else l_value
                 end;
      l_text := l_text || '        ' || api_schema || '.rtm_row.put(l_row, '
        || literal(p_columns(i).name) || ', ' || l_value || ');' || chr(10);
    end loop;
    return l_text;
  end puts;

  -- The whole trigger. p_trigger: its name; p_disabled: compiled, but never fired.
  function source(
    p_owner        in varchar2,
    p_name         in varchar2,
    p_trigger      in varchar2,
    p_disabled     in boolean,
    p_columns      in t_columns,
    p_channel      in varchar2,
    p_event_prefix in varchar2,
    p_when         in varchar2,
    p_max_rows     in number
  ) return clob is
    c_template constant varchar2(4000) := q'[create or replace trigger "{OWNER}"."{TRIGGER}"
for insert or update or delete on "{OWNER}"."{TABLE}"
{DISABLE}compound trigger
  -- Generated by RTM_WATCH.WATCH. Change it by calling WATCH again; RTM_WATCH.UNWATCH drops it.
  c_channel  constant varchar2(128) := {CHANNEL};
  c_table    constant varchar2(128) := {TABLE_TEXT};
  c_prefix   constant varchar2(128) := {PREFIX};
  c_max_rows constant pls_integer := {MAX_ROWS};
  type t_change is record (event_name varchar2(128), payload clob);
  type t_changes is table of t_change index by pls_integer;
  l_changes t_changes;
  l_rows    pls_integer := 0;

  after each row is
    l_row json_object_t := json_object_t();
  begin
    if {WHEN} then
      l_rows := l_rows + 1;
      if l_rows > c_max_rows then
        l_changes.delete;
      elsif deleting then
{OLD_PUTS}        l_changes(l_rows).event_name := c_prefix || '-deleted';
        l_changes(l_rows).payload    := {API}.rtm_row.change('delete', c_table, l_row);
      else
{NEW_PUTS}        l_changes(l_rows).event_name := c_prefix || case when inserting then '-inserted' else '-updated' end;
        l_changes(l_rows).payload    := {API}.rtm_row.change(
          case when inserting then 'insert' else 'update' end, c_table, l_row
        );
      end if;
    end if;
  exception
    when others then
      {API}.rtm_row.log_error(c_channel, c_table, sqlerrm || chr(10) || dbms_utility.format_error_backtrace);
  end after each row;

  after statement is
    l_index pls_integer := l_changes.first;
  begin
    if l_rows > c_max_rows then
      {API}.websocket_api.broadcast(
        c_channel, c_prefix || '-bulk', {API}.rtm_row.bulk(c_table, l_rows), 'LOG', 'WATCH'
      );
    end if;
    while l_index is not null loop
      {API}.websocket_api.broadcast(
        c_channel, l_changes(l_index).event_name, l_changes(l_index).payload, 'LOG', 'WATCH'
      );
      l_index := l_changes.next(l_index);
    end loop;
  exception
    when others then
      {API}.rtm_row.log_error(c_channel, c_table, sqlerrm || chr(10) || dbms_utility.format_error_backtrace);
  end after statement;
end;]';
    l_text clob := c_template;
  begin
    -- Names first: what is put in by the caller is not searched for marks again.
    l_text := replace(l_text, '{OWNER}', p_owner);
    l_text := replace(l_text, '{TRIGGER}', p_trigger);
    l_text := replace(l_text, '{TABLE}', p_name);
    l_text := replace(l_text, '{API}', api_schema);
    l_text := replace(l_text, '{DISABLE}', case when p_disabled then 'disable ' end);
    l_text := replace(l_text, '{MAX_ROWS}', to_char(p_max_rows));
    l_text := replace(l_text, '{TABLE_TEXT}', literal(p_name));
    l_text := replace(l_text, '{OLD_PUTS}', puts(p_columns, 'old'));
    l_text := replace(l_text, '{NEW_PUTS}', puts(p_columns, 'new'));
    l_text := replace(l_text, '{CHANNEL}', literal(p_channel));
    l_text := replace(l_text, '{PREFIX}', literal(p_event_prefix));
    return replace(l_text, '{WHEN}', case when p_when is null then 'true' else '(' || p_when || ')' end);
  end source;

  function checked_source(
    p_table        in varchar2,
    p_channel      in varchar2,
    p_columns      in varchar2,
    p_event_prefix in varchar2,
    p_when         in varchar2,
    p_max_rows     in number,
    p_trigger      in varchar2,
    p_disabled     in boolean
  ) return clob is
    l_owner  varchar2(128);
    l_name   varchar2(128);
    l_prefix varchar2(32767);
  begin
    find_table(p_table, l_owner, l_name);
    l_prefix := coalesce(p_event_prefix, lower(l_name));
    rtm_row.check_names(p_channel, l_prefix);
    if p_max_rows is null or p_max_rows <> trunc(p_max_rows) or p_max_rows not between 1 and 10000 then
      raise_application_error(-20106, 'p_max_rows must be a whole number from 1 to 10000');
    end if;
    return source(
      p_owner        => l_owner,
      p_name         => l_name,
      p_trigger      => coalesce(p_trigger, trigger_name(l_name)),
      p_disabled     => p_disabled,
      p_columns      => columns_of(l_owner, l_name, p_columns),
      p_channel      => p_channel,
      p_event_prefix => l_prefix,
      p_when         => p_when,
      p_max_rows     => p_max_rows
    );
  end checked_source;

  function generated_source(
    p_table        in varchar2,
    p_channel      in varchar2,
    p_columns      in varchar2 default null,
    p_event_prefix in varchar2 default null,
    p_when         in varchar2 default null,
    p_max_rows     in number   default 500
  ) return clob is
  begin
    return checked_source(
      p_table, p_channel, p_columns, p_event_prefix, p_when, p_max_rows, null, p_disabled => false
    );
  end generated_source;

  procedure create_trigger(p_source in clob) is
    e_no_privilege exception;
    pragma exception_init(e_no_privilege, -1031);
  begin
    execute immediate p_source;
  exception
    when e_no_privilege then
      raise_application_error(
        -20143,
        'User ' || sys_context('USERENV', 'CURRENT_USER') || ' lacks CREATE TRIGGER (or, for a table of'
          || ' another schema, CREATE ANY TRIGGER); inside PL/SQL it must be granted directly'
      );
    when e_compilation_error then
      -- It stays behind invalid: the caller looks at its errors and drops it.
      dbms_output.put_line('The generated trigger does not compile.');
  end create_trigger;

  -- Compiles the trigger under another name and disabled: an invalid one would make the table
  -- read-only, and one that works is not replaced by one that does not.
  procedure try_compile(p_owner in varchar2, p_trial in varchar2, p_source in clob) is
    l_errors varchar2(4000);
  begin
    create_trigger(p_source);
    for error in (
      select line, text
      from all_errors
      where owner = p_owner
        and name = p_trial
        and type = 'TRIGGER'
        and attribute = 'ERROR'
      order by sequence
    ) loop
      l_errors := substr(l_errors || ' line ' || error.line || ': ' || error.text, 1, 1500);
    end loop;
    execute immediate 'drop trigger ' || dbms_assert.enquote_name(p_owner, false) || '.'
      || dbms_assert.enquote_name(p_trial, false);
    if l_errors is not null then
      raise_application_error(
        -20144,
        'The trigger does not compile: check p_when, and EXECUTE on WEBSOCKET_API and RTM_ROW for '
          || p_owner || ':' || l_errors
      );
    end if;
  end try_compile;

  procedure watch(
    p_table        in varchar2,
    p_channel      in varchar2,
    p_columns      in varchar2 default null,
    p_event_prefix in varchar2 default null,
    p_when         in varchar2 default null,
    p_max_rows     in number   default 500
  ) is
    c_trial constant varchar2(30) := 'RTM_W_TRIAL$';
    l_owner varchar2(128);
    l_name  varchar2(128);
  begin
    find_table(p_table, l_owner, l_name);
    try_compile(
      l_owner,
      c_trial,
      checked_source(
        p_table, p_channel, p_columns, p_event_prefix, p_when, p_max_rows, c_trial, p_disabled => true
      )
    );
    create_trigger(
      generated_source(p_table, p_channel, p_columns, p_event_prefix, p_when, p_max_rows)
    );
  end watch;

  procedure unwatch(p_table in varchar2) is
    e_no_trigger exception;
    pragma exception_init(e_no_trigger, -4080);
    l_owner varchar2(128);
    l_name  varchar2(128);
  begin
    find_table(p_table, l_owner, l_name);
    execute immediate 'drop trigger ' || dbms_assert.enquote_name(l_owner, false) || '.'
      || dbms_assert.enquote_name(trigger_name(l_name), false);
  exception
    when e_no_trigger then
      dbms_output.put_line('No trigger of RTM_WATCH on ' || p_table || '.');
  end unwatch;
end rtm_watch;
/
