-- RTM_DELIVERY: what must still be delivered, for both transports, apart from the log. On HTTP every
-- message that a job sends after commit; on AQ the payloads that do not fit on a RAW queue (claim
-- checks: the queue carries the rest). A row goes in the transaction that delivers or gives up its
-- message. Times are UTC without a time zone: every client and session compares them alike, by index.
-- RTM_RELAY_STATE: relays that failed lately, and until when they are left alone (RTM_RELAY).
declare
  function there(p_type in varchar2, p_name in varchar2) return boolean is
    l_count pls_integer;
  begin
    select count(*) into l_count from user_objects where object_type = p_type and object_name = p_name;
    return l_count > 0;
  end there;

  procedure create_missing(p_type in varchar2, p_name in varchar2, p_ddl in varchar2) is
  begin
    if not there(p_type, p_name) then
      execute immediate p_ddl;
    end if;
  end create_missing;

  procedure add_missing(p_column in varchar2, p_type in varchar2) is
    l_count pls_integer;
  begin
    select count(*)
    into l_count
    from user_tab_columns
    where table_name = 'RTM_DELIVERY'
      and column_name = upper(p_column);
    if l_count = 0 then
      execute immediate 'alter table rtm_delivery add (' || p_column || ' ' || p_type || ')';
    end if;
  end add_missing;
begin
  -- 0.1.0 before its release had the claim checks in RTM_PAYLOAD. Renamed, not copied: messages that
  -- refer to them are in the queue.
  if there('TABLE', 'RTM_PAYLOAD') and not there('TABLE', 'RTM_DELIVERY') then
    execute immediate 'alter table rtm_payload rename to rtm_delivery';
    execute immediate 'alter table rtm_delivery rename constraint rtm_payload_pk to rtm_delivery_pk';
    execute immediate 'alter index rtm_payload_pk rename to rtm_delivery_pk';
  end if;
  create_missing('SEQUENCE', 'RTM_DELIVERY_SEQ', 'create sequence rtm_delivery_seq cache 100');
  -- relay: null for a claim check, '-' for the configured relay, or the URL of the call.
  -- seq: the order of the calls, for HTTP. api_key: the one of the call, null for the configured one.
  create_missing('TABLE', 'RTM_DELIVERY', q'[
    create table rtm_delivery (
      id          varchar2(32 byte) not null constraint rtm_delivery_pk primary key,
      created_ts  timestamp(6) with time zone default systimestamp not null,
      expires_utc timestamp(6),
      body        blob not null,
      channel     varchar2(512 byte),
      event_name  varchar2(512 byte),
      ts_ms       number,
      source      varchar2(30 byte),
      app_user    varchar2(255 byte),
      relay       varchar2(1000 byte),
      api_key     varchar2(1000 byte),
      seq         number,
      attempts    number default 0 not null,
      retain_s    number
    )]');
  add_missing('expires_utc', 'timestamp(6)');
  add_missing('channel', 'varchar2(512 byte)');
  add_missing('event_name', 'varchar2(512 byte)');
  add_missing('ts_ms', 'number');
  add_missing('source', 'varchar2(30 byte)');
  add_missing('app_user', 'varchar2(255 byte)');
  add_missing('relay', 'varchar2(1000 byte)');
  add_missing('api_key', 'varchar2(1000 byte)');
  add_missing('seq', 'number');
  add_missing('attempts', 'number default 0 not null');
  add_missing('retain_s', 'number');
  create_missing(
    'INDEX', 'RTM_DELIVERY_EXPIRES_IX', 'create index rtm_delivery_expires_ix on rtm_delivery (expires_utc)'
  );
  -- Claim checks have neither column and cost nothing here.
  create_missing(
    'INDEX', 'RTM_DELIVERY_RELAY_IX', 'create index rtm_delivery_relay_ix on rtm_delivery (relay, seq)'
  );
  -- retry_utc: not before. is_silent: Y when the last failure was no answer at all.
  create_missing('TABLE', 'RTM_RELAY_STATE', q'[
    create table rtm_relay_state (
      url         varchar2(1000 byte) not null constraint rtm_relay_state_pk primary key,
      failures    number default 0 not null,
      is_silent   varchar2(1 byte) default 'N' not null
                  constraint rtm_relay_state_silent_ck check (is_silent in ('Y', 'N')),
      retry_utc   timestamp(6) not null,
      last_error  varchar2(4000 byte),
      changed_utc timestamp(6) not null
    )]');
end;
/
-- Claim checks of the old table: they expired, at the latest, a week after they were made.
begin
  execute immediate q'[
    begin
      update rtm_delivery
      set expires_utc = sys_extract_utc(created_ts) + interval '7' day
      where expires_utc is null;
      commit;
    end;]';
end;
/
