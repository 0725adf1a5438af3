create or replace package body rtm_watch_source as
  -- Oracle takes triggers of 32,767 bytes (PL/SQL Language Reference, CREATE TRIGGER). The columns and
  -- the condition may take this much of it; what is left holds the rest even with the longest names.
  c_text_bytes      constant pls_integer := 25800;
  c_condition_bytes constant pls_integer := 20000;

  type t_values is table of clob index by varchar2(30);

  -- "name" as it stands, and another one in upper case.
  function plain_name(p_text in varchar2) return t_name is
    l_name t_name;
    l_text varchar2(32767) := trim(p_text);
  begin
    l_name.is_quoted := substr(l_text, 1, 1) = '"' and substr(l_text, -1) = '"' and length(l_text) > 2;
    l_name.name      := case
                          when l_name.is_quoted then substr(l_text, 2, length(l_text) - 2)
                          else upper(l_text)
                        end;
    return l_name;
  end plain_name;

  -- Cuts at p_separator outside of double quotes.
  function names_of(p_text in varchar2, p_separator in varchar2) return t_names is
    l_names t_names;
    l_start pls_integer := 1;
    l_open  boolean := false;
  begin
    for i in 1 .. coalesce(length(p_text), 0) loop
      if substr(p_text, i, 1) = '"' then
        l_open := not l_open;
      elsif substr(p_text, i, 1) = p_separator and not l_open then
        l_names(l_names.count + 1) := plain_name(substr(p_text, l_start, i - l_start));
        l_start := i + 1;
      end if;
    end loop;
    l_names(l_names.count + 1) := plain_name(substr(p_text, l_start));
    return l_names;
  end names_of;

  -- Both parts of p_table as the dictionary spells them.
  procedure split_name(p_table in varchar2, p_owner out varchar2, p_name out varchar2) is
    l_names t_names := names_of(p_table, '.');
  begin
    if l_names.count > 2 or l_names(l_names.count).name is null then
      raise_application_error(-20140, 'p_table must be TABLE or SCHEMA.TABLE, in double quotes as in SQL');
    end if;
    p_name  := l_names(l_names.count).name;
    p_owner := case when l_names.count = 2 then l_names(1).name end;
    p_owner := coalesce(p_owner, sys_context('USERENV', 'CURRENT_SCHEMA'));
  end split_name;

  function sql_name(p_name in varchar2) return varchar2 is
  begin
    return dbms_assert.enquote_name(p_name, false);
  end sql_name;

  function table_is_visible(p_owner in varchar2, p_name in varchar2) return boolean is
    l_count pls_integer;
  begin
    select count(*) into l_count from all_tables where owner = p_owner and table_name = p_name;
    return l_count > 0;
  end table_is_visible;

  procedure find_table(p_table in varchar2, p_owner out varchar2, p_name out varchar2) is
  begin
    split_name(p_table, p_owner, p_name);
    if rtm_watch_registry.is_own_table(p_owner, p_name) then
      raise_application_error(
        -20145,
        'p_table: ' || p_owner || '.' || p_name || ' belongs to apex-rtm; watching it would never end'
      );
    end if;
    if not table_is_visible(p_owner, p_name) then
      raise_application_error(-20140, 'p_table: no table ' || p_owner || '.' || p_name || ' is visible');
    end if;
  end find_table;

  -- The kind of RTM_ROW.ADD; null when a type cannot be sent.
  function kind_of(p_type in varchar2) return varchar2 is
  begin
    return case
             when p_type in ('NUMBER', 'FLOAT') then 'NUMBER'
             when p_type in ('BINARY_FLOAT', 'BINARY_DOUBLE') then 'DOUBLE'
             when p_type in ('VARCHAR2', 'CHAR', 'NVARCHAR2', 'NCHAR') then 'TEXT'
             when p_type in ('CLOB', 'NCLOB') then 'CLOB'
             when p_type in ('DATE', 'BOOLEAN') then p_type
             when p_type like 'TIMESTAMP%LOCAL TIME ZONE' then 'LOCAL'
             when p_type like 'TIMESTAMP%TIME ZONE' then 'ZONED'
             when p_type like 'TIMESTAMP%' then 'TIMESTAMP'
           end;
  end kind_of;

  -- The value of a column in a trigger, of a type that its collection takes.
  function value_text(p_state in varchar2, p_column in varchar2, p_type in varchar2) return varchar2 is
    l_value varchar2(300) := ':' || p_state || '.' || sql_name(p_column);
  begin
    return case
             when p_type in ('NVARCHAR2', 'NCHAR') then 'to_char(' || l_value || ')'
             when p_type = 'NCLOB' then 'to_clob(' || l_value || ')'
             else l_value
           end;
  end value_text;

  function wanted_names(p_columns in varchar2) return t_names is
    l_names t_names;
    l_array json_array_t;
  begin
    if p_columns is null then
      return l_names;
    end if;
    if substr(ltrim(p_columns), 1, 1) <> '[' then
      return names_of(p_columns, ',');
    end if;
    begin
      l_array := json_array_t.parse(p_columns);
    exception
      when others then
        raise_application_error(-20141, 'p_columns is no JSON array of names: ' || sqlerrm);
    end;
    for i in 0 .. l_array.get_size - 1 loop
      l_names(i + 1).name      := l_array.get_string(i);
      l_names(i + 1).is_quoted := true;
    end loop;
    return l_names;
  end wanted_names;

  -- The columns to send in the table's order, each in the first part of the trigger that has room.
  -- p_types: their types.
  procedure find_columns(
    p_owner     in  varchar2,
    p_name      in  varchar2,
    p_columns   in  varchar2,
    p_condition in  varchar2,
    p_found     out nocopy rtm_watch_registry.t_columns,
    p_types     out nocopy t_names,
    p_parts     out pls_integer
  ) is
    l_wanted t_names := wanted_names(p_columns);
    l_bytes  pls_integer := coalesce(lengthb(p_condition), 0);
    l_index  pls_integer;

    function take(p_column in varchar2) return boolean is
    begin
      l_index := l_wanted.first;
      while l_index is not null loop
        if l_wanted(l_index).name = p_column then
          l_wanted.delete(l_index);
          return true;
        end if;
        l_index := l_wanted.next(l_index);
      end loop;
      return false;
    end take;

    procedure add_column(p_column in varchar2, p_type in varchar2) is
      l_place pls_integer := p_found.count + 1;
      l_more  pls_integer := lengthb(value_text('new', p_column, p_type)) * 2 + 4;
    begin
      if l_bytes + l_more > c_text_bytes then
        p_parts := p_parts + 1;
        l_bytes := 0;
      end if;
      l_bytes := l_bytes + l_more;
      p_found(l_place).column_name := p_column;
      p_found(l_place).kind        := kind_of(p_type);
      p_found(l_place).part        := p_parts;
      p_types(l_place).name        := p_type;
    end add_column;
  begin
    p_found.delete;
    p_types.delete;
    p_parts := 1;
    for col in (
      select column_name, data_type, hidden_column
      from all_tab_cols
      where owner = p_owner
        and table_name = p_name
        and user_generated = 'YES'
      order by column_id, internal_column_id
    ) loop
      if p_columns is null then
        if col.hidden_column = 'NO' and kind_of(col.data_type) is not null then
          add_column(col.column_name, col.data_type);
        end if;
      elsif take(col.column_name) then
        if kind_of(col.data_type) is null then
          raise_application_error(
            -20142,
            'p_columns: ' || col.column_name || ' has the type ' || col.data_type || ', which cannot be sent'
          );
        end if;
        add_column(col.column_name, col.data_type);
      end if;
    end loop;
    if l_wanted.count > 0 then
      raise_application_error(
        -20141,
        'p_columns: no column ' || l_wanted(l_wanted.first).name || ' in the table'
      );
    end if;
    if p_found.count = 0 then
      raise_application_error(-20142, 'p_table: no column of a type that can be sent');
    end if;
  end find_columns;

  -- The template with its {MARKS} filled in, in one pass: what is put in is not searched for marks.
  function fill(p_template in varchar2, p_values in t_values) return clob is
    l_text  clob;
    l_start pls_integer := 1;
    l_open  pls_integer;
    l_close pls_integer;
  begin
    loop
      l_open := instr(p_template, '{', l_start);
      exit when l_open = 0;
      l_close := instr(p_template, '}', l_open);
      l_text  := l_text || substr(p_template, l_start, l_open - l_start)
        || p_values(substr(p_template, l_open + 1, l_close - l_open - 1));
      l_start := l_close + 1;
    end loop;
    return l_text || substr(p_template, l_start);
  end fill;

  -- The named parameters of RTM_ROW.ADD with the values of one part.
  function value_list(
    p_state   in varchar2,
    p_part    in pls_integer,
    p_columns in rtm_watch_registry.t_columns,
    p_types   in t_names
  ) return clob is
    c_package constant varchar2(300) := sql_name(rtm_watch_registry.schema_name) || '.rtm_row.';
    l_text clob;

    procedure add_kind(p_kind in varchar2, p_parameter in varchar2, p_type in varchar2) is
      l_values clob;
    begin
      for i in 1 .. p_columns.count loop
        if p_columns(i).part = p_part and p_columns(i).kind = p_kind then
          l_values := l_values || case when l_values is not null then ', ' end
            || value_text(p_state, p_columns(i).column_name, p_types(i).name);
        end if;
      end loop;
      if l_values is not null then
        l_text := l_text || ',' || chr(10) || '          ' || p_parameter || ' => ' || c_package || p_type
          || '(' || l_values || ')';
      end if;
    end add_kind;
  begin
    add_kind('NUMBER', 'p_numbers', 't_numbers');
    add_kind('DOUBLE', 'p_doubles', 't_doubles');
    add_kind('TEXT', 'p_texts', 't_texts');
    add_kind('CLOB', 'p_clobs', 't_clobs');
    add_kind('DATE', 'p_dates', 't_dates');
    add_kind('TIMESTAMP', 'p_timestamps', 't_timestamps');
    add_kind('ZONED', 'p_zoned', 't_zoned');
    add_kind('LOCAL', 'p_locals', 't_locals');
    add_kind('BOOLEAN', 'p_booleans', 't_booleans');
    return l_text;
  end value_list;

  -- RTM_W_... or, for a trial, RTM_T_...; the second and later parts have a number.
  function trigger_name(
    p_row   in rtm_watched_table%rowtype,
    p_part  in pls_integer,
    p_trial in boolean default false
  ) return varchar2 is
    l_name varchar2(128) := p_row.trigger_name;
  begin
    if p_trial then
      l_name := 'RTM_T_' || substr(l_name, 7);
    end if;
    return l_name || case when p_part > 1 then '_P' || p_part end;
  end trigger_name;

  -- One trigger. p_trial: compiled under another name, and never fired.
  function source(
    p_row     in rtm_watched_table%rowtype,
    p_columns in rtm_watch_registry.t_columns,
    p_types   in t_names,
    p_part    in pls_integer,
    p_trial   in boolean
  ) return clob is
    c_template constant varchar2(4000) := q'[create or replace trigger {TRIGGER}
