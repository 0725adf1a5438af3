create or replace package body rtm_row as
  -- JavaScript keeps every decimal number of so many significant digits.
  c_safe_digits constant pls_integer := 15;
  -- Below the end of NUMBER's range.
  c_number_end constant binary_double := 1e125d;
  c_nls        constant varchar2(40) := 'nls_numeric_characters=''.,''';

  -- The number as text with a decimal point, whatever the session's NLS settings.
  function number_text(p_value in number) return varchar2 is
  begin
    return regexp_replace(
      to_char(p_value, 'TM9', c_nls),
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
    elsif abs(p_value) >= c_number_end then
      -- No NUMBER (ORA-01426), and of more digits than JavaScript keeps: text, as of such numbers.
      p_row.put(p_name, trim(to_char(p_value, '9.9999999999999999EEEE', c_nls)));
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
    l_text clob;
  begin
    if p_value is null then
      p_row.put_null(p_name);
    elsif dbms_lob.getlength(p_value) <= rtm_text.c_varchar2_units then
      p_row.put(p_name, to_char(p_value));
    else
      -- Through SQL: JSON_OBJECT_T takes a CLOB from 19c on only.
      select json_object('value' value p_value returning clob) into l_text from dual;
      p_row.put(p_name, json_object_t.parse(l_text).get('value'));
      rtm_text.free(l_text);
    end if;
  end put;

  procedure put(p_row in out nocopy json_object_t, p_name in varchar2, p_value in date) is
  begin
    put(p_row, p_name, to_char(p_value, 'YYYY-MM-DD"T"HH24:MI:SS', rtm_text.c_gregorian));
  end put;

  procedure put(p_row in out nocopy json_object_t, p_name in varchar2, p_value in timestamp) is
  begin
    put(p_row, p_name, to_char(p_value, 'YYYY-MM-DD"T"HH24:MI:SS.FF6', rtm_text.c_gregorian));
  end put;

  procedure put(
    p_row   in out nocopy json_object_t,
    p_name  in varchar2,
    p_value in timestamp with time zone
  ) is
  begin
    put(p_row, p_name, to_char(p_value, 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM', rtm_text.c_gregorian));
  end put;

  procedure put(
    p_row   in out nocopy json_object_t,
    p_name  in varchar2,
    p_value in timestamp with local time zone
  ) is
  begin
    put(
      p_row,
      p_name,
      to_char(p_value at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.FF6"Z"', rtm_text.c_gregorian)
    );
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

  procedure begin_statement(p_watch in number, p_op in varchar2) is
  begin
    rtm_row_buffer.begin_statement(p_watch, p_op, utl_call_stack.dynamic_depth);
  exception
    when others then
      failed(p_watch, sqlerrm || chr(10) || dbms_utility.format_error_backtrace);
  end begin_statement;

  procedure add(
    p_watch      in number,
    p_part       in number,
    p_op         in varchar2,
    p_numbers    in t_numbers    default null,
    p_doubles    in t_doubles    default null,
    p_texts      in t_texts      default null,
    p_clobs      in t_clobs      default null,
    p_dates      in t_dates      default null,
    p_timestamps in t_timestamps default null,
    p_zoned      in t_zoned      default null,
    p_locals     in t_locals     default null,
    p_booleans   in t_booleans   default null
  ) is
    l_row json_object_t;
  begin
    if not rtm_row_buffer.wants(p_watch, p_part, p_op, utl_call_stack.dynamic_depth, l_row) then
      return;
    end if;
    for i in 1 .. rtm_row_buffer.g_columns.count loop
      case rtm_row_buffer.g_columns(i).kind
        when 'NUMBER' then
          put(l_row, rtm_row_buffer.g_columns(i).name, p_numbers(rtm_row_buffer.g_columns(i).place));
        when 'DOUBLE' then
          put(l_row, rtm_row_buffer.g_columns(i).name, p_doubles(rtm_row_buffer.g_columns(i).place));
        when 'TEXT' then
          put(l_row, rtm_row_buffer.g_columns(i).name, p_texts(rtm_row_buffer.g_columns(i).place));
        when 'CLOB' then
          put(l_row, rtm_row_buffer.g_columns(i).name, p_clobs(rtm_row_buffer.g_columns(i).place));
        when 'DATE' then
          put(l_row, rtm_row_buffer.g_columns(i).name, p_dates(rtm_row_buffer.g_columns(i).place));
        when 'TIMESTAMP' then
          put(l_row, rtm_row_buffer.g_columns(i).name, p_timestamps(rtm_row_buffer.g_columns(i).place));
        when 'ZONED' then
          put(l_row, rtm_row_buffer.g_columns(i).name, p_zoned(rtm_row_buffer.g_columns(i).place));
        when 'LOCAL' then
          put(l_row, rtm_row_buffer.g_columns(i).name, p_locals(rtm_row_buffer.g_columns(i).place));
        when 'BOOLEAN' then
          put(l_row, rtm_row_buffer.g_columns(i).name, p_booleans(rtm_row_buffer.g_columns(i).place));
      end case;
    end loop;
    rtm_row_buffer.close_part(l_row);
  exception
    when others then
      failed(p_watch, sqlerrm || chr(10) || dbms_utility.format_error_backtrace);
  end add;

  procedure skip(p_watch in number, p_part in number) is
  begin
    rtm_row_buffer.skip(p_watch, p_part, utl_call_stack.dynamic_depth);
  exception
    when others then
      failed(p_watch, sqlerrm || chr(10) || dbms_utility.format_error_backtrace);
  end skip;

  procedure flush(p_watch in number) is
  begin
    rtm_row_buffer.flush(p_watch, utl_call_stack.dynamic_depth);
  exception
    when others then
      failed(p_watch, sqlerrm || chr(10) || dbms_utility.format_error_backtrace);
  end flush;

  procedure failed(p_watch in number, p_error in varchar2) is
    l_watch rtm_watched_table%rowtype;
  begin
    l_watch := rtm_watch_registry.find_id(p_watch);
    log_error(l_watch.channel, coalesce(l_watch.table_name, 'watch ' || p_watch), p_error);
  exception
    when others then
      -- The last place that is left to tell.
      rtm_text.say('RTM_WATCH: ' || sqlerrm || ' after ' || p_error);
  end failed;

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
