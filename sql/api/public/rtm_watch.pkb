create or replace package body rtm_watch as
  e_compilation_error exception;
  pragma exception_init(e_compilation_error, -24344);
  e_no_privilege exception;
  pragma exception_init(e_no_privilege, -1031);

  function generated_source(
    p_table        in varchar2,
    p_channel      in varchar2,
    p_columns      in varchar2 default null,
    p_event_prefix in varchar2 default null,
    p_when         in varchar2 default null,
    p_max_rows     in number   default 500
  ) return clob is
    l_row     rtm_watched_table%rowtype;
    l_old     rtm_watched_table%rowtype;
    l_columns rtm_watch_registry.t_columns;
    l_types   rtm_watch_source.t_names;
    l_text    clob;
  begin
    rtm_watch_source.check_call(
      p_table, p_channel, p_columns, p_event_prefix, p_when, p_max_rows, l_row, l_columns, l_types
    );
    l_old              := rtm_watch_registry.find_table(l_row.table_owner, l_row.table_name);
    l_row.id           := l_old.id;
    l_row.trigger_name := coalesce(l_old.trigger_name, 'RTM_W_' || substrb(l_row.table_name, 1, 100));
    for part in 1 .. l_row.trigger_count loop
      l_text := l_text || case when part > 1 then chr(10) || '/' || chr(10) end
        || rtm_watch_source.source(l_row, l_columns, l_types, part, p_trial => false);
    end loop;
    return l_text;
  end generated_source;

  -- False when it does not compile: it stays behind invalid, for the caller to look at and to drop.
  function create_trigger(p_owner in varchar2, p_source in clob) return boolean is
    e_other_table exception;
    pragma exception_init(e_other_table, -4095);
  begin
    execute immediate p_source;
    return true;
  exception
    when e_no_privilege then
      raise_application_error(
        -20143,
        'User ' || sys_context('USERENV', 'CURRENT_USER') || ' lacks '
          || case when p_owner = sys_context('USERENV', 'CURRENT_USER') then 'CREATE TRIGGER'
                  else 'CREATE ANY TRIGGER, or call this as ' || p_owner
             end
          || '; inside PL/SQL it must be granted directly'
      );
    when e_other_table then
      raise_application_error(
        -20144,
        'A trigger of that name stands on another table: RTM_WATCH.REFRESH notices renamed tables'
      );
    when e_compilation_error then
      return false;
  end create_trigger;

  -- False when there was none. p_quiet: without the grant it stays, and a line says so.
  function drop_trigger(p_owner in varchar2, p_trigger in varchar2, p_quiet in boolean default false)
    return boolean
  is
    e_no_trigger exception;
    pragma exception_init(e_no_trigger, -4080);
    e_no_user exception;
    pragma exception_init(e_no_user, -1435);
  begin
    execute immediate 'drop trigger ' || rtm_watch_source.sql_name(p_owner) || '.' || rtm_watch_source.sql_name(p_trigger);
    return true;
  exception
    when e_no_trigger or e_no_user then
      return false;
    when e_no_privilege then
      if not p_quiet then
        raise_application_error(
          -20143,
          'User ' || sys_context('USERENV', 'CURRENT_USER') || ' lacks DROP ANY TRIGGER for trigger '
            || p_trigger || ' of ' || p_owner || ', or call this as ' || p_owner
        );
      end if;
      dbms_output.put_line(
        'Trigger ' || p_owner || '.' || p_trigger || ' stays behind, disabled, for want of DROP ANY TRIGGER.'
      );
      return false;
  end drop_trigger;

  -- Compiles a trigger under another name and disabled: an invalid one would make the table read-only,
  -- and one that works is not replaced by one that does not.
  procedure try_compile(
    p_row     in rtm_watched_table%rowtype,
    p_columns in rtm_watch_registry.t_columns,
    p_types   in rtm_watch_source.t_names,
    p_part    in pls_integer
  ) is
    c_trial constant varchar2(128) := rtm_watch_source.trigger_name(p_row, p_part, p_trial => true);
    l_errors   varchar2(4000);
    l_compiles boolean;
    l_dropped  boolean;
  begin
    l_compiles := create_trigger(
      p_row.table_owner, rtm_watch_source.source(p_row, p_columns, p_types, p_part, p_trial => true)
    );
    for error in (
      select line, text
      from all_errors
      where owner = p_row.table_owner
        and name = c_trial
        and type = 'TRIGGER'
        and attribute = 'ERROR'
      order by sequence
    ) loop
      l_errors := substr(l_errors || ' line ' || error.line || ': ' || error.text, 1, 1500);
    end loop;
    l_dropped := drop_trigger(p_row.table_owner, c_trial, p_quiet => true);
    if l_errors like '%RTM_ROW%' and not rtm_watch_registry.has_grant(p_row.table_owner) then
      raise_application_error(
        -20143,
        'User ' || p_row.table_owner || ' lacks EXECUTE on ' || rtm_watch_registry.schema_name
          || '.RTM_ROW; sql/grants/app.sql grants it'
      );
    elsif l_errors is not null or not l_compiles then
      raise_application_error(
        -20144,
        'The trigger does not compile, check p_when:' || coalesce(l_errors, ' its errors are not visible to you')
      );
    end if;
  end try_compile;

  -- Creates the trigger that its trial has shown to compile. One that became invalid all the same, as by
  -- a grant that was just revoked, would make the table read-only (ORA-04098): it goes.
  procedure create_tried(
    p_row     in rtm_watched_table%rowtype,
    p_columns in rtm_watch_registry.t_columns,
    p_types   in rtm_watch_source.t_names,
    p_part    in pls_integer
  ) is
    l_dropped boolean;
  begin
    if not create_trigger(
      p_row.table_owner, rtm_watch_source.source(p_row, p_columns, p_types, p_part, p_trial => false)
    ) then
      l_dropped := drop_trigger(p_row.table_owner, rtm_watch_source.trigger_name(p_row, p_part));
      raise_application_error(-20144, 'The trigger compiled as a trial but not in earnest, and is dropped: call this again');
    end if;
  end create_tried;

  -- The table that a trigger stands on; null when the caller cannot see it.
  function table_of(p_owner in varchar2, p_trigger in varchar2) return varchar2 is
    l_table varchar2(128);
  begin
    select max(table_name)
    into l_table
    from all_triggers
    where owner = p_owner
      and trigger_name = p_trigger;
    return l_table;
  end table_of;

  -- Triggers go with a table that is renamed: so does its watch.
  procedure notice_renamed(p_owner in varchar2) is
    l_rows  rtm_watch_registry.t_tables := rtm_watch_registry.current_rows(p_owner);
    l_table varchar2(128);
  begin
    for i in 1 .. l_rows.count loop
      l_table := table_of(p_owner, l_rows(i).trigger_name);
      if l_table <> l_rows(i).table_name then
        dbms_output.put_line(p_owner || '.' || l_rows(i).table_name || ' is called ' || l_table || ' now.');
        rtm_watch_registry.rename_table(l_rows(i).id, l_table);
      end if;
    end loop;
  end notice_renamed;

  -- The trigger that versions before the registry made, when it is one.
  function first_trigger(p_owner in varchar2, p_name in varchar2) return varchar2 is
    l_trigger varchar2(128);
  begin
    select max(t.trigger_name)
    into l_trigger
    from all_triggers t
    where t.owner = p_owner
      and t.table_name = p_name
      and t.trigger_name = 'RTM_W_' || substrb(p_name, 1, 120)
      and exists (
        select 1
        from all_source s
        where s.owner = t.owner
          and s.name = t.trigger_name
          and s.type = 'TRIGGER'
          and s.text like '%Generated by RTM_WATCH.WATCH.%'
      );
    return l_trigger;
  end first_trigger;

  procedure drop_first_trigger(p_owner in varchar2, p_name in varchar2) is
    l_trigger varchar2(128) := first_trigger(p_owner, p_name);
  begin
    if l_trigger is not null and drop_trigger(p_owner, l_trigger) then
      dbms_output.put_line('Dropped trigger ' || p_owner || '.' || l_trigger || ' of an older version.');
    end if;
  end drop_first_trigger;

  procedure watch(
    p_table        in varchar2,
    p_channel      in varchar2,
    p_columns      in varchar2 default null,
    p_event_prefix in varchar2 default null,
    p_when         in varchar2 default null,
    p_max_rows     in number   default 500
  ) is
    l_row     rtm_watched_table%rowtype;
    l_old     rtm_watched_table%rowtype;
    l_columns rtm_watch_registry.t_columns;
    l_types   rtm_watch_source.t_names;
  begin
    rtm_watch_source.check_call(
      p_table, p_channel, p_columns, p_event_prefix, p_when, p_max_rows, l_row, l_columns, l_types
    );
    notice_renamed(l_row.table_owner);
    l_old := rtm_watch_registry.find_table(l_row.table_owner, l_row.table_name);
    l_row := rtm_watch_registry.add(l_row, l_columns);
    begin
      for part in 1 .. l_row.trigger_count loop
        try_compile(l_row, l_columns, l_types, part);
      end loop;
    exception
      when others then
        rtm_watch_registry.remove(l_row.id);
        raise;
    end;
    for part in 1 .. l_row.trigger_count loop
      create_tried(l_row, l_columns, l_types, part);
    end loop;
    rtm_watch_registry.activate(l_row.id);
    drop_first_trigger(l_row.table_owner, l_row.table_name);
    for part in l_row.trigger_count + 1 .. coalesce(l_old.trigger_count, 0) loop
      if drop_trigger(l_row.table_owner, rtm_watch_source.trigger_name(l_row, part)) then
        dbms_output.put_line('Dropped trigger ' || rtm_watch_source.trigger_name(l_row, part) || ': one less is needed.');
      end if;
    end loop;
  end watch;

  function may_drop(p_owner in varchar2) return boolean is
    l_count pls_integer;
  begin
    select count(*) into l_count from session_privs where privilege = 'DROP ANY TRIGGER';
    return l_count > 0 or p_owner = sys_context('USERENV', 'CURRENT_USER');
  end may_drop;

  procedure unwatch(p_table in varchar2) is
    l_owner varchar2(128);
    l_name  varchar2(128);
    l_row   rtm_watched_table%rowtype;
    l_found boolean := false;
  begin
    rtm_watch_source.split_name(p_table, l_owner, l_name);
    notice_renamed(l_owner);
    l_row := rtm_watch_registry.find_table(l_owner, l_name);
    for part in reverse 1 .. coalesce(l_row.trigger_count, 0) loop
      l_found := drop_trigger(l_owner, rtm_watch_source.trigger_name(l_row, part)) or l_found;
    end loop;
    drop_first_trigger(l_owner, l_name);
    if l_row.id is null then
      dbms_output.put_line('No watch of ' || l_owner || '.' || l_name || '.');
    elsif l_found or may_drop(l_owner) then
      rtm_watch_registry.remove_table(l_owner, l_name);
    else
      -- Gone, or not visible: who may not drop it cannot tell.
      raise_application_error(
        -20143,
        'User ' || sys_context('USERENV', 'CURRENT_USER') || ' cannot see the trigger of ' || l_owner || '.'
          || l_name || ': call this as ' || l_owner || ', or with DROP ANY TRIGGER'
      );
    end if;
  end unwatch;

  procedure refresh_row(p_row in rtm_watched_table%rowtype) is
    c_table constant varchar2(300) := rtm_watch_source.sql_name(p_row.table_owner) || '.' || rtm_watch_source.sql_name(p_row.table_name);
  begin
    if rtm_watch_source.table_is_visible(p_row.table_owner, p_row.table_name) then
      watch(
        p_table        => c_table,
        p_channel      => p_row.channel,
        p_columns      => to_char(p_row.column_names),
        p_event_prefix => p_row.event_prefix,
        p_when         => to_char(p_row.condition),
        p_max_rows     => p_row.max_rows
      );
      dbms_output.put_line(c_table || ': its trigger is made again.');
    elsif p_row.table_owner = sys_context('USERENV', 'CURRENT_USER') then
      rtm_watch_registry.remove_table(p_row.table_owner, p_row.table_name);
      dbms_output.put_line(c_table || ': the table is gone, and its watch with it.');
    else
      dbms_output.put_line(
        c_table || ': not visible to you; call ' || rtm_watch_registry.schema_name
          || '.RTM_WATCH.REFRESH as ' || p_row.table_owner
      );
    end if;
  end refresh_row;

  procedure refresh(p_table in varchar2 default null, p_old_only in boolean default false) is
    l_owner varchar2(128);
    l_name  varchar2(128);
    l_rows  rtm_watch_registry.t_tables;
  begin
    if p_table is not null then
      rtm_watch_source.split_name(p_table, l_owner, l_name);
    end if;
    l_rows := rtm_watch_registry.current_rows(l_owner);
    for i in 1 .. l_rows.count loop
      notice_renamed(l_rows(i).table_owner);
    end loop;
    l_rows := rtm_watch_registry.current_rows(l_owner);
    for i in 1 .. l_rows.count loop
      if (l_name is null or l_name = l_rows(i).table_name)
        and (not p_old_only or l_rows(i).version < rtm_watch_registry.c_version)
      then
        begin
          refresh_row(l_rows(i));
        exception
          when others then
            -- The other tables have their turn; this one keeps the trigger that it has.
            dbms_output.put_line(l_rows(i).table_owner || '.' || l_rows(i).table_name || ': ' || sqlerrm);
        end;
      end if;
    end loop;
  end refresh;

  function list return clob is
    l_rows  rtm_watch_registry.t_tables := rtm_watch_registry.current_rows;
    l_text  clob;
    l_table varchar2(128);
  begin
    for i in 1 .. l_rows.count loop
      l_table := table_of(l_rows(i).table_owner, l_rows(i).trigger_name);
      l_text  := l_text || l_rows(i).table_owner || '.' || l_rows(i).table_name || ' -> '
        || l_rows(i).channel || ' (' || l_rows(i).event_prefix || '-...), trigger ' || l_rows(i).trigger_name
        || case
             when l_table is null then ': not visible to you'
             when l_table <> l_rows(i).table_name then ': the table is called ' || l_table || ' now'
             when l_rows(i).version < rtm_watch_registry.c_version then ': of an older version'
           end
        || chr(10);
    end loop;
    return l_text;
  end list;
end rtm_watch;
/
