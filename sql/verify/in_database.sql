declare
  -- Everything that this creates or sends has this name in its own.
  c_tag     constant varchar2(20) := 'RTMV_' || substr(rawtohex(sys_guid()), 1, 8) || '_';
  c_table   constant varchar2(30) := c_tag || 'T';
  c_quoted  constant varchar2(60) := '"' || c_tag || 'Two words"';
  c_wide    constant varchar2(30) := c_tag || 'WIDE';
  c_channel constant varchar2(30) := lower(c_tag) || 'channel';
  c_failed  constant pls_integer := -20160;
  c_skipped constant pls_integer := -20161;
  type t_texts is table of varchar2(4000) index by pls_integer;
  g_name    varchar2(200);
  g_started number;
  g_ok      pls_integer := 0;
  g_bad     pls_integer := 0;
  g_skipped pls_integer := 0;

  procedure say(p_verdict in varchar2, p_detail in varchar2) is
  begin
    dbms_output.put_line(
      rpad(p_verdict, 8) || lpad(to_char(round(rtm_text.epoch_ms - g_started)), 6) || ' ms  ' || g_name
        || case when p_detail is not null then ': ' || substr(replace(p_detail, chr(10), ' '), 1, 1500) end
    );
  end say;

  procedure start_check(p_name in varchar2) is
  begin
    g_name    := p_name;
    g_started := rtm_text.epoch_ms;
  end start_check;

  procedure passed(p_detail in varchar2 default null) is
  begin
    rollback;
    g_ok := g_ok + 1;
    say('ok', p_detail);
  end passed;

  -- In the exception handler of a check.
  procedure broke is
    l_code pls_integer := sqlcode;
    l_text varchar2(4000) := substr(sqlerrm || ' ' || dbms_utility.format_error_backtrace, 1, 2000);
  begin
    rollback;
    for left in (select trigger_name from user_triggers where trigger_name = c_tag || 'TRG') loop
      execute immediate 'drop trigger ' || left.trigger_name;
    end loop;
    if l_code = c_skipped then
      g_skipped := g_skipped + 1;
      say('skipped', regexp_substr(substr(l_text, 12), '^[^' || chr(10) || ']*'));
    else
      g_bad := g_bad + 1;
      say('FAILED', l_text);
    end if;
  end broke;

  procedure expect(p_holds in boolean, p_what in varchar2) is
  begin
    if p_holds is null or not p_holds then
      raise_application_error(c_failed, p_what);
    end if;
  end expect;

  procedure skip_check(p_why in varchar2) is
  begin
    raise_application_error(c_skipped, p_why);
  end skip_check;

  procedure need_queue is
  begin
    if websocket_api.transport <> 'AQ' then
      skip_check('the transport is ' || websocket_api.transport);
    end if;
  end need_queue;

  procedure send(p_payload in clob) is
  begin
    websocket_api.broadcast(c_channel, 'verify', p_payload, 'RAISE', 'VERIFY');
  end send;

  -- The messages of this run that this session sees on the queue, in their order: event and payload.
  function messages return t_texts is
    l_cursor sys_refcursor;
    l_text   varchar2(4000);
    l_texts  t_texts;
  begin
    if rtm_aq.payload_kind = 'JSON' then
      open l_cursor for q'[
        select json_value(q.user_data, '$.eventName') || ' '
                 || json_value(q.user_data, '$.payload' returning varchar2(4000))
        from rtm_qt q
        where q.q_name = 'RTM_QUEUE'
          and json_value(q.user_data, '$.channel') = :1
        order by q.enq_time, q.step_no]'
        using c_channel;
    else
      open l_cursor for q'[
        select regexp_substr(m.text, '"eventName":"([^"]*)"', 1, 1, null, 1) || ' '
                 || substr(m.text, instr(m.text, chr(10)) + 1)
        from (
          select utl_raw.cast_to_varchar2(dbms_lob.substr(q.user_data, 1900, 1)) as text, q.enq_time, q.step_no
          from rtm_qt q
          where q.q_name = 'RTM_QUEUE'
        ) m
        where instr(m.text, '"channel":"' || :1 || '"') > 0
        order by m.enq_time, m.step_no]'
        using c_channel;
    end if;
    loop
      fetch l_cursor into l_text;
      exit when l_cursor%notfound;
      l_texts(l_texts.count + 1) := l_text;
    end loop;
    close l_cursor;
    return l_texts;
  end messages;

  -- p_events: the events that are expected, separated by blanks.
  procedure expect_events(p_events in varchar2) is
    l_texts  t_texts := messages;
    l_events varchar2(4000);
  begin
    for i in 1 .. l_texts.count loop
      l_events := substr(l_events || case when i > 1 then ' ' end
        || substr(l_texts(i), 1, instr(l_texts(i), ' ') - 1), 1, 2000);
    end loop;
    expect(
      l_events = p_events or (l_events is null and p_events is null),
      'expected ' || coalesce(p_events, 'nothing') || ', found ' || coalesce(l_events, 'nothing')
    );
  end expect_events;

  procedure expect_text(p_text in varchar2) is
    l_texts t_texts := messages;
  begin
    expect(l_texts.count = 1, 'expected one message, found ' || l_texts.count);
    expect(instr(l_texts(1), p_text) > 0, 'expected ' || p_text || ' in ' || l_texts(1));
  end expect_text;

  procedure run(p_sql in varchar2) is
  begin
    execute immediate p_sql;
  end run;

  procedure watch(
    p_columns  in varchar2 default null,
    p_when     in varchar2 default null,
    p_max_rows in number   default 500,
    p_table    in varchar2 default c_table
  ) is
    e_no_grant exception;
    pragma exception_init(e_no_grant, -20143);
  begin
    rtm_watch.watch(p_table, c_channel, p_columns, 'v', p_when, p_max_rows);
  exception
    when e_no_grant then
      skip_check(substr(sqlerrm, 12));
  end watch;

  procedure check_objects is
    l_names varchar2(4000);
  begin
    start_check('every object is valid');
    for unit in (
      select object_type || ' ' || object_name as name
      from user_objects
      where status <> 'VALID'
        and (object_name like 'RTM\_%' escape '\' or object_name like 'WEBSOCKET\_%' escape '\')
    ) loop
      l_names := substr(l_names || ' ' || unit.name, 1, 1000);
    end loop;
    expect(l_names is null, 'invalid:' || l_names);
    passed(websocket_api.transport || ', ' || websocket_api.transport_reason);
  exception
    when others then
      broke;
  end check_objects;

  procedure check_status is
    l_count pls_integer;
  begin
    start_check('RTM_STATUS answers');
    execute immediate 'select count(*) from rtm_status where transport is not null' into l_count;
    expect(l_count = 1, 'no row');
    passed;
  exception
    when others then
      broke;
  end check_status;

  procedure check_rollback is
  begin
    start_check('a rollback takes the message back');
    need_queue;
    send('{"n":1}');
    expect_events('verify');
    rollback;
    expect_events(null);
    passed;
  exception
    when others then
      broke;
  end check_rollback;

  procedure check_savepoint is
  begin
    start_check('a rollback to a savepoint takes back what came after it, in order');
    need_queue;
    websocket_api.broadcast(c_channel, 'first', '1');
    websocket_api.broadcast(c_channel, 'second', '2');
    savepoint before_third;
    websocket_api.broadcast(c_channel, 'third', '3');
    rollback to savepoint before_third;
    websocket_api.broadcast(c_channel, 'fourth', '4');
    expect_events('first second fourth');
    passed;
  exception
    when others then
      broke;
  end check_savepoint;

  procedure check_sizes is
    l_payload clob;
    l_kept    pls_integer;
    l_found   pls_integer;

    procedure try_size(p_characters in pls_integer) is
    begin
      -- Characters of two bytes, so that a cut in the middle of one would show.
      l_payload := '"' || unistr('\00e9');
      while dbms_lob.getlength(l_payload) < p_characters loop
        l_payload := l_payload || rpad(unistr('\00e9'), least(p_characters - dbms_lob.getlength(l_payload), 4000), unistr('\00e9'));
      end loop;
      l_payload := l_payload || '"';
      send(l_payload);
    end try_size;
  begin
    start_check('payloads of 200 bytes to 600,000 bytes, as claim checks where they do not fit');
    need_queue;
    select count(*) into l_kept from rtm_delivery where relay is null;
    try_size(100);
    try_size(16000);
    try_size(17000);
    try_size(300000);
    expect_events('verify verify verify verify');
    select count(*) into l_found from rtm_delivery where relay is null;
    if rtm_aq.payload_kind = 'RAW' then
      expect(l_found - l_kept >= 2, 'expected two claim checks, found ' || (l_found - l_kept));
    end if;
    passed(rtm_aq.payload_kind);
  exception
    when others then
      broke;
  end check_sizes;

  procedure check_json is
    procedure refused(p_payload in varchar2) is
      e_bad_payload exception;
      pragma exception_init(e_bad_payload, -20105);
    begin
      send(p_payload);
      expect(false, 'accepted ' || p_payload);
    exception
      when e_bad_payload then
        rollback;
    end refused;
  begin
    start_check('JSON of every kind is taken, everything else refused');
    need_queue;
    send('null');
    send('"text"');
    send('12345678901234567890');
    send('[1, 2]');
    expect_events('verify verify verify verify');
    rollback;
    refused('{a:1}');
    refused('1,2');
    refused('{"a":');
    passed;
  exception
    when others then
      broke;
  end check_json;

  procedure check_names is
    e_bad_name exception;
    pragma exception_init(e_bad_name, -20101);
  begin
    start_check('a channel with * is refused');
    begin
      websocket_api.broadcast(c_channel || '*', 'verify', '1', 'RAISE');
      expect(false, 'it was accepted');
    exception
      when e_bad_name then
        rollback;
    end;
    passed;
  exception
    when others then
      broke;
  end check_names;

  procedure check_token is
    e_no_secret exception;
    pragma exception_init(e_no_secret, -20104);
    l_token varchar2(32767);
  begin
    start_check('a token is signed');
    begin
      l_token := websocket_api.client_token(c_channel, 'RTM_VERIFY', 60);
    exception
      when e_no_secret then
        skip_check('no token secret');
    end;
    expect(
      regexp_like(l_token, '^[A-Za-z0-9_-]+[.][A-Za-z0-9_-]+[.][A-Za-z0-9_-]+$'),
      'it is no token'
    );
    passed;
  exception
    when others then
      broke;
  end check_token;

  procedure check_token_options is
    e_no_secret exception;
    pragma exception_init(e_no_secret, -20104);
    l_channels websocket_api.t_channels;
    l_options  websocket_api.t_token_options;
    l_token    varchar2(32767);
    l_part     varchar2(32767);
    l_claims   json_object_t;
    l_presence json_object_t;
  begin
    start_check('a token says who, when and where its user is seen');
    l_channels(1)               := c_channel;
    l_options.presence_join(1)  := c_channel;
    l_options.presence_watch(1) := c_channel;
    l_options.member_info       := '{"name":"' || unistr('\00e9') || '"}';
    begin
      l_token := websocket_api.client_token(l_channels, l_options, 'rtm_verify', 60);
    exception
      when e_no_secret then
        skip_check('no token secret');
    end;
    l_part := translate(regexp_substr(l_token, '[^.]+', 1, 2), '-_', '+/');
    l_part := rpad(l_part, ceil(length(l_part) / 4) * 4, '=');
    l_claims := json_object_t.parse(
      utl_i18n.raw_to_char(utl_encode.base64_decode(utl_raw.cast_to_raw(l_part)), 'AL32UTF8')
    );
    expect(l_claims.get_string('sub') = 'rtm_verify', 'sub');
    expect(l_claims.get_string('self') = 'user:RTM_VERIFY', 'self');
    expect(length(l_claims.get_string('jti')) = 32, 'jti');
    expect(l_claims.get_number('exp') - l_claims.get_number('iat') = 60, 'iat');
    l_presence := json_object_t.parse(l_claims.get('presence').to_string);
    expect(instr(l_presence.to_string, unistr('\00e9')) > 0, 'presence.info');
    expect(length(rtm_token.session_claim(12345678901234)) = 32, 'sid');
    passed;
  exception
    when others then
      broke;
  end check_token_options;

  procedure check_revocation is
    l_count pls_integer;
    l_self  varchar2(512) := websocket_api.user_channel(c_tag);
  begin
    start_check('a revocation is a row and an item of the queue, and a rollback takes both');
    need_queue;
    websocket_api.revoke_user(c_tag);
    websocket_api.unsubscribe_user(c_tag, c_channel);
    websocket_api.disconnect_user(c_tag);
    websocket_api.forget_last(c_channel, 'verify');
    select count(*) into l_count from rtm_revocation where claim_value = l_self;
    expect(l_count = 2, 'expected 2 rows of RTM_REVOCATION, found ' || l_count);
    rollback;
    select count(*) into l_count from rtm_revocation where claim_value = l_self;
    expect(l_count = 0, 'the rows are left');
    passed;
  exception
    when others then
      broke;
  end check_revocation;

  procedure check_presence is
    l_channels    rtm_worker_api.t_names;
    l_users       rtm_worker_api.t_users;
    l_connections rtm_worker_api.t_numbers;
    l_infos       rtm_worker_api.t_infos;
    l_since       rtm_worker_api.t_numbers;
    l_resend      number;

    -- Commits by itself, as the worker's report does.
    procedure report(p_full in number, p_connections in number, p_shown in number) is
      l_count pls_integer;
    begin
      l_connections(1) := p_connections;
      rtm_worker_api.presence(
        c_tag, p_full, l_channels, l_users, l_connections, l_infos, l_since, l_resend
      );
      expect(l_resend = 0, 'p_resend is ' || l_resend);
      select count(*) into l_count from rtm_presence where channel = c_channel;
      expect(l_count = p_shown, 'RTM_PRESENCE shows ' || l_count);
      select count(*) into l_count from table(websocket_api.members(c_channel));
      expect(l_count = p_shown, 'MEMBERS shows ' || l_count);
    end report;
  begin
    start_check('a member that a worker reports is shown, and gone when it has left');
    if rtm_config_api.get_value('presence_events') = 'Y' then
      skip_check('the setting presence_events is Y: applications would hear of it');
    end if;
    l_channels(1) := c_channel;
    l_users(1)    := 'RTM_VERIFY';
    l_infos(1)    := null;
    l_since(1)    := rtm_text.epoch_ms;
    report(1, 2, 1);
    report(0, 1, 1);
    report(0, 0, 0);
    passed;
  exception
    when others then
      broke;
  end check_presence;

  procedure check_lease is
    l_answer varchar2(30);
  begin
    start_check('the lease of the queue');
    need_queue;
    l_answer := rtm_worker_api.acquire_lease(rtm_aq.queue_name);
    if l_answer = 'NO_GRANT' then
      skip_check('no EXECUTE on DBMS_LOCK');
    elsif l_answer = 'BUSY' then
      passed('a worker holds it');
    else
      rtm_worker_api.release_lease(rtm_aq.queue_name);
      passed('taken and given back');
    end if;
  exception
    when others then
      broke;
  end check_lease;

  -- Takes a committed message away again; nothing when a worker has it already.
  procedure take(p_id in varchar2) is
  begin
    execute immediate q'[
      declare
        l_options    dbms_aq.dequeue_options_t;
        l_properties dbms_aq.message_properties_t;
        l_payload    raw(32767);
        l_id         raw(16);
      begin
        l_options.msgid      := hextoraw(:id);
        l_options.wait       := dbms_aq.no_wait;
        l_options.navigation := dbms_aq.first_message;
        dbms_aq.dequeue('RTM_QUEUE', l_options, l_properties, l_payload, l_id);
        commit;
      end;]'
      using p_id;
  exception
    when others then
      dbms_output.put_line('         (not on the queue any more: ' || substr(sqlerrm, 1, 60) || ')');
  end take;

  procedure check_exception_queue is
    l_id    varchar2(32);
    l_found pls_integer := 0;
  begin
    start_check('a message that expires goes to the exception queue, and is removed there');
    need_queue;
    if rtm_aq.payload_kind <> 'RAW' then
      skip_check('the queue holds JSON');
    elsif rtm_admin.listeners is not null then
      skip_check('a worker is active, and would deliver the message');
    end if;
    execute immediate q'[
      declare
        l_options    dbms_aq.enqueue_options_t;
        l_properties dbms_aq.message_properties_t;
        l_id         raw(16);
      begin
        l_properties.expiration := 1;
        dbms_aq.enqueue(
          'RTM_QUEUE', l_options, l_properties,
          utl_raw.cast_to_raw('{"v":1,"channel":"' || :channel || '","eventName":"expired","ts":0}' || chr(10) || '1'),
          l_id
        );
        :id := rawtohex(l_id);
        commit;
      end;]'
      using c_channel, out l_id;
    for second in 1 .. 60 loop
      select count(*)
      into l_found
      from table(rtm_admin.list_exceptions(10000)) m
      where lower(m.message_id) = lower(l_id);
      exit when l_found > 0;
      dbms_session.sleep(1);
    end loop;
    if l_found = 0 then
      take(l_id);
      expect(false, 'not there after 60 seconds: does the queue monitor run (AQ_TM_PROCESSES)?');
    end if;
    expect(rtm_aq.remove_exception(l_id), 'it could not be removed');
    commit;
    passed;
  exception
    when others then
      broke;
  end check_exception_queue;

  procedure check_trigger is
  begin
    start_check('a trigger of the application broadcasts, and its rollback does not');
    need_queue;
    run('create or replace trigger ' || c_tag || 'TRG after insert on ' || c_table || ' for each row
      begin
        websocket_api.broadcast(''' || c_channel || ''', ''row'', ''{"id":'' || :new.id || ''}'');
      end;');
    run('insert into ' || c_table || ' (id) values (1)');
    savepoint before_two;
    run('insert into ' || c_table || ' (id) values (2)');
    rollback to savepoint before_two;
    expect_events('row');
    expect_text('{"id":1}');
    rollback;
    run('drop trigger ' || c_tag || 'TRG');
    passed;
  exception
    when others then
      broke;
  end check_trigger;

  procedure check_watch is
  begin
    start_check('a watched table: insert, update, delete');
    need_queue;
    watch;
    run('insert into ' || c_table || ' (id, name) values (1, ''a"b'')');
    run('update ' || c_table || ' set name = ''c''');
    run('delete from ' || c_table);
    expect_events('v-inserted v-updated v-deleted');
    passed;
  exception
    when others then
      broke;
  end check_watch;

  procedure check_values is
  begin
    start_check('a watched table: identity, virtual, double, date, timestamp and long text');
    need_queue;
    watch(p_columns => 'id, twice, huge, made, made_tz, big');
    run(
      'insert into ' || c_table || ' (id, huge, made, made_tz, big) values (21, 1e200d,'
        || ' date ''2026-11-22'', timestamp ''2026-11-22 10:11:12.5 +02:00'', 12345678901234567890)'
    );
    expect_text('"ID":21,');
    expect_text('"BIG":"12345678901234567890"');
    expect_text('"TWICE":42');
    expect_text('"MADE":"2026-11-22T00:00:00"');
    expect_text('"MADE_TZ":"2026-11-22T10:11:12.500000+02:00"');
    expect_text('"HUGE":"1.0000000000000000E+200"');
    rollback;
    watch(p_columns => '["ID","NOTE"]');
    run(
      'declare l_note clob; begin for i in 1 .. 20 loop l_note := l_note || rpad(''x'', 2000, ''x''); end loop;'
        || ' insert into ' || c_table || ' (id, note) values (1, l_note); end;'
    );
    expect_events('v-inserted');
    passed;
  exception
    when others then
      broke;
  end check_values;

  procedure check_merge is
  begin
    start_check('a watched table: MERGE sends each row once');
    need_queue;
    watch(p_columns => 'ID');
    run('insert into ' || c_table || ' (id) values (1)');
    run('merge into ' || c_table || ' t using (select level as id from dual connect by level <= 2) s
      on (t.id = s.id)
      when matched then update set t.name = ''x''
      when not matched then insert (id) values (s.id)');
    expect_events('v-inserted v-updated v-inserted');
    rollback;
    run('merge into ' || c_table || ' t using (select 1 as id from dual where 1 = 0) s
      on (t.id = s.id)
      when matched then update set t.name = ''x''
      when not matched then insert (id) values (s.id)');
    expect_events(null);
    passed;
  exception
    when others then
      broke;
  end check_merge;

  procedure check_bulk is
  begin
    start_check('a watched table: one bulk message of a statement, and of a transaction');
    need_queue;
    watch(p_columns => 'ID', p_max_rows => 3);
    run('insert into ' || c_table || ' (id) select level from dual connect by level <= 5');
    expect_events('v-bulk');
    run('insert into ' || c_table || ' (id) values (6)');
    expect_events('v-bulk');
    rollback;
    for i in 1 .. 3 loop
      run('insert into ' || c_table || ' (id) values (' || i || ')');
    end loop;
    savepoint before_bulk;
    run('insert into ' || c_table || ' (id) values (4)');
    run('insert into ' || c_table || ' (id) values (5)');
    expect_events('v-inserted v-inserted v-inserted v-bulk');
    rollback to savepoint before_bulk;
    run('insert into ' || c_table || ' (id) values (6)');
    expect_events('v-inserted v-inserted v-inserted v-bulk');
    passed;
  exception
    when others then
      broke;
  end check_bulk;

  procedure check_nested is
    l_texts t_texts;
  begin
    start_check('a watched table: a statement on it within a statement on it');
    need_queue;
    watch(p_columns => 'ID,NAME');
    run('create or replace trigger ' || c_tag || 'TRG after insert on ' || c_table || '
      begin
        update ' || c_table || ' set name = ''done'' where name = ''new'';
      end;');
    run('insert into ' || c_table || ' (id, name) values (1, ''new'')');
    l_texts := messages;
    expect(l_texts.count = 2, 'expected two messages, found ' || l_texts.count);
    rollback;
    run('drop trigger ' || c_tag || 'TRG');
    passed;
  exception
    when others then
      broke;
  end check_nested;

  procedure check_failed_statement is
    e_not_null exception;
    pragma exception_init(e_not_null, -1400);
  begin
    start_check('a watched table: nothing of a statement that failed');
    need_queue;
    watch(p_columns => 'ID');
    begin
      run('insert into ' || c_table || ' (id)
        select case when level < 3 then level end from dual connect by level <= 3');
      expect(false, 'the statement did not fail');
    exception
      when e_not_null then
        expect_events(null);
    end;
    run('insert into ' || c_table || ' (id) values (9)');
    expect_events('v-inserted');
    expect_text('"ID":9');
    passed;
  exception
    when others then
      broke;
  end check_failed_statement;

  procedure check_condition is
    e_bad_condition exception;
    pragma exception_init(e_bad_condition, -20144);
  begin
    start_check('a watched table: a condition, an error in it, and one that does not compile');
    need_queue;
    watch(p_columns => 'ID', p_when => '1 / (:new.id - 7) > 0');
    run('insert into ' || c_table || ' (id) select 5 + level from dual connect by level <= 3');
    expect_events('v-inserted');
    expect_text('"ID":8');
    rollback;
    begin
      watch(p_when => 'nonsense');
      expect(false, 'it was accepted');
    exception
      when e_bad_condition then
        run('insert into ' || c_table || ' (id) values (9)');
        expect_events('v-inserted');
    end;
    passed;
  exception
    when others then
      broke;
  end check_condition;

  procedure check_quoted is
  begin
    start_check('a watched table: names in quotes, with blanks, commas and braces');
    need_queue;
    run('create table ' || c_quoted || ' ("first, {OLD}" number, "two words" varchar2(10))');
    watch(p_columns => '["first, {OLD}","two words"]', p_table => c_quoted);
    run('insert into ' || c_quoted || ' values (1, ''x'')');
    expect_text('"row":{"first, {OLD}":1,"two words":"x"}');
    rollback;
    watch(p_columns => '"two words"', p_table => c_quoted);
    run('insert into ' || c_quoted || ' values (1, ''x'')');
    expect_text('"row":{"two words":"x"}');
    passed;
  exception
    when others then
      broke;
  end check_quoted;

  procedure check_wide is
    l_ddl   clob := 'create table ' || c_wide || ' (c000 number';
    l_count pls_integer;
  begin
    start_check('a watched table of 400 columns');
    need_queue;
    for i in 1 .. 399 loop
      l_ddl := l_ddl || ', column_with_a_name_of_30_b_' || to_char(i, 'FM000') || ' number';
    end loop;
    execute immediate l_ddl || ')';
    watch(p_table => c_wide);
    run('insert into ' || c_wide || ' (c000) values (1)');
    expect_events('v-inserted');
    rollback;
    select max(trigger_count) into l_count from rtm_watched_table where table_name = c_wide;
    passed(l_count || ' triggers');
  exception
    when others then
      broke;
  end check_wide;

  procedure check_own_table is
    e_own_table exception;
    pragma exception_init(e_own_table, -20145);
  begin
    start_check('a table of apex-rtm itself is not watched');
    begin
      rtm_watch.watch('RTM_LOG', c_channel);
      expect(false, 'it was accepted');
    exception
      when e_own_table then
        rollback;
    end;
    passed;
  exception
    when others then
      broke;
  end check_own_table;

  procedure check_http is
    l_status varchar2(30);
    l_error  varchar2(4000);
  begin
    start_check('HTTP: a message reaches the relay');
    if websocket_api.transport not like 'HTTP%' then
      skip_check('the transport is ' || websocket_api.transport);
    elsif rtm_config_api.get_value('log_messages') = 'N' then
      skip_check('the setting log_messages is N: what arrived leaves no row');
    end if;
    send('{"verify":true}');
    commit;
    for second in 1 .. 20 loop
      select max(status), max(error_message)
      into l_status, l_error
      from rtm_log
      where channel = c_channel
        and transport like 'HTTP%';
      exit when l_status in ('SENT', 'FAILED', 'REJECTED');
      dbms_session.sleep(1);
    end loop;
    expect(l_status = 'SENT', 'status ' || l_status || ' after 20 seconds: ' || l_error);
    passed(websocket_api.transport);
  exception
    when others then
      broke;
  end check_http;

  -- Drops the tables of this run, and forgets their watches.
  procedure clean is
  begin
    rollback;
    for scratch in (
      select table_name
      from user_tables
      where substr(table_name, 1, length(c_tag)) = c_tag
    ) loop
      rtm_watch.unwatch('"' || scratch.table_name || '"');
      execute immediate 'drop table "' || scratch.table_name || '" purge';
    end loop;
    delete from rtm_log where channel in (c_channel, c_channel || '*');
    delete from rtm_member where source = c_tag;
    delete from rtm_member_source where source = c_tag;
    commit;
  end clean;

  procedure check_clean is
    l_names varchar2(4000);
    l_count pls_integer;
  begin
    start_check('nothing is left behind');
    clean;
    for left in (
      select object_name
      from user_objects
      where instr(object_name, c_tag) > 0
    ) loop
      l_names := substr(l_names || ' ' || left.object_name, 1, 1000);
    end loop;
    expect(l_names is null, 'left:' || l_names);
    select count(*) into l_count from rtm_watched_table where instr(table_name, c_tag) = 1;
    expect(l_count = 0, 'watches are left');
    if websocket_api.transport = 'AQ' then
      expect_events(null);
    end if;
    passed;
  exception
    when others then
      broke;
  end check_clean;
begin
  for product in (
    select product, version_full
    from product_component_version
    where product like 'Oracle%'
  ) loop
    dbms_output.put_line('database ' || product.product || ' ' || product.version_full);
  end loop;
  dbms_output.put_line('schema   ' || sys_context('USERENV', 'CURRENT_SCHEMA') || ', version '
    || rtm_features.c_schema_version || ', scratch names ' || c_tag || '...');
  run('create table ' || c_table || ' (
    id number generated by default as identity not null, name varchar2(20), note clob, made date,
    made_tz timestamp with time zone, huge binary_double, big number,
    twice number generated always as (id * 2) virtual, doc xmltype)');
  check_objects;
  check_status;
  check_rollback;
  check_savepoint;
  check_sizes;
  check_json;
  check_names;
  check_token;
  check_token_options;
  check_revocation;
  check_presence;
  check_lease;
  check_exception_queue;
  check_http;
  check_trigger;
  check_watch;
  check_values;
  check_merge;
  check_bulk;
  check_nested;
  check_failed_statement;
  check_condition;
  check_quoted;
  check_wide;
  check_own_table;
  check_clean;
  dbms_output.put_line('verify: ' || g_ok || ' ok, ' || g_bad || ' failed, ' || g_skipped || ' skipped');
  if g_bad > 0 then
    raise_application_error(c_failed, g_bad || ' checks failed; the lines above say which');
  end if;
exception
  when others then
    clean;
    raise;
end;
/
