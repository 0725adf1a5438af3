create or replace package body rtm_log_api as
  c_slice constant pls_integer := 1000;

  procedure log_event(
    p_source       in varchar2,
    p_channel      in varchar2,
    p_event_name   in varchar2,
    p_payload_json in clob     default null,
    p_http_status  in number   default null,
    p_extra_info   in varchar2 default null,
    p_error        in varchar2 default null
  ) is
    l_row rtm_log%rowtype;
  begin
    l_row               := rtm_log_row.new_row(p_source, p_channel, p_event_name);
    l_row.payload_json  := p_payload_json;
    l_row.http_status   := p_http_status;
    l_row.extra_info    := rtm_text.fit(p_extra_info, 4000);
    l_row.error_message := rtm_text.fit(p_error, 4000);
    l_row.id            := rtm_log_row.add(l_row);
  end log_event;

  procedure purge_rows(p_days in number) is
  begin
    loop
      delete from rtm_log l
      where l.ts < systimestamp - numtodsinterval(p_days, 'DAY')
        and not exists (select 1 from rtm_outbox o where o.log_id = l.id)
        and rownum <= c_slice;
      exit when sql%rowcount = 0;
      commit;
    end loop;
  end purge_rows;

  procedure purge_claims(p_settings in rtm_config%rowtype, p_days in number) is
    -- A message can wait in the queue until it expires, and then in the exception queue for p_days.
    l_age interval day(9) to second(0)
          := numtodsinterval(p_settings.expiration_s, 'SECOND') + numtodsinterval(p_days + 1, 'DAY');
  begin
    loop
      delete from rtm_payload where created_ts < systimestamp - l_age and rownum <= c_slice;
      exit when sql%rowcount = 0;
      commit;
    end loop;
  end purge_claims;

  procedure purge(p_days in number default null) is
    l_settings rtm_config%rowtype := rtm_config_api.settings;
    l_days     number := coalesce(p_days, l_settings.log_days);
    l_removed  number;
  begin
    if l_days < 0 then
      raise_application_error(-20102, 'p_days must not be negative');
    end if;
    l_removed := rtm_admin.purge_exceptions(l_days);
    purge_rows(l_days);
    purge_claims(l_settings, l_days);
  end purge;
end rtm_log_api;
/
