create or replace package body rtm_row as
  -- JavaScript keeps every decimal number of so many significant digits.
  c_safe_digits constant pls_integer := 15;

  -- The number as text with a decimal point, whatever the session's NLS settings.
  function number_text(p_value in number) return varchar2 is
  begin
    return regexp_replace(
      to_char(p_value, 'TM9', 'nls_numeric_characters=''.,'''),
      '^(-?)\.',
      '\10.'
    );
  end number_text;

  function significant_digits(p_text in varchar2) return pls_integer is
    -- Without exponent, sign and point, and without zeros at both ends.
    l_digits varchar2(200) := replace(ltrim(regexp_replace(p_text, 'E.*$'), '-'), '.');
  begin
    return coalesce(length(rtrim(ltrim(l_digits, '0'), '0')), 1);
  end significant_digits;

  procedure put(p_row in out nocopy json_object_t, p_name in varchar2, p_value in number) is
  begin
    if p_value is null then
      p_row.put_null(p_name);
    elsif significant_digits(number_text(p_value)) > c_safe_digits then
      p_row.put(p_name, number_text(p_value));
    else
      p_row.put(p_name, p_value);
    end if;
  end put;

  procedure put(p_row in out nocopy json_object_t, p_name in varchar2, p_value in binary_double) is
  begin
    if p_value is null or p_value is nan or p_value is infinite then
      p_row.put_null(p_name);
    else
      put(p_row, p_name, to_number(p_value));
    end if;
  end put;

  procedure put(p_row in out nocopy json_object_t, p_name in varchar2, p_value in varchar2) is
  begin
    if p_value is null then
      p_row.put_null(p_name);
    else
      p_row.put(p_name, p_value);
    end if;
  end put;

  procedure put(p_row in out nocopy json_object_t, p_name in varchar2, p_value in clob) is
  begin
    if p_value is null then
      p_row.put_null(p_name);
    else
      p_row.put(p_name, p_value);
    end if;
  end put;

  procedure put(p_row in out nocopy json_object_t, p_name in varchar2, p_value in date) is
  begin
    put(p_row, p_name, to_char(p_value, 'YYYY-MM-DD"T"HH24:MI:SS'));
  end put;

  procedure put(p_row in out nocopy json_object_t, p_name in varchar2, p_value in timestamp) is
  begin
    put(p_row, p_name, to_char(p_value, 'YYYY-MM-DD"T"HH24:MI:SS.FF6'));
  end put;

  procedure put(
    p_row   in out nocopy json_object_t,
    p_name  in varchar2,
    p_value in timestamp with time zone
  ) is
  begin
    put(p_row, p_name, to_char(p_value, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM'));
  end put;

  procedure put(
    p_row   in out nocopy json_object_t,
    p_name  in varchar2,
    p_value in timestamp with local time zone
  ) is
  begin
    put(p_row, p_name, to_char(p_value at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.FF6"Z"'));
  end put;

  procedure put(p_row in out nocopy json_object_t, p_name in varchar2, p_value in boolean) is
  begin
    if p_value is null then
      p_row.put_null(p_name);
    else
      p_row.put(p_name, p_value);
    end if;
  end put;

  function change(p_op in varchar2, p_table in varchar2, p_row in json_object_t) return clob is
    l_change json_object_t := json_object_t();
  begin
    l_change.put('op', p_op);
    l_change.put('table', p_table);
    l_change.put('row', p_row);
    return l_change.to_clob;
  end change;

  function bulk(p_table in varchar2, p_rows in number) return clob is
    l_change json_object_t := json_object_t();
  begin
    l_change.put('op', 'bulk');
    l_change.put('table', p_table);
    l_change.put('rows', p_rows);
    return l_change.to_clob;
  end bulk;

  function owner return varchar2 is
  begin
    return sys_context('USERENV', 'CURRENT_SCHEMA');
  end owner;

  procedure check_names(p_channel in varchar2, p_event_prefix in varchar2) is
  begin
    rtm_text.check_name(p_channel, 'p_channel');
    rtm_text.check_name(p_event_prefix || '-inserted', 'p_event_prefix with -inserted');
  end check_names;

  procedure log_error(p_channel in varchar2, p_table in varchar2, p_error in varchar2) is
    l_row rtm_log%rowtype;
  begin
    l_row               := rtm_log_row.new_row('WATCH', p_channel, null);
    l_row.status        := 'FAILED';
    l_row.extra_info    := rtm_text.fit('Trigger of RTM_WATCH on ' || p_table, 4000);
    l_row.error_message := rtm_text.fit(p_error, 4000);
    rtm_log_row.try_add_now(l_row);
  end log_error;
end rtm_row;
/
