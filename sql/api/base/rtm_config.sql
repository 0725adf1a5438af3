-- Settings: one row. RTM_CONFIG_API.SET_VALUE is the way to change them; docs/sql-api.md lists them.
declare
  procedure create_missing(p_table in varchar2, p_ddl in varchar2) is
    l_count pls_integer;
  begin
    select count(*) into l_count from user_tables where table_name = p_table;
    if l_count = 0 then
      execute immediate p_ddl;
    end if;
  end create_missing;

  procedure add_missing(p_table in varchar2, p_column in varchar2, p_type in varchar2) is
    l_count pls_integer;
  begin
    select count(*)
    into l_count
    from user_tab_columns
    where table_name = upper(p_table)
      and column_name = upper(p_column);
    if l_count = 0 then
      execute immediate 'alter table ' || p_table || ' add (' || p_column || ' ' || p_type || ')';
    end if;
  end add_missing;
begin
  create_missing('RTM_CONFIG', q'[
    create table rtm_config (
      id                number(1) default 1 not null
                        constraint rtm_config_pk primary key
                        constraint rtm_config_one_row_ck check (id = 1),
      base_url          varchar2(1000 byte),
      api_key           varchar2(1000 byte),
      allow_http        varchar2(1 byte) default 'N' not null
                        constraint rtm_config_allow_http_ck check (allow_http in ('Y', 'N')),
      wallet_path       varchar2(1000 byte),
      wallet_password   varchar2(1000 byte),
      http_timeout_s    number default 5 not null,
      http_deferred     varchar2(1 byte) default 'Y' not null
                        constraint rtm_config_deferred_ck check (http_deferred in ('Y', 'N')),
      transport         varchar2(4 byte) default 'AUTO' not null
                        constraint rtm_config_transport_ck
                        check (transport in ('AUTO', 'AQ', 'HTTP', 'OFF')),
      on_error          varchar2(5 byte) default 'RAISE' not null
                        constraint rtm_config_on_error_ck check (on_error in ('RAISE', 'LOG')),
      log_messages      varchar2(1 byte) default 'Y' not null
                        constraint rtm_config_log_messages_ck check (log_messages in ('Y', 'N')),
      log_payload       varchar2(5 byte) default 'ERROR' not null
                        constraint rtm_config_log_payload_ck
                        check (log_payload in ('ALL', 'ERROR', 'NONE')),
      log_days          number default 30 not null,
      expiration_s      number default 3600 not null,
      max_backlog       number default 10000 not null,
      max_message_bytes number default 1048576 not null,
      token_ttl_s       number default 900 not null,
      session_key       raw(32),
      presence_events   varchar2(1 byte) default 'N' not null
                        constraint rtm_config_presence_events_ck check (presence_events in ('Y', 'N'))
    )]');

  -- Signing secrets of tokens, under the ids that the relay knows them by (kid).
  create_missing('RTM_TOKEN_SECRET', q'[
    create table rtm_token_secret (
      kid        varchar2(64 byte) not null constraint rtm_token_secret_pk primary key,
      secret     varchar2(512 byte) not null,
      is_current varchar2(1 byte) default 'N' not null
                 constraint rtm_token_secret_current_ck check (is_current in ('Y', 'N')),
      created_ts timestamp(6) with time zone default systimestamp not null
    )]');

  -- Databases that may call the relay and sign tokens. A clone is not in the list. pdb_guid: what a
  -- clone of the pluggable database changes and a relocation does not; null where V$CONTAINERS is not
  -- granted. state: ASKED is a database under another name that is still waiting for a confirmation.
  create_missing('RTM_DATABASE', q'[
    create table rtm_database (
      db_unique_name varchar2(128 byte) not null,
      con_name       varchar2(128 byte) not null,
      confirmed_ts   timestamp(6) with time zone default systimestamp not null,
      confirmed_by   varchar2(128 byte) default sys_context('USERENV', 'SESSION_USER') not null,
      pdb_guid       varchar2(32 byte),
      server_host    varchar2(255 byte),
      state          varchar2(9 byte) default 'CONFIRMED' not null
                     constraint rtm_database_state_ck check (state in ('CONFIRMED', 'ASKED')),
      constraint rtm_database_pk primary key (db_unique_name, con_name)
    )]');

  -- The last count of the backlog, so that not every broadcast counts.
  create_missing('RTM_GAUGE', q'[
    create table rtm_gauge (
      id          number(1) default 1 not null
                  constraint rtm_gauge_pk primary key
                  constraint rtm_gauge_one_row_ck check (id = 1),
      ready       number default 0 not null,
      measured_ts timestamp(6) with time zone default timestamp '1970-01-01 00:00:00 +00:00' not null
    )]');

  -- The workers that serve our queue.
  create_missing('RTM_WORKER', q'[
    create table rtm_worker (
      worker_id    varchar2(128 byte) not null,
      queue_name   varchar2(261 byte) not null,
      host         varchar2(255 byte),
      version      varchar2(64 byte),
      state        varchar2(10 byte) not null
                   constraint rtm_worker_state_ck
                   check (state in ('ACTIVE', 'STANDBY', 'HOLDING', 'STOPPING')),
      db_user      varchar2(128 byte),
      started_ts   timestamp(6) with time zone default systimestamp not null,
      heartbeat_ts timestamp(6) with time zone default systimestamp not null,
      constraint rtm_worker_pk primary key (worker_id, queue_name)
    )]');

  -- Key of what tokens carry in place of the id of an APEX session (RTM_TOKEN.SESSION_CLAIM).
  add_missing('rtm_config', 'session_key', 'raw(32)');
  add_missing('rtm_config', 'presence_events', q'[varchar2(1 byte) default 'N' not null
    constraint rtm_config_presence_events_ck check (presence_events in ('Y', 'N'))]');
  add_missing('rtm_database', 'pdb_guid', 'varchar2(32 byte)');
  add_missing('rtm_database', 'server_host', 'varchar2(255 byte)');
  add_missing('rtm_database', 'state', q'[varchar2(9 byte) default 'CONFIRMED' not null
    constraint rtm_database_state_ck check (state in ('CONFIRMED', 'ASKED'))]');
