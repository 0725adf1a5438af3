-- Moves what an installation from before the first release kept elsewhere, once the packages that wrote
-- it are replaced: RTM_OUTBOX and the payloads in RTM_LOG become rows of RTM_DELIVERY, before everything
-- that has been broadcast since.
declare
  l_count pls_integer;
begin
  select count(*) into l_count from user_tables where table_name = 'RTM_OUTBOX';
  if l_count = 0 then
    return;
  end if;
  -- Waits for transactions that have just broadcast.
  execute immediate 'lock table rtm_outbox in exclusive mode wait 60';
  execute immediate q'[
    declare
      l_settings rtm_config%rowtype := rtm_config_api.settings;
      l_body     blob;
      l_relay    rtm_delivery.relay%type;
      l_until    rtm_delivery.expires_utc%type;
      l_ts_ms    number;
      l_log      rtm_log%rowtype;
    begin
      for old in (
        select log_id, base_url, api_key, created_ts, attempts from rtm_outbox order by log_id
      ) loop
        select * into l_log from rtm_log where id = old.log_id;
        l_body  := rtm_text.utf8_blob(l_log.payload_json);
        l_relay := rtm_relay.delivery_name(old.base_url, l_settings);
        l_until := sys_extract_utc(old.created_ts) + numtodsinterval(l_settings.expiration_s, 'SECOND');
        l_ts_ms := rtm_text.epoch_ms(l_log.ts);
        insert into rtm_delivery(
          id, created_ts, expires_utc, body, channel, event_name, ts_ms, source, app_user, relay, api_key,
          seq, attempts
        ) values (
          l_log.message_id, old.created_ts, l_until, l_body, l_log.channel, l_log.event_name, l_ts_ms,
          l_log.source, l_log.app_user, l_relay, old.api_key, old.log_id - 1000000000000000, old.attempts
        );
        rtm_text.free(l_body);
        if l_settings.log_payload <> 'ALL' then
          -- It was kept only as long as the message waited.
          update rtm_log set payload_json = null where id = old.log_id;
        end if;
        delete from rtm_outbox where log_id = old.log_id;
      end loop;
      commit;
    end;]';
  execute immediate 'drop table rtm_outbox purge';
end;
/
