create or replace package websocket_api authid definer as
  -- Real-time messages from PL/SQL to pages: what is broadcast inside a transaction reaches every
  -- subscribed page right after commit, and never after rollback (on the AQ and on the deferred HTTP
  -- transport). Safe in triggers: it neither commits nor rolls back.

  -- Names (channel, event): 1-128 bytes of UTF-8, no control characters, no *.
  -- Errors: -20101 bad name, -20105 bad payload, -20106 other bad parameter, the rest in
  -- docs/sql-api.md. p_on_error: RAISE or LOG; null is the setting on_error.

  -- Channels of a token, in any index order.
  type t_channels is table of varchar2(32767) index by pls_integer;

  -- Broadcasts one message.
  -- p_api_key, p_base_url: for the HTTP transport only, and null for the configured ones; on the AQ
  -- transport they are ignored, and the log row says so.
  -- p_event_name: null is "message".
  -- p_payload: any JSON value; null is {}.
  -- p_source: where the message comes from, for RTM_LOG; at most 30 bytes.
  procedure broadcast_item(
    p_api_key    in varchar2,
    p_base_url   in varchar2,
    p_channel    in varchar2,
    p_event_name in varchar2,
    p_payload    in clob,
    p_on_error   in varchar2 default null,
    p_source     in varchar2 default 'APEX'
  );

  -- The same without key and URL.
  procedure broadcast(
    p_channel    in varchar2,
    p_event_name in varchar2,
    p_payload    in clob,
    p_on_error   in varchar2 default null,
    p_source     in varchar2 default 'PLSQL'
  );

  $if dbms_db_version.version >= 21 $then
  -- The same for a value of type JSON (21c and later).
  procedure broadcast_json(
    p_channel    in varchar2,
    p_event_name in varchar2,
    p_payload    in json,
    p_on_error   in varchar2 default null,
    p_source     in varchar2 default 'PLSQL'
  );
  $end

  -- A token with which a page may subscribe to p_channels (at most 100 names; one may end in *).
  -- p_user: by default the user of the APEX session; -20106 when there is none.
  -- p_ttl_s: seconds to live, 10 to 86,400; by default the setting token_ttl_s.
  -- Whoever may call this function decides who hears what: check the user's rights before.
  function client_token(
    p_channels in t_channels,
    p_user     in varchar2 default null,
    p_ttl_s    in number   default null
  ) return varchar2;
  -- The same for one channel.
  function client_token(
    p_channel in varchar2,
    p_user    in varchar2 default null,
    p_ttl_s   in number   default null
  ) return varchar2;

  -- The channel of one user: "user:" and the name in upper case, without blanks around it. Control
  -- characters, * and % are written as %XX; what gets longer than 128 bytes is "user:#" and a hash.
  -- p_user: by default the user of the APEX session.
  function user_channel(p_user in varchar2 default null) return varchar2;

  -- Which way messages go now: AQ, HTTP_DEFERRED (sent by a job after commit), HTTP (sent at once,
  -- which a rollback cannot take back) or OFF; and why.
  function transport return varchar2;
  function transport_reason return varchar2;

  -- Findings of the installation, one line each: what works, what is missing and which grant or
  -- setting mends it.
  function install_check return clob;
end websocket_api;
/
