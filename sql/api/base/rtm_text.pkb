create or replace package body rtm_text as
  function same(p_one in varchar2, p_other in varchar2) return boolean is
  begin
    -- RAW values are compared byte by byte.
    return p_one is null and p_other is null
      or p_one is not null
        and p_other is not null
        and lengthb(p_one) = lengthb(p_other)
        and utl_raw.cast_to_raw(p_one) = utl_raw.cast_to_raw(p_other);
  end same;

  procedure check_name(
    p_name           in varchar2,
    p_parameter      in varchar2,
    p_prefix_allowed in boolean default false
  ) is
    l_name varchar2(32767) := p_name;

    procedure refuse(p_problem in varchar2) is
    begin
      raise_application_error(-20101, p_parameter || ' ' || p_problem);
    end refuse;
  begin
    if p_prefix_allowed and substr(l_name, -1) = '*' then
      l_name := substr(l_name, 1, length(l_name) - 1);
    end if;
    if l_name is null then
      refuse('must not be empty');
    end if;
    if utf8_bytes(l_name) > 128 then
      refuse('must not be longer than 128 bytes of UTF-8');
    end if;
    if instr(l_name, '*') > 0 then
      refuse('must not contain *');
    end if;
    -- asciistr writes U+0080 to U+009F as \008x and \009x, and a backslash itself as \005C.
    if instr(asciistr(l_name), '\008') > 0 or instr(asciistr(l_name), '\009') > 0 then
      refuse('must not contain control characters');
    end if;
    for i in 0 .. 32 loop
      if instr(l_name, case i when 32 then chr(127) else chr(i) end) > 0 then
        refuse('must not contain control characters');
      end if;
    end loop;
  end check_name;

  function is_json(p_text in clob) return boolean is
    l_valid pls_integer;
  begin
    select count(*) into l_valid from dual where p_text is json strict;
    if l_valid = 0 then
      -- Before 21c IS JSON refuses scalars: a value is JSON when it is the one element of an array.
      select count(*)
      into l_valid
      from (select '[' || p_text || ']' as wrapped from dual)
      where wrapped is json strict
        and json_exists(wrapped, '$[0]')
        and not json_exists(wrapped, '$[1]');
    end if;
    return l_valid = 1;
  end is_json;

  function utf8(p_text in varchar2) return raw is
  begin
    return utl_i18n.string_to_raw(p_text, 'AL32UTF8');
  end utf8;

  function utf8_blob(p_text in clob) return blob is
    l_blob         blob;
    l_dest_offset  integer := 1;
    l_src_offset   integer := 1;
    l_lang_context integer := dbms_lob.default_lang_ctx;
    l_warning      integer;
  begin
    dbms_lob.createtemporary(lob_loc => l_blob, cache => true, dur => dbms_lob.call);
    if dbms_lob.getlength(p_text) > 0 then
      -- The only conversion that keeps characters outside the BMP whole: CLOB offsets count UTF-16
      -- units, and a piece cut between two surrogates turns both into question marks.
      dbms_lob.converttoblob(
        dest_lob     => l_blob,
        src_clob     => p_text,
        amount       => dbms_lob.lobmaxsize,
        dest_offset  => l_dest_offset,
        src_offset   => l_src_offset,
        blob_csid    => nls_charset_id('AL32UTF8'),
        lang_context => l_lang_context,
        warning      => l_warning
      );
    end if;
    return l_blob;
  end utf8_blob;

  function utf8_text(p_utf8 in blob) return clob is
    l_text         clob;
    l_dest_offset  integer := 1;
    l_src_offset   integer := 1;
    l_lang_context integer := dbms_lob.default_lang_ctx;
    l_warning      integer;
  begin
    dbms_lob.createtemporary(lob_loc => l_text, cache => true, dur => dbms_lob.call);
    if dbms_lob.getlength(p_utf8) > 0 then
      dbms_lob.converttoclob(
        dest_lob     => l_text,
        src_blob     => p_utf8,
        amount       => dbms_lob.lobmaxsize,
        dest_offset  => l_dest_offset,
        src_offset   => l_src_offset,
        blob_csid    => nls_charset_id('AL32UTF8'),
        lang_context => l_lang_context,
        warning      => l_warning
      );
    end if;
    return l_text;
  end utf8_text;

  function utf8_bytes(p_text in varchar2) return pls_integer is
    l_bytes  pls_integer := 0;
    l_offset pls_integer := 1;
  begin
    while l_offset <= length(p_text) loop
      l_bytes  := l_bytes + utl_raw.length(utf8(substr(p_text, l_offset, c_varchar2_units)));
      l_offset := l_offset + c_varchar2_units;
    end loop;
    return l_bytes;
  end utf8_bytes;

  -- True when the byte at p_position continues a character (10xxxxxx in UTF-8).
  function continues(p_utf8 in blob, p_position in number) return boolean is
    l_byte pls_integer;
  begin
    l_byte := to_number(rawtohex(dbms_lob.substr(p_utf8, 1, p_position)), 'XX');
    return l_byte between 128 and 191;
  end continues;

  procedure pieces(
    p_utf8        in  blob,
    p_offset      in  number,
    p_pieces      out nocopy t_pieces,
    p_next_offset out number
  ) is
    -- 8,000 bytes are at most 8,000 characters, and fit into 32,767 bytes of any character set.
    c_piece_bytes constant pls_integer := 8000;
    l_length number := dbms_lob.getlength(p_utf8);
    l_offset number := p_offset;
    l_end    number;
    l_back   pls_integer;
  begin
    p_pieces.delete;
    while l_offset <= l_length and p_pieces.count < c_max_pieces loop
      l_end := least(l_offset + c_piece_bytes, l_length + 1);
      l_back := 0;
      while l_back < 4 and l_end - l_back <= l_length and continues(p_utf8, l_end - l_back) loop
        l_back := l_back + 1;
      end loop;
      -- A character has at most four bytes: a longer run of continuations is no UTF-8, and cut anywhere.
      if l_back < 4 then
        l_end := l_end - l_back;
      end if;
      p_pieces(p_pieces.count + 1) := utl_i18n.raw_to_char(
        dbms_lob.substr(p_utf8, l_end - l_offset, l_offset),
        'AL32UTF8'
      );
      l_offset := l_end;
    end loop;
    p_next_offset := case when l_offset <= l_length then l_offset end;
  end pieces;

  function is_text(p_utf8 in blob) return boolean is
    l_pieces t_pieces;
    l_next   number;
    l_offset pls_integer := 1;
    l_bytes  pls_integer := least(dbms_lob.getlength(p_utf8), c_max_raw_bytes);
    l_raw    raw(32767);
  begin
    pieces(p_utf8, 1, l_pieces, l_next);
    for i in 1 .. l_pieces.count loop
      exit when l_offset > l_bytes;
      l_raw := utf8(l_pieces(i));
      if l_raw is null or dbms_lob.substr(p_utf8, utl_raw.length(l_raw), l_offset) <> l_raw then
        return false;
      end if;
      l_offset := l_offset + utl_raw.length(l_raw);
    end loop;
    return true;
  end is_text;

  procedure base64_pieces(p_bytes in blob, p_pieces out nocopy t_pieces) is
    -- A multiple of three, so that only the last piece is padded.
    c_piece_bytes constant pls_integer := 5997;
    l_offset number := 1;
    l_text   varchar2(32767);
  begin
    p_pieces.delete;
    while l_offset <= dbms_lob.getlength(p_bytes) and p_pieces.count < c_max_pieces loop
      l_text := utl_raw.cast_to_varchar2(
        utl_encode.base64_encode(dbms_lob.substr(p_bytes, c_piece_bytes, l_offset))
      );
      p_pieces(p_pieces.count + 1) := case when l_offset = 1 then 'base64:' end
        || translate(l_text, 'A' || chr(13) || chr(10), 'A');
      l_offset := l_offset + c_piece_bytes;
    end loop;
  end base64_pieces;

  function first_line(p_utf8 in raw) return varchar2 is
  begin
    for i in 1 .. coalesce(utl_raw.length(p_utf8), 0) loop
      if rawtohex(utl_raw.substr(p_utf8, i, 1)) = '0A' then
        return case when i > 1 then utl_i18n.raw_to_char(utl_raw.substr(p_utf8, 1, i - 1), 'AL32UTF8') end;
      end if;
    end loop;
    return null;
  end first_line;

  function join(p_pieces in t_pieces) return clob is
    l_text  clob;
    l_index pls_integer := p_pieces.first;
  begin
    while l_index is not null loop
      -- Not dbms_lob.writeappend: its amount is in UTF-16 units, length() is in characters.
      l_text  := l_text || p_pieces(l_index);
      l_index := p_pieces.next(l_index);
    end loop;
    return l_text;
  end join;

  procedure free(p_lob in out nocopy blob) is
  begin
    if p_lob is not null and dbms_lob.istemporary(p_lob) = 1 then
      dbms_lob.freetemporary(p_lob);
    end if;
  end free;

  procedure free(p_lob in out nocopy clob) is
  begin
    if p_lob is not null and dbms_lob.istemporary(p_lob) = 1 then
      dbms_lob.freetemporary(p_lob);
    end if;
  end free;

  function fit(p_text in varchar2, p_bytes in pls_integer) return varchar2 is
    l_length pls_integer := length(p_text);
    l_text   varchar2(32767) := p_text;
  begin
    while lengthb(l_text) > p_bytes loop
      -- Drops at least one character, and about as many as are too much.
      l_length := least(l_length - 1, floor(l_length * p_bytes / lengthb(l_text)));
      l_text   := substr(p_text, 1, l_length);
    end loop;
    return l_text;
  end fit;

  procedure say(p_text in varchar2) is
    e_full exception;
    pragma exception_init(e_full, -20000);
  begin
    dbms_output.put_line(p_text);
  exception
    when e_full then
      -- What the buffer holds stays.
      return;
  end say;

  function base64url(p_raw in raw) return varchar2 is
    l_text varchar2(32767) := utl_raw.cast_to_varchar2(utl_encode.base64_encode(p_raw));
  begin
    -- utl_encode breaks lines every 64 characters and pads.
    return translate(l_text, '+/=' || chr(13) || chr(10), '-_');
  end base64url;

  function now_utc return timestamp is
  begin
    return sys_extract_utc(systimestamp);
  end now_utc;

  function epoch_ms(p_time in timestamp with time zone default null) return number is
    l_since interval day(9) to second(6);
  begin
    l_since := sys_extract_utc(coalesce(p_time, systimestamp)) - timestamp '1970-01-01 00:00:00';
    return extract(day from l_since) * 86400000
      + extract(hour from l_since) * 3600000
      + extract(minute from l_since) * 60000
      + floor(extract(second from l_since) * 1000);
  end epoch_ms;
end rtm_text;
/
