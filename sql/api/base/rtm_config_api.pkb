create or replace package body rtm_config_api as
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
    l_row rtm_config%rowtype := settings;
  begin
    case lower(trim(p_name))
      when 'base_url' then
        l_row.base_url := rtrim(text(p_name, p_value), '/');
        rtm_http.check_url(l_row.base_url, l_row.allow_http);
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
      else
        refuse(p_name, 'is not known; docs/sql-api.md lists the settings');
    end case;
    update rtm_config set row = l_row where id = 1;
    commit;
    rtm_jobs.refresh;
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
    update rtm_token_secret set secret = p_secret, is_current = l_current where kid = p_kid;
    if sql%rowcount = 0 then
      insert into rtm_token_secret(kid, secret, is_current) values (p_kid, p_secret, l_current);
    end if;
    if p_current then
      update rtm_token_secret set is_current = 'N' where kid <> p_kid;
    end if;
    commit;
  end set_token_secret;

  procedure drop_token_secret(p_kid in varchar2) is
    pragma autonomous_transaction;
  begin
    delete from rtm_token_secret where kid = p_kid;
    if sql%rowcount = 0 then
      rollback;
      refuse('p_kid', 'names no secret');
    end if;
    commit;
  end drop_token_secret;

  procedure confirm_database(p_db_unique_name in varchar2 default null, p_con_name in varchar2 default null) is
    pragma autonomous_transaction;
    l_database  rtm_database.db_unique_name%type
                := coalesce(p_db_unique_name, sys_context('USERENV', 'DB_UNIQUE_NAME'));
    l_container rtm_database.con_name%type := coalesce(p_con_name, sys_context('USERENV', 'CON_NAME'));
  begin
    insert into rtm_database(db_unique_name, con_name)
    select l_database, l_container
    from dual
    where not exists (
      select 1 from rtm_database where db_unique_name = l_database and con_name = l_container
    );
    commit;
  end confirm_database;

  procedure forget_other_databases is
    pragma autonomous_transaction;
  begin
    delete from rtm_database
    where db_unique_name <> sys_context('USERENV', 'DB_UNIQUE_NAME')
       or con_name <> sys_context('USERENV', 'CON_NAME');
    commit;
  end forget_other_databases;

  function is_confirmed_database return boolean is
    l_count pls_integer;
  begin
    select count(*)
    into l_count
    from rtm_database
    where db_unique_name = sys_context('USERENV', 'DB_UNIQUE_NAME')
      and con_name = sys_context('USERENV', 'CON_NAME');
    return l_count = 1;
  end is_confirmed_database;

  procedure check_database is
  begin
    if not is_confirmed_database then
      raise_application_error(
        -20111,
        'This database looks like a clone (' || sys_context('USERENV', 'DB_UNIQUE_NAME') || '/'
          || sys_context('USERENV', 'CON_NAME') || '): HTTP and tokens are off until'
          || ' RTM_CONFIG_API.CONFIRM_DATABASE is called'
      );
    end if;
  end check_database;
end rtm_config_api;
/
