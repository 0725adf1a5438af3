-- The watched tables, as far as the state of their triggers is visible to the one who asks.
create or replace view rtm_watches as
select w.table_owner,
       w.table_name,
       w.trigger_name,
       w.trigger_count,
       w.channel,
       w.event_prefix,
       w.column_names,
       w.condition,
       w.max_rows,
       w.version,
       w.created_ts,
       w.created_by,
       (select case
                 when max(t.table_name) is null then 'NOT VISIBLE'
                 when max(t.table_name) <> w.table_name then 'RENAMED TO ' || max(t.table_name)
                 when max(t.status) <> 'ENABLED' then 'DISABLED'
                 else 'ENABLED'
               end
        from all_triggers t
        where t.owner = w.table_owner
          and t.trigger_name = w.trigger_name) as trigger_state
from rtm_watched_table w
where w.is_current = 'Y'
/
