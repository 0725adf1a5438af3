create or replace package body rtm_worker_api as
  c_revocations_per_call constant pls_integer := 100;
  c_members_per_call     constant pls_integer := 10000;

  procedure check_range(p_name in varchar2, p_value in number, p_low in number, p_high in number) is
  begin
    if p_value is null or p_value <> trunc(p_value) or p_value not between p_low and p_high then
      raise_application_error(
        -20120,
        p_name || ' must be a whole number from ' || p_low || ' to ' || p_high
      );
    end if;
  end check_range;

  procedure check_word(p_name in varchar2, p_value in varchar2, p_list in varchar2) is
  begin
    if p_value is null
      or instr(p_value, '|') > 0
      or instr('|' || p_list || '|', '|' || p_value || '|') = 0
    then
      raise_application_error(-20120, p_name || ' must be one of ' || replace(p_list, '|', ', '));
    end if;
  end check_word;

  procedure check_text(p_name in varchar2, p_value in varchar2, p_bytes in pls_integer) is
  begin
    if p_value is null or lengthb(p_value) > p_bytes then
      raise_application_error(-20120, p_name || ' must have 1 to ' || p_bytes || ' bytes');
    end if;
  end check_text;

  procedure check_length(p_name in varchar2, p_length in number, p_expected in number) is
  begin
    if p_length <> p_expected then
      raise_application_error(-20120, p_name || ' must have as many elements as p_channels');
    end if;
  end check_length;

  function worker_pieces(p_pieces in rtm_text.t_pieces) return t_pieces is
    l_pieces t_pieces;
  begin
    for i in 1 .. p_pieces.count loop
      l_pieces(i) := p_pieces(i);
    end loop;
    return l_pieces;
  end worker_pieces;

  procedure versions(
    p_api_version    out number,
    p_schema_version out varchar2,
    p_db_version     out varchar2,
    p_queue_name     out varchar2,
    p_payload_kind   out varchar2,
    p_lease_possible out number,
    p_db_time_ms     out number
  ) is
  begin
    p_api_version    := c_api_version;
    p_schema_version := rtm_features.c_schema_version;
    select max(version_full) into p_db_version from product_component_version;
    p_queue_name     := rtm_aq.queue_name;
    p_payload_kind   := rtm_aq.payload_kind;
    p_lease_possible := case when rtm_features.c_lock then 1 else 0 end;
    p_db_time_ms     := rtm_text.epoch_ms;
  end versions;

  procedure split_queue_name(p_queue_name in varchar2, p_owner out varchar2, p_name out varchar2) is
    l_point pls_integer := instr(p_queue_name, '.');
  begin
    check_text('p_queue_name', p_queue_name, 261);
    p_owner := case
                 when l_point > 0 then upper(substr(p_queue_name, 1, l_point - 1))
                 else sys_context('USERENV', 'CURRENT_SCHEMA')
               end;
    p_name  := upper(substr(p_queue_name, l_point + 1));
  end split_queue_name;

  -- A user lock's id, 0 to 1073741823, from the queue's name, and the consumer's if there is one: unlike
  -- dbms_lock.allocate_unique it needs no commit.
  function lease_id(p_queue_name in varchar2, p_consumer in varchar2 default null) return integer is
    l_owner varchar2(261);
    l_name  varchar2(1000);
  begin
    split_queue_name(p_queue_name, l_owner, l_name);
    if p_consumer is not null then
      check_text('p_consumer', p_consumer, 512);
      l_name := l_name || ':' || upper(p_consumer);
    end if;
    return dbms_utility.get_hash_value(
      name      => 'apex-rtm lease of ' || l_owner || '.' || l_name,
      base      => 0,
      hash_size => 1073741824
    );
  end lease_id;

  function acquire_lease(
    p_queue_name in varchar2,
    p_timeout_s  in number default 0,
    p_consumer   in varchar2 default null
  ) return varchar2 is
    l_queue  integer;
    l_id     integer;
    l_wait   number := p_timeout_s;
    l_shared integer;
    l_result integer;
  begin
    check_range('p_timeout_s', p_timeout_s, 0, 60);
    l_queue := lease_id(p_queue_name);
    l_id    := lease_id(p_queue_name, p_consumer);
    $if rtm_features.c_lock $then
      -- Results: 0 granted, 4 held by this session already, 1 time-out, 2 deadlock.
      if p_consumer is not null then
        -- Consumers share the queue's lock, so that a worker which takes it whole is alone.
        l_shared := dbms_lock.request(
          id                => l_queue,
          lockmode          => dbms_lock.s_mode,
          timeout           => 0,
          release_on_commit => false
        );
        if l_shared not in (0, 4) and p_timeout_s > 0 then
          l_shared := dbms_lock.request(
            id                => l_queue,
            lockmode          => dbms_lock.s_mode,
            timeout           => p_timeout_s,
            release_on_commit => false
          );
          l_wait := 0;
        end if;
        if l_shared not in (0, 4) then
          return 'BUSY';
        end if;
      end if;
      l_result := dbms_lock.request(
        id                => l_id,
        lockmode          => dbms_lock.x_mode,
        timeout           => l_wait,
        release_on_commit => false
      );
      if l_result in (0, 4) then
        return 'ACQUIRED';
      end if;
      if l_shared = 0 then
        l_shared := dbms_lock.release(id => l_queue);
      end if;
      return 'BUSY';
    $else
      return 'NO_GRANT';
    $end
  end acquire_lease;

  procedure release_lease(p_queue_name in varchar2, p_consumer in varchar2 default null) is
    l_queue  integer;
    l_id     integer;
    l_result integer;
  begin
    l_queue := lease_id(p_queue_name);
    l_id    := lease_id(p_queue_name, p_consumer);
    $if rtm_features.c_lock $then
      -- 4: not held by this session, which is what the caller wants.
      l_result := dbms_lock.release(id => l_id);
      if l_id <> l_queue then
        l_result := dbms_lock.release(id => l_queue);
      end if;
    $end
  end release_lease;

  function lease_token(p_queue_name in varchar2) return number is
    l_token number;
  begin
    check_text('p_queue_name', p_queue_name, 261);
    select rtm_fence_seq.nextval into l_token from dual;
    return l_token;
  end lease_token;

  procedure heartbeat(
    p_worker_id  in varchar2,
    p_queue_name in varchar2,
    p_host       in varchar2,
    p_version    in varchar2,
    p_state      in varchar2
  ) is
    pragma autonomous_transaction;
    -- Cut before SQL sees them: it takes no more than 4,000 bytes.
    l_host    rtm_worker.host%type := rtm_text.fit(p_host, 255);
    l_version rtm_worker.version%type := rtm_text.fit(p_version, 64);
  begin
    check_text('p_worker_id', p_worker_id, 128);
    check_text('p_queue_name', p_queue_name, 261);
    check_word('p_state', p_state, 'ACTIVE|STANDBY|HOLDING|STOPPING');
    update rtm_worker
    set host         = l_host,
        version      = l_version,
        state        = p_state,
        db_user      = sys_context('USERENV', 'SESSION_USER'),
        heartbeat_ts = systimestamp
    where worker_id = p_worker_id
      and queue_name = p_queue_name;
    if sql%rowcount = 0 then
      insert into rtm_worker(worker_id, queue_name, host, version, state, db_user)
      values (
        p_worker_id, p_queue_name, l_host, l_version, p_state, sys_context('USERENV', 'SESSION_USER')
      );
      -- Rows of processes that are long gone.
      delete from rtm_worker where heartbeat_ts < systimestamp - numtodsinterval(7, 'DAY');
    end if;
    commit;
  end heartbeat;

  -- The view AQ$<queue table> of a queue, quoted; raises -20122.
  procedure find_queue(p_queue_name in varchar2, p_name out varchar2, p_view out varchar2) is
    l_owner varchar2(261);
    l_table varchar2(128);
  begin
    split_queue_name(p_queue_name, l_owner, p_name);
    select queue_table into l_table from all_queues where owner = l_owner and name = p_name;
    p_view  := dbms_assert.enquote_name(l_owner, false) || '.'
      || dbms_assert.enquote_name('AQ$' || l_table, false);
  exception
    when no_data_found then
      raise_application_error(-20122, 'Queue ' || p_queue_name || ' is unknown or not accessible');
  end find_queue;

  procedure backlog(
    p_queue_name    in  varchar2,
    p_limit         in  number,
    p_ready         out number,
    p_oldest_age_s  out number,
    p_exceptions    out number,
    p_consumer      in  varchar2 default null
  ) is
    e_no_table exception;
    pragma exception_init(e_no_table, -942);
    l_name  varchar2(261);
    l_view  varchar2(300);
    l_ready varchar2(1000);
  begin
    check_range('p_limit', p_limit, 1, 1000000);
    if upper(p_queue_name) in (rtm_aq.queue_name, rtm_aq.c_queue) then
      p_ready        := rtm_aq.ready(p_limit);
      p_oldest_age_s := rtm_aq.oldest_age_s(p_limit);
      p_exceptions   := rtm_aq.exceptions(p_limit);
      return;
    end if;
    find_queue(p_queue_name, l_name, l_view);
    -- The view of a multi-consumer queue has a row for each message and consumer; only there is the column.
    l_ready := 'select count(*), round(max(greatest((current_date - enq_time) * 86400, 0)))'
      || ' from ' || l_view || ' where queue = :1 and msg_state = ''READY'' and rownum <= :2';
    if p_consumer is null then
      execute immediate l_ready into p_ready, p_oldest_age_s using l_name, p_limit;
    else
      execute immediate l_ready || ' and upper(consumer_name) = upper(:3)'
        into p_ready, p_oldest_age_s
        using l_name, p_limit, p_consumer;
    end if;
    -- Every queue of the table shares its exception queue AQ$_<table>_E.
    execute immediate
      'select count(*) from ' || l_view || ' where queue like ''AQ$\_%\_E'' escape ''\'' and rownum <= :1'
      into p_exceptions
      using p_limit;
  exception
    when e_no_table then
      raise_application_error(-20122, 'Queue ' || p_queue_name || ' is not readable for this schema');
  end backlog;

  procedure receipts(p_message_ids in t_names, p_recipients in t_numbers) is
  begin
    if p_message_ids.count <> p_recipients.count then
      raise_application_error(-20120, 'p_message_ids and p_recipients must have the same length');
    end if;
    forall i in 1 .. p_message_ids.count
      insert into rtm_log(
        ts, source, channel, event_name, message_id, transport, status, delivered_ts, recipients
      )
      select systimestamp, 'WORKER', max(channel), max(event_name), p_message_ids(i), 'AQ', 'DELIVERED',
             systimestamp, p_recipients(i)
      from rtm_log
      where message_id = p_message_ids(i)
      having count(*) > 0;
  end receipts;

  procedure claim(
    p_claim_id    in  varchar2,
    p_offset      in  number,
    p_pieces      out t_pieces,
    p_next_offset out number
  ) is
    l_body   blob;
    l_pieces rtm_text.t_pieces;
  begin
    check_range('p_offset', p_offset, 1, 2147483647);
    select body into l_body from rtm_delivery where id = p_claim_id and relay is null;
    rtm_text.pieces(l_body, p_offset, l_pieces, p_next_offset);
    p_pieces := worker_pieces(l_pieces);
  exception
    when no_data_found then
      raise_application_error(-20121, 'No claim check ' || p_claim_id || ' in RTM_DELIVERY');
  end claim;

  procedure delete_claims(p_claim_ids in t_names) is
  begin
    forall i in 1 .. p_claim_ids.count
      delete from rtm_delivery where id = p_claim_ids(i) and relay is null;
  end delete_claims;

  procedure revocations(p_after in number, p_items out t_pieces, p_next out number) is
    l_items rtm_text.t_pieces;
  begin
    check_range('p_after', p_after, 0, 1e38);
    rtm_control.in_force(p_after, c_revocations_per_call, l_items, p_next);
    p_items := worker_pieces(l_items);
  end revocations;

  procedure presence(
    p_source      in  varchar2,
    p_full        in  number,
    p_channels    in  t_names,
    p_users       in  t_users,
    p_connections in  t_numbers,
    p_infos       in  t_infos,
    p_since_ms    in  t_numbers,
    p_resend      out number
  ) is
    l_count number := p_channels.count;
  begin
    check_text('p_source', p_source, 128);
    check_word('p_full', to_char(p_full), '0|1|2|3|4');
    check_range('p_channels.count', l_count, 0, c_members_per_call);
    check_length('p_users', p_users.count, l_count);
    check_length('p_connections', p_connections.count, l_count);
    check_length('p_infos', p_infos.count, l_count);
    check_length('p_since_ms', p_since_ms.count, l_count);
    rtm_members.report(
      p_source, p_full, p_channels, p_users, p_connections, p_infos, p_since_ms, p_resend
    );
  end presence;

  procedure dequeue_text(
    p_queue_name    in  varchar2,
    p_kind          in  varchar2,
    p_consumer      in  varchar2,
    p_wait_s        in  number,
    p_navigation    in  number,
    p_message_id    out varchar2,
    p_attempts      out number,
    p_enq_time_ms   out number,
    p_pieces        out t_pieces,
    p_truncated     out number
  ) is
    e_no_queue exception;
    pragma exception_init(e_no_queue, -24010);
    e_not_allowed exception;
    pragma exception_init(e_not_allowed, -1031);
    l_text   blob;
    l_next   number;
    l_pieces rtm_text.t_pieces;
  begin
    check_text('p_queue_name', p_queue_name, 261);
    check_word('p_kind', p_kind, 'RAW|JSON|JMS_TEXT');
    check_range('p_wait_s', p_wait_s, 0, 120);
    check_word('p_navigation', to_char(p_navigation), '1|3');
    p_truncated := 0;
    rtm_aq.dequeue(
      p_queue_name  => p_queue_name,
      p_kind        => p_kind,
      p_consumer    => p_consumer,
      p_wait_s      => p_wait_s,
      p_navigation  => p_navigation,
      p_message_id  => p_message_id,
      p_attempts    => p_attempts,
      p_enq_time_ms => p_enq_time_ms,
      p_text        => l_text
    );
    if l_text is not null then
      if p_kind = 'RAW' and not rtm_text.is_text(l_text) then
        -- Poison, and kept as it is: what the conversion to characters makes of it would be lost.
        rtm_text.base64_pieces(l_text, l_pieces);
      else
        rtm_text.pieces(l_text, 1, l_pieces, l_next);
      end if;
      p_pieces    := worker_pieces(l_pieces);
      p_truncated := case when l_next is null then 0 else 1 end;
      rtm_text.free(l_text);
    end if;
  exception
    when e_no_queue or e_not_allowed then
      raise_application_error(
        -20122,
        'Queue ' || p_queue_name || ' is unknown or not accessible: ' || sqlerrm
      );
  end dequeue_text;

  procedure set_aside(
    p_queue_name  in varchar2,
    p_message_id  in varchar2,
    p_channel     in varchar2,
    p_event_name  in varchar2,
    p_reason_code in varchar2,
    p_reason      in varchar2,
    p_pieces      in t_pieces
  ) is
    l_row    rtm_log%rowtype;
    l_pieces rtm_text.t_pieces;
    l_index  pls_integer := p_pieces.first;
  begin
    while l_index is not null loop
      l_pieces(l_index) := p_pieces(l_index);
      l_index := p_pieces.next(l_index);
    end loop;
    l_row               := rtm_log_row.new_row('WORKER', p_channel, p_event_name);
    l_row.message_id    := rtm_text.fit(p_message_id, 128);
    l_row.transport     := 'AQ';
    l_row.status        := 'REJECTED';
    l_row.extra_info    := rtm_text.fit('Queue ' || p_queue_name, 3900)
      || case
           when p_reason_code = 'too_large' then '; the payload is cut to about 256,000 bytes'
         end;
    l_row.error_message := rtm_text.fit(p_reason_code || ': ' || p_reason, 4000);
    -- Whatever the setting log_payload says: the queue does not keep this message any more.
    l_row.payload_json  := rtm_text.join(l_pieces);
    l_row.id            := rtm_log_row.add(l_row);
  end set_aside;

  function probe(p_nonce in varchar2, p_channel in varchar2 default 'rtm:probe') return varchar2 is
    l_payload varchar2(4000);
  begin
    select json_object('probe' value p_nonce returning varchar2(4000)) into l_payload from dual;
    websocket_api.broadcast(
      p_channel    => p_channel,
      p_event_name => 'rtm-probe',
      p_payload    => l_payload,
      p_on_error   => 'RAISE',
      p_source     => 'PROBE'
    );
    return websocket_api.transport;
  end probe;
end rtm_worker_api;
/
