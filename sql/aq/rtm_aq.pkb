create or replace package body rtm_aq as
  e_nothing exception;
  pragma exception_init(e_nothing, -25228);
  -- No message with that id.
  e_no_such_message exception;
  pragma exception_init(e_no_such_message, -25263);

  procedure unavailable is
  begin
    raise_application_error(
      -20110,
      'Advanced Queuing is not available in this schema; see WEBSOCKET_API.INSTALL_CHECK'
    );
  end unavailable;

  function queue_name return varchar2 is
  begin
    -- In a definer-rights unit the current schema is the owner.
    return sys_context('USERENV', 'CURRENT_SCHEMA') || '.' || c_queue;
  end queue_name;

  function payload_kind return varchar2 is
  begin
    $if rtm_features.c_json_queue $then
      return 'JSON';
    $else
      return 'RAW';
    $end
  end payload_kind;

  -- Keeps a payload that does not fit on a RAW queue; part of the caller's transaction.
  function new_claim(p_message in rtm_message.t_message, p_body in blob, p_expiration_s in number)
    return varchar2
  is
    l_id    varchar2(32) := lower(rawtohex(sys_guid()));
    l_until rtm_delivery.expires_utc%type := rtm_text.now_utc + numtodsinterval(p_expiration_s, 'SECOND');
  begin
    insert into rtm_delivery(id, expires_utc, body, channel, event_name, ts_ms, source, app_user)
    values (
      l_id, l_until, p_body, p_message.channel, p_message.event_name, p_message.ts_ms,
      p_message.source, p_message.app_user
    );
    return l_id;
  end new_claim;

  procedure delete_claim(p_header in varchar2) is
    l_claim varchar2(32);
  begin
    select json_value(p_header, '$.claim' returning varchar2(32) null on error) into l_claim from dual;
    if l_claim is not null then
      delete from rtm_delivery where id = l_claim and relay is null;
    end if;
  end delete_claim;

  -- A message that is put back lives on, and so does its claim check.
  procedure renew_claim(p_header in varchar2, p_expiration_s in number) is
    l_claim varchar2(32);
    l_until rtm_delivery.expires_utc%type := rtm_text.now_utc + numtodsinterval(p_expiration_s, 'SECOND');
  begin
    select json_value(p_header, '$.claim' returning varchar2(32) null on error) into l_claim from dual;
    if l_claim is not null then
      update rtm_delivery set expires_utc = l_until where id = l_claim and relay is null;
    end if;
  end renew_claim;

  function header_line(p_message in rtm_message.t_message, p_claim in varchar2) return varchar2 is
    l_header varchar2(4000);
  begin
    select json_object(
             'v' value 1,
             'channel' value p_message.channel,
             'eventName' value p_message.event_name,
             'ts' value p_message.ts_ms,
             'retain' value p_message.retain_s,
             'claim' value p_claim
             absent on null
             returning varchar2(4000)
           )
    into l_header
    from dual;
    return l_header || chr(10);
  end header_line;

  -- The message as one RAW; what does not fit is replaced by a claim check.
  procedure pack(
    p_message      in  rtm_message.t_message,
    p_expiration_s in  number,
    p_raw          out nocopy raw,
    p_claim        out varchar2
  ) is
    l_header raw(8000) := rtm_text.utf8(header_line(p_message, null));
    l_room   pls_integer := rtm_text.c_max_raw_bytes - utl_raw.length(l_header);
    l_small  raw(32767);
    l_blob   blob;
  begin
    if dbms_lob.getlength(p_message.payload) <= rtm_text.c_varchar2_units then
      l_small := rtm_text.utf8(to_char(p_message.payload));
    else
      l_blob := rtm_text.utf8_blob(p_message.payload);
      if dbms_lob.getlength(l_blob) <= l_room then
        l_small := dbms_lob.substr(l_blob, dbms_lob.getlength(l_blob), 1);
      end if;
    end if;
    if l_small is null or utl_raw.length(l_small) > l_room then
      if l_blob is null then
        l_blob := to_blob(l_small);
      end if;
      p_claim := new_claim(p_message, l_blob, p_expiration_s);
      p_raw   := rtm_text.utf8(header_line(p_message, p_claim));
    else
      p_raw := utl_raw.concat(l_header, l_small);
    end if;
    rtm_text.free(l_blob);
  exception
    when others then
      rtm_text.free(l_blob);
      raise;
  end pack;

  $if rtm_features.c_aq $then
  function enqueue_raw(
    p_message      in raw,
    p_expiration_s in number,
    p_queue        in varchar2 default c_queue
  ) return varchar2 is
    l_options    dbms_aq.enqueue_options_t;
    l_properties dbms_aq.message_properties_t;
    l_message_id raw(16);
  begin
    l_options.visibility    := dbms_aq.on_commit;
    l_properties.expiration := p_expiration_s;
    dbms_aq.enqueue(
      queue_name         => sys_context('USERENV', 'CURRENT_SCHEMA') || '.' || p_queue,
      enqueue_options    => l_options,
      message_properties => l_properties,
      payload            => p_message,
      msgid              => l_message_id
    );
    return lower(rawtohex(l_message_id));
  end enqueue_raw;
  $end

  $if rtm_features.c_json_queue $then
  function enqueue_json(p_message in json, p_expiration_s in number) return varchar2 is
    l_options    dbms_aq.enqueue_options_t;
    l_properties dbms_aq.message_properties_t;
    l_message_id raw(16);
  begin
    l_options.visibility    := dbms_aq.on_commit;
    l_properties.expiration := p_expiration_s;
    dbms_aq.enqueue(
      queue_name         => queue_name,
      enqueue_options    => l_options,
      message_properties => l_properties,
      payload            => p_message,
      msgid              => l_message_id
    );
    return lower(rawtohex(l_message_id));
  end enqueue_json;
  $end

  function enqueue(p_message in rtm_message.t_message, p_expiration_s in number) return varchar2 is
    l_message_id varchar2(32);
    $if rtm_features.c_json_queue $then
    l_document   clob;
    $else
    l_raw        raw(32767);
    l_claim      varchar2(32);
    $end
  begin
    $if rtm_features.c_json_queue $then
      select json_object(
               'v' value 1,
               'channel' value p_message.channel,
               'eventName' value p_message.event_name,
               'ts' value p_message.ts_ms,
               'retain' value p_message.retain_s,
               'payload' value p_message.payload
               absent on null
               returning clob
             )
      into l_document
      from dual;
      l_message_id := enqueue_json(json(l_document), p_expiration_s);
      rtm_text.free(l_document);
    $elsif rtm_features.c_aq $then
      pack(p_message, p_expiration_s, l_raw, l_claim);
      begin
        l_message_id := enqueue_raw(l_raw, p_expiration_s);
      exception
        when others then
          -- No savepoint: it is not allowed in a trigger. The caller may handle this error and go on.
          delete from rtm_delivery where id = l_claim;
          raise;
      end;
    $else
      unavailable;
    $end
    return l_message_id;
  end enqueue;

  function enqueue_control(p_op in varchar2, p_body in varchar2) return varchar2 is
    l_message_id varchar2(32);
    l_ts_ms      number := rtm_text.epoch_ms;
    $if rtm_features.c_json_queue $then
    l_document   clob;
    $else
    l_header     varchar2(4000);
    $end
  begin
    $if rtm_features.c_json_queue $then
      select json_object(
               'v' value 2,
               'op' value p_op,
               'ts' value l_ts_ms,
               'payload' value p_body
               returning clob
             )
      into l_document
      from dual;
      l_message_id := enqueue_json(json(l_document), dbms_aq.never);
      rtm_text.free(l_document);
    $elsif rtm_features.c_aq $then
      select json_object('v' value 2, 'op' value p_op, 'ts' value l_ts_ms returning varchar2(4000))
      into l_header
      from dual;
      l_message_id := enqueue_raw(
        utl_raw.concat(rtm_text.utf8(l_header || chr(10)), rtm_text.utf8(p_body)),
        dbms_aq.never
      );
    $else
      unavailable;
    $end
    return l_message_id;
  end enqueue_control;

  function enqueue_event(p_text in varchar2, p_expiration_s in number) return varchar2 is
  begin
    $if rtm_features.c_events $then
      return enqueue_raw(rtm_text.utf8(p_text), p_expiration_s, c_events);
    $else
      unavailable;
      return null;
    $end
  end enqueue_event;

  function remove_old_events(p_limit in number) return number is
    l_count      number := 0;
    $if rtm_features.c_events $then
    l_options    dbms_aq.dequeue_options_t;
    l_properties dbms_aq.message_properties_t;
    l_raw        raw(32767);
    l_message_id raw(16);
    $end
  begin
    $if rtm_features.c_events $then
      l_options.dequeue_mode := dbms_aq.remove;
      l_options.visibility   := dbms_aq.on_commit;
      l_options.navigation   := dbms_aq.first_message;
      l_options.wait         := dbms_aq.no_wait;
      begin
        while l_count < p_limit loop
          dbms_aq.dequeue(
            queue_name         => sys_context('USERENV', 'CURRENT_SCHEMA') || '.' || c_old_events,
            dequeue_options    => l_options,
            message_properties => l_properties,
            payload            => l_raw,
            msgid              => l_message_id
          );
          l_count := l_count + 1;
        end loop;
      exception
        when e_nothing then
          -- That was the last.
          return l_count;
      end;
    $end
    return l_count;
  end remove_old_events;

  $if rtm_features.c_aq $then
  -- p_message_id: this message only, or null for the next one.
  procedure dequeue_any(
    p_queue_name in  varchar2,
    p_kind       in  varchar2,
    p_options    in  dbms_aq.dequeue_options_t,
    p_properties out dbms_aq.message_properties_t,
    p_message_id out raw,
    p_text       out nocopy blob
  ) is
    l_raw  raw(32767);
    l_jms  sys.aq$_jms_text_message;
    $if rtm_features.c_json_type $then
    l_json json;
    $end
  begin
    case p_kind
      when 'RAW' then
        dbms_aq.dequeue(
          queue_name         => p_queue_name,
          dequeue_options    => p_options,
          message_properties => p_properties,
          payload            => l_raw,
          msgid              => p_message_id
        );
        p_text := to_blob(l_raw);
      when 'JMS_TEXT' then
        dbms_aq.dequeue(
          queue_name         => p_queue_name,
          dequeue_options    => p_options,
          message_properties => p_properties,
          payload            => l_jms,
          msgid              => p_message_id
        );
        if l_jms is not null then
          -- Up to 4,000 bytes are in text_vc, longer text in text_lob.
          p_text := rtm_text.utf8_blob(coalesce(l_jms.text_lob, to_clob(l_jms.text_vc)));
        end if;
      when 'JSON' then
        $if rtm_features.c_json_type $then
          dbms_aq.dequeue(
            queue_name         => p_queue_name,
            dequeue_options    => p_options,
            message_properties => p_properties,
            payload            => l_json,
            msgid              => p_message_id
          );
          select json_serialize(l_json returning blob) into p_text from dual;
        $else
          raise_application_error(-20120, 'p_kind JSON needs the JSON type: Oracle 21c or later, and COMPATIBLE of at least 20');
        $end
    end case;
  end dequeue_any;
  $end

  procedure dequeue(
    p_queue_name  in  varchar2,
    p_kind        in  varchar2,
    p_consumer    in  varchar2,
    p_wait_s      in  number,
    p_navigation  in  number,
    p_message_id  out varchar2,
    p_attempts    out number,
    p_enq_time_ms out number,
    p_text        out nocopy blob
  ) is
    $if rtm_features.c_aq $then
    l_options    dbms_aq.dequeue_options_t;
    l_properties dbms_aq.message_properties_t;
    l_message_id raw(16);
    $end
  begin
    $if rtm_features.c_aq $then
      l_options.consumer_name := p_consumer;
      l_options.dequeue_mode  := dbms_aq.remove;
      l_options.visibility    := dbms_aq.on_commit;
      l_options.navigation    := case p_navigation
                                   when 1 then dbms_aq.first_message
                                   else dbms_aq.next_message
                                 end;
      l_options.wait          := p_wait_s;
      begin
        dequeue_any(p_queue_name, p_kind, l_options, l_properties, l_message_id, p_text);
        p_message_id  := lower(rawtohex(l_message_id));
        p_attempts    := l_properties.attempts;
        -- Its age by the session's clock, and not from_tz, which fails in the hour that a change to
        -- daylight saving time leaves out (ORA-01878), when the message is dequeued already.
        p_enq_time_ms := rtm_text.epoch_ms - round((current_date - l_properties.enqueue_time) * 86400) * 1000;
      exception
        when e_nothing then
          p_message_id := null;
      end;
    $else
      unavailable;
    $end
  end dequeue;

  function ready(p_limit in number) return number is
    l_count number := 0;
  begin
    $if rtm_features.c_aq $then
      select count(*)
      into l_count
      from aq$rtm_qt
      where queue = c_queue
        and msg_state = 'READY'
        and rownum <= p_limit;
    $end
    return l_count;
  end ready;

  function exceptions(p_limit in number) return number is
    l_count number := 0;
  begin
    $if rtm_features.c_aq $then
      select count(*) into l_count from aq$rtm_qt where queue = c_exception_queue and rownum <= p_limit;
    $end
    return l_count;
  end exceptions;

  function oldest_age_s(p_limit in number) return number is
    l_age_s number;
  begin
    $if rtm_features.c_aq $then
      -- The view shows enq_time in the session's time zone, as current_date is.
      select max(greatest((current_date - enq_time) * 86400, 0))
      into l_age_s
      from aq$rtm_qt
      where queue = c_queue
        and msg_state = 'READY'
        and rownum <= p_limit;
    $end
    return round(l_age_s);
  end oldest_age_s;

  function header(p_message_id in varchar2) return varchar2 is
    l_text varchar2(32767);
    l_raw  raw(2000);
  begin
    -- Dynamic: the type of user_data is Oracle's affair, and must not make this package invalid.
    $if rtm_features.c_json_queue $then
      execute immediate q'[
        select json_object(
                 'v' value json_value(q.user_data, '$.v' returning number),
                 'channel' value json_value(q.user_data, '$.channel'),
                 'eventName' value json_value(q.user_data, '$.eventName'),
                 'ts' value json_value(q.user_data, '$.ts' returning number)
                 absent on null
                 returning varchar2(4000)
               )
        from aq$rtm_qt q
        where q.queue = :1
          and q.msg_id = hextoraw(:2)]'
        into l_text
        using c_exception_queue, p_message_id;
    $elsif rtm_features.c_aq $then
      execute immediate q'[
        select dbms_lob.substr(q.user_data, 2000, 1)
        from aq$rtm_qt q
        where q.queue = :1
          and q.msg_id = hextoraw(:2)]'
        into l_raw
        using c_exception_queue, p_message_id;
      -- Bytes, until the line is found: the cut may be inside of a character of the payload.
      l_text := rtm_text.first_line(l_raw);
      if not rtm_text.is_json(l_text) then
        l_text := null;
      end if;
    $end
    return l_text;
  exception
    when no_data_found then
      return null;
  end header;

  $if rtm_features.c_aq $then
  -- Takes one message out of the exception queue; null when it is not there.
  procedure take_exception(
    p_message_id in  varchar2,
    p_taken      out raw,
    p_raw        out nocopy raw
    $if rtm_features.c_json_queue $then
    , p_json     out json
    $end
  ) is
    l_options    dbms_aq.dequeue_options_t;
    l_properties dbms_aq.message_properties_t;
  begin
    l_options.dequeue_mode := dbms_aq.remove;
    l_options.visibility   := dbms_aq.on_commit;
    l_options.navigation   := dbms_aq.first_message;
    l_options.wait         := dbms_aq.no_wait;
    l_options.msgid        := hextoraw(p_message_id);
    dbms_aq.dequeue(
      queue_name         => sys_context('USERENV', 'CURRENT_SCHEMA') || '.' || c_exception_queue,
      dequeue_options    => l_options,
      message_properties => l_properties,
      $if rtm_features.c_json_queue $then
      payload            => p_json,
      $else
      payload            => p_raw,
      $end
      msgid              => p_taken
    );
  exception
    when e_nothing or e_no_such_message then
      p_taken := null;
  end take_exception;
  $end

  function requeue(p_message_id in varchar2, p_expiration_s in number) return varchar2 is
    l_header varchar2(4000);
    l_taken  raw(16);
    l_raw    raw(32767);
    l_id     varchar2(32);
    $if rtm_features.c_json_queue $then
    l_json   json;
    $end
  begin
    l_header := header(p_message_id);
    $if rtm_features.c_json_queue $then
      take_exception(p_message_id, l_taken, l_raw, l_json);
      if l_taken is not null then
        l_id := enqueue_json(l_json, p_expiration_s);
      end if;
    $elsif rtm_features.c_aq $then
      take_exception(p_message_id, l_taken, l_raw);
      if l_taken is not null then
        l_id := enqueue_raw(l_raw, p_expiration_s);
        renew_claim(l_header, p_expiration_s);
      end if;
    $else
      unavailable;
    $end
    return l_id;
  end requeue;

  function remove_exception(p_message_id in varchar2) return boolean is
    l_header varchar2(4000);
    l_taken  raw(16);
    l_raw    raw(32767);
    $if rtm_features.c_json_queue $then
    l_json   json;
    $end
  begin
    l_header := header(p_message_id);
    $if rtm_features.c_json_queue $then
      take_exception(p_message_id, l_taken, l_raw, l_json);
    $elsif rtm_features.c_aq $then
      take_exception(p_message_id, l_taken, l_raw);
    $else
      unavailable;
    $end
    if l_taken is not null and l_header is not null then
      delete_claim(l_header);
    end if;
    return l_taken is not null;
  end remove_exception;
end rtm_aq;
/