end;
/
-- Numbers of the lease's holders (RTM_WORKER_API.LEASE_TOKEN). It begins at the time of the
-- installation, so that a new one goes on above what a relay log has seen of the last. ORDER: also
-- across the instances of a cluster.
declare
  l_count pls_integer;
  l_start number;
begin
  select count(*)
  into l_count
  from user_objects
  where object_type = 'SEQUENCE'
    and object_name = 'RTM_FENCE_SEQ';
  if l_count = 0 then
    l_start := round((cast(sys_extract_utc(systimestamp) as date) - date '1970-01-01') * 86400000);
    execute immediate 'create sequence rtm_fence_seq nocache order start with '
      || to_char(l_start, 'fm99999999999999');
  end if;
end;
/
-- One current secret: two sessions could each make one. Of several the newest stays.
declare
  l_count pls_integer;
begin
  select count(*) into l_count from user_indexes where index_name = 'RTM_TOKEN_SECRET_CURRENT_UK';
  if l_count = 0 then
    execute immediate q'[
      begin
        update rtm_token_secret
        set is_current = 'N'
        where is_current = 'Y'
          and kid <> (
            select max(kid) keep (dense_rank last order by created_ts)
            from rtm_token_secret
            where is_current = 'Y'
          );
        commit;
      end;]';
    execute immediate 'create unique index rtm_token_secret_current_uk on rtm_token_secret'
      || ' (case when is_current = ''Y'' then ''Y'' end)';
  end if;
end;
/
-- The rows that must be there. The database that runs the first installation is confirmed.
begin
  execute immediate q'[
    begin
      insert into rtm_config(id) select 1 from dual where not exists (select 1 from rtm_config);
      insert into rtm_gauge(id) select 1 from dual where not exists (select 1 from rtm_gauge);
      insert into rtm_database(db_unique_name, con_name)
      select sys_context('USERENV', 'DB_UNIQUE_NAME'), sys_context('USERENV', 'CON_NAME')
      from dual
      where not exists (select 1 from rtm_database);
      commit;
    end;]';
end;
/