for insert or update or delete on {TABLE}
{DISABLE}compound trigger
  -- Generated by RTM_WATCH of {API}. RTM_WATCH.WATCH changes it, RTM_WATCH.UNWATCH drops it.
  c_watch constant pls_integer := {WATCH};

  procedure failed(p_error in varchar2) is
    e_full exception;
    pragma exception_init(e_full, -20000);
  begin
    {API}.rtm_row.failed(c_watch, p_error);
  exception
    when others then
      begin
        dbms_output.put_line('RTM_WATCH: ' || sqlerrm || ' after ' || p_error);
      exception
        when e_full then
          return;
      end;
  end failed;
{BEFORE}
  after each row is
  begin
    if {WHEN} then
      if deleting then
        {API}.rtm_row.add(c_watch, {PART}, 'delete'{OLD});
      else
        {API}.rtm_row.add(c_watch, {PART}, case when inserting then 'insert' else 'update' end{NEW});
      end if;{SKIP}
    end if;
  exception
    when others then
      failed(sqlerrm);
  end after each row;
{AFTER}end;]';
    c_before constant varchar2(1000) := q'[
  before statement is
  begin
    {API}.rtm_row.begin_statement(
      c_watch, case when inserting then 'insert' when updating then 'update' else 'delete' end
    );
  exception
    when others then
      failed(sqlerrm);
  end before statement;
]';
    c_after constant varchar2(1000) := q'[
  after statement is
  begin
    {API}.rtm_row.flush(c_watch);
  exception
    when others then
      failed(sqlerrm);
  end after statement;
]';
    c_skip constant varchar2(1000) := q'[
    else
      {API}.rtm_row.skip(c_watch, {PART});]';
    l_values t_values;
  begin
    l_values('API')     := sql_name(rtm_watch_registry.schema_name);
    l_values('TRIGGER') := sql_name(p_row.table_owner) || '.' || sql_name(trigger_name(p_row, p_part, p_trial));
    l_values('TABLE')   := sql_name(p_row.table_owner) || '.' || sql_name(p_row.table_name);
    l_values('DISABLE') := case when p_trial then 'disable ' end;
    l_values('WATCH')   := to_char(coalesce(p_row.id, 0));
    l_values('PART')    := to_char(p_part);
    l_values('OLD')     := value_list('old', p_part, p_columns, p_types);
    l_values('NEW')     := value_list('new', p_part, p_columns, p_types);
    -- The first of several triggers decides about a row, and knows the statement.
    l_values('WHEN')    := case
                             when p_part = 1 and p_row.condition is not null then '(' || p_row.condition || ')'
                             else 'true'
                           end;
    l_values('SKIP')    := case when p_part = 1 and p_row.trigger_count > 1 then fill(c_skip, l_values) end;
    l_values('BEFORE')  := case when p_part = 1 then fill(c_before, l_values) end;
    l_values('AFTER')   := case when p_part = 1 then fill(c_after, l_values) end;
    return fill(c_template, l_values);
  end source;

  -- The row of a call, not registered yet, with its columns.
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
  ) is
    l_parts pls_integer;
  begin
    find_table(p_table, p_row.table_owner, p_row.table_name);
    p_row.channel      := p_channel;
    p_row.event_prefix := coalesce(p_event_prefix, lower(p_row.table_name));
    rtm_watch_registry.check_names(p_channel, p_row.event_prefix);
    if p_max_rows is null or p_max_rows <> trunc(p_max_rows) or p_max_rows not between 1 and 10000 then
      raise_application_error(-20106, 'p_max_rows must be a whole number from 1 to 10000');
    end if;
    if lengthb(p_when) > c_condition_bytes then
      raise_application_error(-20106, 'p_when must not be longer than ' || c_condition_bytes || ' bytes');
    end if;
    p_row.column_names := p_columns;
    p_row.condition    := p_when;
    p_row.max_rows     := p_max_rows;
    find_columns(p_row.table_owner, p_row.table_name, p_columns, p_when, p_found, p_types, l_parts);
    p_row.trigger_count := l_parts;
  end check_call;
end rtm_watch_source;
/
