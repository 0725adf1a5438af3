create or replace package rtm_text authid definer as
  -- Private. Text as the queue, the relay and the worker need it: UTF-8 bytes, pieces that never
  -- split a character, JSON checks, names. No state, no SQL on our tables.

  -- One piece: at most 8,000 characters, so at most 32,000 bytes of AL32UTF8.
  type t_pieces is table of varchar2(32767) index by pls_integer;

  -- Largest RAW of PL/SQL, and so the largest message that DBMS_AQ takes on a RAW queue.
  c_max_raw_bytes constant pls_integer := 32767;
  -- A CLOB of at most so many units fits into a VARCHAR2 in every database character set.
  c_varchar2_units constant pls_integer := 8000;
  -- Pieces handed out by one call of pieces().
  c_max_pieces constant pls_integer := 32;
  -- For to_char: ISO 8601 to the second, in the Gregorian calendar whatever NLS_CALENDAR says.
  c_iso_s     constant varchar2(30) := 'YYYY-MM-DD"T"HH24:MI:SS';
  c_gregorian constant varchar2(30) := 'nls_calendar=gregorian';

  -- True when both texts have the same bytes, or both are null. The operator = follows NLS_COMP and
  -- NLS_SORT, which a session sets as it likes: names of secrets, hosts and databases are compared here.
  function same(p_one in varchar2, p_other in varchar2) return boolean;

  -- Raises -20101 unless p_name is a valid channel or event name: 1-128 bytes of UTF-8, no control
  -- characters, no *. p_parameter is named in the error. p_prefix_allowed: a trailing * is legal.
  procedure check_name(
    p_name           in varchar2,
    p_parameter      in varchar2,
    p_prefix_allowed in boolean default false
  );

  -- True when p_text is one JSON value by the strict syntax (a scalar too, also before 21c).
  function is_json(p_text in clob) return boolean;

  -- UTF-8 of a text that holds at most 8,000 characters.
  function utf8(p_text in varchar2) return raw;
  -- UTF-8 of any text: a temporary BLOB, which the caller frees.
  function utf8_blob(p_text in clob) return blob;
  -- Text of UTF-8 bytes: a temporary CLOB, which the caller frees.
  function utf8_text(p_utf8 in blob) return clob;
  -- Length in bytes of UTF-8.
  function utf8_bytes(p_text in varchar2) return pls_integer;

  -- Text of UTF-8 bytes from byte p_offset (1-based), as at most c_max_pieces pieces that begin and
  -- end at a character. p_next_offset is null at the end.
  procedure pieces(
    p_utf8        in  blob,
    p_offset      in  number,
    p_pieces      out nocopy t_pieces,
    p_next_offset out number
  );
  -- False when bytes are no UTF-8, or hold characters that the database's character set lacks. At most
  -- c_max_raw_bytes are looked at.
  function is_text(p_utf8 in blob) return boolean;
  -- "base64:" and the bytes in base64, as at most c_max_pieces pieces.
  procedure base64_pieces(p_bytes in blob, p_pieces out nocopy t_pieces);
  -- The text before the first newline; null when there is none. A cut behind it does no harm.
  function first_line(p_utf8 in raw) return varchar2;
  -- The pieces joined; null without any.
  function join(p_pieces in t_pieces) return clob;

  -- Frees a temporary LOB; nothing for another or none.
  procedure free(p_lob in out nocopy blob);
  procedure free(p_lob in out nocopy clob);

  -- The first characters of p_text that fit into p_bytes bytes of the database character set.
  function fit(p_text in varchar2, p_bytes in pls_integer) return varchar2;

  -- A line of DBMS_OUTPUT. Raises nothing when the session's buffer is full (ORU-10027): for callers
  -- that must not fail, and have no other place to tell.
  procedure say(p_text in varchar2);

  -- base64url without padding (RFC 4648, section 5) of at most 16,000 bytes.
  function base64url(p_raw in raw) return varchar2;

  -- UTC now, without a time zone.
  function now_utc return timestamp;
  -- Milliseconds since 1970-01-01T00:00:00Z of a point in time; now by default.
  function epoch_ms(p_time in timestamp with time zone default null) return number;
end rtm_text;
/
