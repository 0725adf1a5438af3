create or replace package body rtm_config_api as
  -- A database that may be a duplicate or may have been relocated goes on for so long unconfirmed.
  c_asked_h constant pls_integer := 24;

  procedure refuse(p_name in varchar2, p_problem in varchar2) is
  begin
    raise_application_error(-20102, 'Setting ' || p_name || ' ' || p_problem);
  end refuse;

  function settings return rtm_config%rowtype is
    l_row rtm_config%rowtype;
  begin
    select * into l_row from rtm_config where id = 1;
    return l_row;
  end settings;

  -- A number between two bounds, whole.
  function whole(
    p_name    in varchar2,
    p_value   in varchar2,
    p_low     in number,
    p_high    in number,
    p_default in number
  ) return number is
    l_text varchar2(4000) := trim(p_value);
  begin
    if l_text is null then
      return p_default;
    end if;
    -- What is left without its digits must be nothing.
    if translate(l_text, 'x0123456789', 'x') is not null
      or length(l_text) > 9
      or to_number(l_text) not between p_low and p_high
    then
      refuse(p_name, 'must be a whole number from ' || p_low || ' to ' || p_high);
    end if;
    return to_number(l_text);
  end whole;

  -- One of the words in p_list, which is written 'A|B|C'.
  function word(
    p_name    in varchar2,
    p_value   in varchar2,
    p_list    in varchar2,
    p_default in varchar2
  ) return varchar2 is
    l_value varchar2(4000) := upper(trim(p_value));
  begin
    if l_value is null then
      return p_default;
    end if;
    if instr(l_value, '|') > 0 or instr('|' || p_list || '|', '|' || l_value || '|') = 0 then
      refuse(p_name, 'must be one of ' || replace(p_list, '|', ', '));
    end if;
    return l_value;
  end word;

  function text(p_name in varchar2, p_value in varchar2) return varchar2 is
  begin
    if lengthb(p_value) > 1000 then
      refuse(p_name, 'must not be longer than 1000 bytes');
    end if;
    return trim(p_value);
  end text;

  procedure set_value(p_name in varchar2, p_value in varchar2) is
    pragma autonomous_transaction;
    l_row rtm_config%rowtype;
  begin
    -- Locked: the whole row is written, and another session may be changing another setting.
    select * into l_row from rtm_config where id = 1 for update;
    case lower(trim(p_name))
      when 'base_url' then
        l_row.base_url := rtm_relay.normalised(text(p_name, p_value));
        rtm_relay.check_url(l_row.base_url, l_row.allow_http);
      when 'api_key' then
        l_row.api_key := text(p_name, p_value);
      when 'allow_http' then
        l_row.allow_http := word(p_name, p_value, 'Y|N', 'N');
      when 'wallet_path' then
        l_row.wallet_path := text(p_name, p_value);
      when 'wallet_password' then
        l_row.wallet_password := text(p_name, p_value);
      when 'http_timeout_s' then
        l_row.http_timeout_s := whole(p_name, p_value, 1, 60, 5);
      when 'http_deferred' then
        l_row.http_deferred := word(p_name, p_value, 'Y|N', 'Y');
      when 'transport' then
        l_row.transport := word(p_name, p_value, 'AUTO|AQ|HTTP|OFF', 'AUTO');
      when 'on_error' then
        l_row.on_error := word(p_name, p_value, 'RAISE|LOG', 'RAISE');
      when 'log_messages' then
        l_row.log_messages := word(p_name, p_value, 'Y|N', 'Y');
      when 'log_payload' then
        l_row.log_payload := word(p_name, p_value, 'ALL|ERROR|NONE', 'ERROR');
      when 'log_days' then
        l_row.log_days := whole(p_name, p_value, 1, 3650, 30);
      when 'expiration_s' then
        l_row.expiration_s := whole(p_name, p_value, 10, 604800, 3600);
      when 'max_backlog' then
        l_row.max_backlog := whole(p_name, p_value, 100, 1000000, 10000);
      when 'max_message_bytes' then
        l_row.max_message_bytes := whole(p_name, p_value, 2048, 33554432, 1048576);
      when 'token_ttl_s' then
        l_row.token_ttl_s := whole(p_name, p_value, 60, 86400, 900);
      when 'presence_events' then
        l_row.presence_events := word(p_name, p_value, 'Y|N', 'N');
      else
        refuse(p_name, 'is not known; docs/sql-api.md lists the settings');
    end case;
    update rtm_config set row = l_row where id = 1;
    commit;
    rtm_jobs.refresh;
  exception
    when others then
      -- The lock.
      rollback;
      raise;
  end set_value;

  function get_value(p_name in varchar2) return varchar2 is
    l_row rtm_config%rowtype := settings;
  begin
    return case lower(trim(p_name))
             when 'base_url' then l_row.base_url
             when 'api_key' then case when l_row.api_key is not null then '(set)' end
             when 'allow_http' then l_row.allow_http
             when 'wallet_path' then l_row.wallet_path
             when 'wallet_password' then case when l_row.wallet_password is not null then '(set)' end
             when 'http_timeout_s' then to_char(l_row.http_timeout_s)
             when 'http_deferred' then l_row.http_deferred
             when 'transport' then l_row.transport
             when 'on_error' then l_row.on_error
             when 'log_messages' then l_row.log_messages
             when 'log_payload' then l_row.log_payload
             when 'log_days' then to_char(l_row.log_days)
             when 'expiration_s' then to_char(l_row.expiration_s)
             when 'max_backlog' then to_char(l_row.max_backlog)
             when 'max_message_bytes' then to_char(l_row.max_message_bytes)
             when 'token_ttl_s' then to_char(l_row.token_ttl_s)
             when 'presence_events' then l_row.presence_events
           end;
  end get_value;

  procedure set_token_secret(p_kid in varchar2, p_secret in varchar2, p_current in boolean default true) is
    pragma autonomous_transaction;
    l_current varchar2(1) := case when p_current then 'Y' else 'N' end;
  begin
    if p_kid is null or lengthb(p_kid) > 64 then
      refuse('p_kid', 'must have 1 to 64 bytes');
    end if;
    if p_secret is null or lengthb(p_secret) not between 32 and 512 then
      refuse('p_secret', 'must have 32 to 512 bytes');
    end if;
    -- First the others: an index allows one current secret. It also makes a second session wait.
    if p_current then
      update rtm_token_secret set is_current = 'N' where is_current = 'Y';
    end if;
    -- Byte by byte: with NLS_COMP = LINGUISTIC two ids that differ in case would be equal.
    update rtm_token_secret
    set secret     = p_secret,
        is_current = l_current
    where utl_raw.cast_to_raw(kid) = utl_raw.cast_to_raw(p_kid);
    if sql%rowcount = 0 then
      insert into rtm_token_secret(kid, secret, is_current) values (p_kid, p_secret, l_current);
    end if;
    commit;
  end set_token_secret;

  -- Made once, from a secret that is as good as any key and from what no other installation has.
  procedure make_session_key is
    pragma autonomous_transaction;
    l_secret rtm_token_secret.secret%type;
    l_seed   raw(2000);
    l_key    rtm_config.session_key%type;
  begin
    select max(secret) into l_secret from rtm_token_secret where is_current = 'Y';
    if l_secret is null then
      raise_application_error(
        -20104,
        'No token secret: set the one of the relay with RTM_CONFIG_API.SET_TOKEN_SECRET'
      );
    end if;
    l_seed := utl_raw.concat(rtm_text.utf8(l_secret), sys_guid());
    select standard_hash(l_seed, 'SHA256') into l_key from dual;
    update rtm_config set session_key = l_key where id = 1 and session_key is null;
    commit;
  end make_session_key;

  function session_key return raw is
    l_row rtm_config%rowtype := settings;
  begin
    if l_row.session_key is null then
      make_session_key;
      l_row := settings;
    end if;
    return l_row.session_key;
  end session_key;

  procedure drop_token_secret(p_kid in varchar2) is
    pragma autonomous_transaction;
  begin
    delete from rtm_token_secret where utl_raw.cast_to_raw(kid) = utl_raw.cast_to_raw(p_kid);
    if sql%rowcount = 0 then
      rollback;
      refuse('p_kid', 'names no secret');
    end if;
    commit;
  end drop_token_secret;

  -- What identifies the pluggable database itself: kept when it is relocated or plugged in elsewhere,
  -- new in a clone. Null without SELECT on V_$CONTAINERS (sql/grants/owner.sql).
  function guid_of_pdb return varchar2 is
    e_no_view exception;
    pragma exception_init(e_no_view, -942);
    e_no_privilege exception;
    pragma exception_init(e_no_privilege, -1031);
    l_guid varchar2(64);
  begin
    execute immediate q'[
      select max(rawtohex(guid)) from v$containers where con_id = to_number(sys_context('USERENV', 'CON_ID'))]'
      into l_guid;
    return substr(l_guid, 1, 32);
  exception
    when e_no_view or e_no_privilege then
      return null;
  end guid_of_pdb;

  function this_database return rtm_database%rowtype is
    l_this rtm_database%rowtype;
  begin
    l_this.db_unique_name := sys_context('USERENV', 'DB_UNIQUE_NAME');
    l_this.con_name       := sys_context('USERENV', 'CON_NAME');
    l_this.pdb_guid       := guid_of_pdb;
    l_this.server_host    := rtm_text.fit(sys_context('USERENV', 'SERVER_HOST'), 255);
    return l_this;
  end this_database;

  procedure confirm_database(p_db_unique_name in varchar2 default null, p_con_name in varchar2 default null) is
    pragma autonomous_transaction;
    l_this rtm_database%rowtype := this_database;
    l_here boolean := p_db_unique_name is null and p_con_name is null;
  begin
    l_this.db_unique_name := coalesce(p_db_unique_name, l_this.db_unique_name);
    l_this.con_name       := coalesce(p_con_name, l_this.con_name);
    if not l_here then
      -- Of another database only the names are known.
      l_this.pdb_guid    := null;
      l_this.server_host := null;
    end if;
    delete from rtm_database
    where utl_raw.cast_to_raw(db_unique_name) = utl_raw.cast_to_raw(l_this.db_unique_name)
      and utl_raw.cast_to_raw(con_name) = utl_raw.cast_to_raw(l_this.con_name);
    insert into rtm_database(db_unique_name, con_name, pdb_guid, server_host)
    values (l_this.db_unique_name, l_this.con_name, l_this.pdb_guid, l_this.server_host);
    commit;
  end confirm_database;

  procedure forget_other_databases is
    pragma autonomous_transaction;
    l_this rtm_database%rowtype := this_database;
  begin
    delete from rtm_database
    where utl_raw.cast_to_raw(db_unique_name) <> utl_raw.cast_to_raw(l_this.db_unique_name)
       or utl_raw.cast_to_raw(con_name) <> utl_raw.cast_to_raw(l_this.con_name);
    commit;
  end forget_other_databases;

  procedure learn_database is
    l_this rtm_database%rowtype := this_database;
  begin
    update rtm_database
    set pdb_guid    = coalesce(pdb_guid, l_this.pdb_guid),
        server_host = coalesce(server_host, l_this.server_host)
    where utl_raw.cast_to_raw(db_unique_name) = utl_raw.cast_to_raw(l_this.db_unique_name)
      and utl_raw.cast_to_raw(con_name) = utl_raw.cast_to_raw(l_this.con_name)
      and state = 'CONFIRMED';
  end learn_database;

  -- What the two rows say about each other: SAME, NEW_HOST (a copy of the storage looks like this, and
  -- so does a second node), NEW_NAME (a relocation, a standby, or a duplicate) or OTHER.
  function comparison(p_this in rtm_database%rowtype, p_known in rtm_database%rowtype) return varchar2 is
    l_same_name boolean := rtm_text.same(p_this.db_unique_name, p_known.db_unique_name)
                           and rtm_text.same(p_this.con_name, p_known.con_name);
    l_guids     boolean := p_this.pdb_guid is not null and p_known.pdb_guid is not null;
    l_same_guid boolean := rtm_text.same(p_this.pdb_guid, p_known.pdb_guid);
  begin
    if l_guids and not l_same_guid then
      return 'OTHER';
    end if;
    if l_same_name then
      return case
               when p_known.server_host is null or rtm_text.same(p_this.server_host, p_known.server_host)
                 then 'SAME'
               else 'NEW_HOST'
             end;
    end if;
    return case when l_guids then 'NEW_NAME' else 'OTHER' end;
  end comparison;

  function database_state return varchar2 is
    l_this  rtm_database%rowtype := this_database;
    l_best  varchar2(8) := 'OTHER';
    l_found varchar2(8);
    l_asked rtm_database.confirmed_ts%type;
  begin
    for known in (select * from rtm_database order by state) loop
      l_found := comparison(l_this, known);
      if known.state = 'ASKED' then
        if l_found in ('SAME', 'NEW_HOST') then
          l_asked := known.confirmed_ts;
        end if;
      elsif l_found = 'SAME' then
        return 'CONFIRMED';
      elsif l_found = 'NEW_HOST' or l_best = 'OTHER' then
        l_best := l_found;
      end if;
    end loop;
    return case
             when l_best = 'NEW_HOST' then 'NEW_HOST'
             when l_best = 'NEW_NAME' and l_asked is null then 'NEW_NAME'
             when l_best = 'NEW_NAME' and l_asked > systimestamp - numtodsinterval(c_asked_h, 'HOUR')
               then 'ASKED'
             else 'CLONE'
           end;
  end database_state;

  function database_text return varchar2 is
  begin
    return sys_context('USERENV', 'DB_UNIQUE_NAME') || '/' || sys_context('USERENV', 'CON_NAME') || ' on '
      || sys_context('USERENV', 'SERVER_HOST');
  end database_text;

  function is_confirmed_database return boolean is
  begin
    return database_state = 'CONFIRMED';
  end is_confirmed_database;

  -- Notes that a confirmation was asked for, once.
  procedure ask is
    pragma autonomous_transaction;
    l_this rtm_database%rowtype := this_database;
    l_log  rtm_log%rowtype;
  begin
    insert into rtm_database(db_unique_name, con_name, pdb_guid, server_host, state)
    values (l_this.db_unique_name, l_this.con_name, l_this.pdb_guid, l_this.server_host, 'ASKED');
    l_log               := rtm_log_row.new_row('RTM_CONFIG_API', null, null);
    l_log.status        := 'FAILED';
    l_log.error_message := 'The database has a new name (' || database_text || '): HTTP and tokens stop in '
      || c_asked_h || ' hours unless RTM_CONFIG_API.CONFIRM_DATABASE is called';
    rtm_log_row.note(l_log);
    commit;
  exception
    when dup_val_on_index then
      -- Another session has just asked.
      rollback;
  end ask;

  procedure check_database is
    l_state varchar2(9) := database_state;
  begin
    if l_state = 'NEW_NAME' then
      ask;
    elsif l_state = 'CLONE' then
      raise_application_error(
        -20111,
        'This database looks like a clone (' || database_text || '): HTTP and tokens are off until'
          || ' RTM_CONFIG_API.CONFIRM_DATABASE is called'
      );
    end if;
  end check_database;
end rtm_config_api;
/
