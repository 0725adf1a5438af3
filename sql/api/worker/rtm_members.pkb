create or replace package body rtm_members as
  -- A source that was silent for so many seconds is passed over by RTM_PRESENCE, which uses the same
  -- figure, and forgotten when another one reports.
  c_silent_s        constant pls_integer := 15;
  -- What is left to tell is told with the next report.
  c_events_per_call constant pls_integer := 1000;

  procedure send(p_event in varchar2, p_channel in varchar2, p_user in varchar2, p_expiration_s in number) is
    l_ts_ms number := rtm_text.epoch_ms;
    l_text  varchar2(4000);
    l_id    varchar2(32);
  begin
    select json_object(
             'v' value 1,
             'event' value p_event,
             'channel' value p_channel,
             'user' value p_user,
             'ts' value l_ts_ms
             absent on null
             returning varchar2(4000)
           )
    into l_text
    from dual;
    l_id := rtm_aq.enqueue_event(l_text, p_expiration_s);
  end send;

  function is_told(p_channel in varchar2) return boolean is
    l_count pls_integer;
  begin
    select count(*) into l_count from rtm_present where channel = p_channel and rownum = 1;
    return l_count > 0;
  end is_told;

  -- The difference of two tables: whatever happened in between, nobody comes or leaves twice. Who came is
  -- told first, so that a channel whose last member left while another came was never vacated.
  procedure tell(p_expiration_s in number) is
  begin
    for came in (
      select channel, user_name
      from (
        select channel, user_name from rtm_member
        minus
        select channel, user_name from rtm_present
      )
      where rownum <= c_events_per_call
    ) loop
      if not is_told(came.channel) then
        send('occupied', came.channel, null, p_expiration_s);
      end if;
      insert into rtm_present(channel, user_name) values (came.channel, came.user_name);
      send('joined', came.channel, came.user_name, p_expiration_s);
    end loop;
    for gone in (
      select channel, user_name
      from (
        select channel, user_name from rtm_present
        minus
        select channel, user_name from rtm_member
      )
      where rownum <= c_events_per_call
    ) loop
      delete from rtm_present where channel = gone.channel and user_name = gone.user_name;
      send('left', gone.channel, gone.user_name, p_expiration_s);
      if not is_told(gone.channel) then
        send('vacated', gone.channel, null, p_expiration_s);
      end if;
    end loop;
  end tell;

  procedure forget_silent(p_source in varchar2, p_now in timestamp) is
    l_before rtm_member_source.seen_utc%type := p_now - numtodsinterval(c_silent_s, 'SECOND');
  begin
    delete from rtm_member
    where source in (
      select s.source
      from rtm_member_source s
      where s.seen_utc < l_before
        and s.source <> p_source
    );
    delete from rtm_member_source where seen_utc < l_before and source <> p_source;
  end forget_silent;

  procedure put(
    p_source      in rtm_member_source%rowtype,
    p_channels    in rtm_worker_api.t_names,
    p_users       in rtm_worker_api.t_users,
    p_connections in rtm_worker_api.t_numbers,
    p_infos       in rtm_worker_api.t_infos,
    p_since_ms    in rtm_worker_api.t_numbers
  ) is
    l_source rtm_member.source%type := p_source.source;
    l_pass   rtm_member.pass%type := p_source.pass;
  begin
    forall i in 1 .. p_channels.count
      delete from rtm_member
      where source = l_source
        and channel = p_channels(i)
        and user_name = p_users(i)
        and p_connections(i) = 0;
    forall i in 1 .. p_channels.count
      merge into rtm_member m
      using (
        select p_channels(i) as channel,
               p_users(i) as user_name,
               p_connections(i) as connections,
               p_infos(i) as member_info,
               timestamp '1970-01-01 00:00:00' + numtodsinterval(p_since_ms(i) / 1000, 'SECOND') as since_utc
        from dual
        where p_connections(i) > 0
      ) n
      on (m.source = l_source and m.channel = n.channel and m.user_name = n.user_name)
      when matched then update
        set m.connections = n.connections,
            m.member_info = n.member_info,
            m.since_utc   = n.since_utc,
            m.pass        = l_pass
      when not matched then insert (source, channel, user_name, connections, member_info, since_utc, pass)
        values (l_source, n.channel, n.user_name, n.connections, n.member_info, n.since_utc, l_pass);
  end put;

  procedure report(
    p_source      in  varchar2,
    p_full        in  number,
    p_channels    in  rtm_worker_api.t_names,
    p_users       in  rtm_worker_api.t_users,
    p_connections in  rtm_worker_api.t_numbers,
    p_infos       in  rtm_worker_api.t_infos,
    p_since_ms    in  rtm_worker_api.t_numbers,
    p_resend      out number
  ) is
    pragma autonomous_transaction;
    l_settings rtm_config%rowtype := rtm_config_api.settings;
    l_now      rtm_member_source.seen_utc%type := rtm_text.now_utc;
    l_source   rtm_member_source%rowtype;
  begin
    p_resend := 0;
    -- One report at a time, as two workers may overlap for a moment; who reads is not kept waiting.
    lock table rtm_member in share row exclusive mode;
    update rtm_member_source set seen_utc = l_now where source = p_source;
    if sql%rowcount = 0 then
      if p_full = 0 then
        -- Forgotten, or never known: changes say nothing about the rest.
        p_resend := 1;
        commit;
        return;
      end if;
      insert into rtm_member_source(source, seen_utc) values (p_source, l_now);
    end if;
    select * into l_source from rtm_member_source where source = p_source;
    if p_full in (1, 2) then
      -- A list begins anew, whatever became of the one before.
      l_source.pass := l_source.pass + 1;
      update rtm_member_source set pass = l_source.pass where source = p_source;
    end if;
    put(l_source, p_channels, p_users, p_connections, p_infos, p_since_ms);
    if p_full in (1, 4) then
      delete from rtm_member where source = p_source and pass <> l_source.pass;
    end if;
    forget_silent(p_source, l_now);
    if rtm_features.c_events and l_settings.presence_events = 'Y' then
      tell(l_settings.expiration_s);
    end if;
    commit;
  exception
    when others then
      rollback;
      raise;
  end report;
end rtm_members;
/
