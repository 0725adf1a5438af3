create or replace package body rtm_watch_registry as
  function schema_name return varchar2 is
  begin
    return sys_context('USERENV', 'CURRENT_SCHEMA');
  end schema_name;

  function is_own_table(p_owner in varchar2, p_table in varchar2) return boolean is
  begin
    return p_owner = schema_name
      and (p_table like 'RTM\_%' escape '\' or p_table like 'AQ$\_RTM\_%' escape '\');
  end is_own_table;

  function has_grant(p_schema in varchar2) return boolean is
    l_count pls_integer;
  begin
    select count(*)
    into l_count
    from user_tab_privs_made
    where table_name = 'RTM_ROW'
      and privilege = 'EXECUTE'
      and grantee in (p_schema, 'PUBLIC');
    return l_count > 0 or p_schema = schema_name;
  end has_grant;

  procedure check_names(p_channel in varchar2, p_event_prefix in varchar2) is
  begin
    rtm_text.check_name(p_channel, 'p_channel');
    rtm_text.check_name(p_event_prefix || '-inserted', 'p_event_prefix with -inserted');
  end check_names;

  function find_id(p_id in number) return rtm_watched_table%rowtype is
    l_row rtm_watched_table%rowtype;
  begin
    for found in (select * from rtm_watched_table where id = p_id) loop
      l_row := found;
    end loop;
    return l_row;
  end find_id;

  function find_table(p_owner in varchar2, p_table in varchar2) return rtm_watched_table%rowtype is
    l_row rtm_watched_table%rowtype;
  begin
    for found in (
      select *
      from rtm_watched_table
      where table_owner = p_owner
        and table_name = p_table
      order by is_current, id
    ) loop
      -- The current one comes last; before it what an interrupted call has left.
      l_row := found;
    end loop;
    return l_row;
  end find_table;

  function current_rows(p_owner in varchar2 default null) return t_tables is
    l_rows t_tables;
  begin
    for found in (
      select *
      from rtm_watched_table
      where is_current = 'Y'
        and (p_owner is null or table_owner = p_owner)
      order by table_owner, table_name
    ) loop
      l_rows(l_rows.count + 1) := found;
    end loop;
    return l_rows;
  end current_rows;

  -- Unique among the triggers of all installations in the schema of the table.
  function new_trigger_name(p_table in varchar2, p_id in number) return varchar2 is
  begin
    return 'RTM_W_' || rtm_text.fit(p_table, 70) || '_' || rtm_text.fit(schema_name, 30) || '_' || p_id;
  end new_trigger_name;

  function add(p_row in rtm_watched_table%rowtype, p_columns in t_columns)
    return rtm_watched_table%rowtype
  is
    pragma autonomous_transaction;
    l_row rtm_watched_table%rowtype := p_row;
    l_old rtm_watched_table%rowtype := find_table(p_row.table_owner, p_row.table_name);
  begin
    insert into rtm_watched_table(
      table_owner, table_name, trigger_count, channel, event_prefix, column_names, condition, max_rows,
      version
    ) values (
      l_row.table_owner, l_row.table_name, l_row.trigger_count, l_row.channel, l_row.event_prefix,
      l_row.column_names, l_row.condition, l_row.max_rows, c_version
    )
    returning id into l_row.id;
    l_row.trigger_name := coalesce(l_old.trigger_name, new_trigger_name(l_row.table_name, l_row.id));
    update rtm_watched_table set trigger_name = l_row.trigger_name where id = l_row.id;
    for i in 1 .. p_columns.count loop
      insert into rtm_watched_column(watch_id, position, column_name, kind, part)
      values (l_row.id, i, p_columns(i).column_name, p_columns(i).kind, p_columns(i).part);
    end loop;
    commit;
    return l_row;
  end add;

  procedure activate(p_id in number) is
    pragma autonomous_transaction;
    l_row rtm_watched_table%rowtype := find_id(p_id);
  begin
    delete from rtm_watched_table
    where table_owner = l_row.table_owner
      and table_name = l_row.table_name
      and id <> p_id;
    update rtm_watched_table set is_current = 'Y' where id = p_id;
    commit;
  end activate;

  procedure remove(p_id in number) is
    pragma autonomous_transaction;
  begin
    delete from rtm_watched_table where id = p_id;
    commit;
  end remove;

  procedure remove_table(p_owner in varchar2, p_table in varchar2) is
    pragma autonomous_transaction;
  begin
    delete from rtm_watched_table where table_owner = p_owner and table_name = p_table;
    commit;
  end remove_table;

  procedure rename_table(p_id in number, p_new_name in varchar2) is
    pragma autonomous_transaction;
  begin
    update rtm_watched_table set table_name = p_new_name where id = p_id;
    commit;
  end rename_table;
end rtm_watch_registry;
/
