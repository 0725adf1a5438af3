create or replace package websocket_api authid definer as
  -- Real-time messages from PL/SQL to pages: what is broadcast inside a transaction reaches every
  -- subscribed page right after commit, and never after rollback (on the AQ and on the deferred HTTP
  -- transport). Safe in triggers: it neither commits nor rolls back.

  -- Names (channel, event): 1-128 bytes of UTF-8, no control characters, no *.
  -- Errors: -20101 bad name, -20105 bad payload, -20106 other bad parameter, the rest in
  -- docs/sql-api.md. p_on_error: RAISE or LOG; null is the setting on_error.

  -- Channels of a token, in any index order.
  type t_channels is table of varchar2(32767) index by pls_integer;

  -- What else a token may hold, all empty by default. Patterns count only where the token grants the
  -- channel too, and presence needs a rule of the relay (docs/protocol.md, "Tokens").
  --   presence_join   where the page may show its user to others
  --   presence_watch  where it may see who is there
  --   member_info     what others see of the user: a JSON object of at most 512 bytes of UTF-8
  --   publish         where it may send client events to other pages
  type t_token_options is record (
    presence_join  t_channels,
    presence_watch t_channels,
    member_info    varchar2(4000),
    publish        t_channels
  );

  -- A message of BROADCAST_MANY, and a list of them in any index order.
  type t_message is record (
    channel    varchar2(512),
    event_name varchar2(512),
    payload    clob
  );
  type t_messages is table of t_message index by pls_integer;

  -- Broadcasts one message.
  -- p_api_key, p_base_url: for the HTTP transport only, and null for the configured ones; on the AQ
  -- transport they are ignored, and the log row says so.
  -- p_event_name: null is "message".
  -- p_payload: any JSON value; null is {}. A temporary LOB stays the caller's; none is left behind.
  -- p_source: where the message comes from, for RTM_LOG; at most 30 bytes.
  -- p_retain_s: 1 to 604,800. For so many seconds the relay keeps the message as the last of its channel
  -- and event, beside the history: a page that asks for last values gets it however long ago it was.
  -- Raises -20115 in a read-only transaction, or inside of a query: BROADCAST_NOW works there.
  procedure broadcast_item(
    p_api_key    in varchar2,
    p_base_url   in varchar2,
    p_channel    in varchar2,
    p_event_name in varchar2,
    p_payload    in clob,
    p_on_error   in varchar2 default null,
    p_source     in varchar2 default 'APEX',
    p_retain_s   in number   default null
  );

  -- The same without key and URL.
  procedure broadcast(
    p_channel    in varchar2,
    p_event_name in varchar2,
    p_payload    in clob,
    p_on_error   in varchar2 default null,
    p_source     in varchar2 default 'PLSQL',
    p_retain_s   in number   default null
  );

  -- The same to one user: on the channel USER_CHANNEL(p_user), which the Listener of that user's pages
  -- hears with #USER#. p_user: required outside of an APEX session.
  procedure broadcast_user(
    p_user       in varchar2,
    p_event_name in varchar2,
    p_payload    in clob,
    p_on_error   in varchar2 default null,
    p_source     in varchar2 default 'PLSQL',
    p_retain_s   in number   default null
  );

  -- The same for a JSON_OBJECT_T or JSON_ARRAY_T.
  procedure broadcast_json(
    p_channel    in varchar2,
    p_event_name in varchar2,
    p_payload    in json_element_t,
    p_on_error   in varchar2 default null,
    p_source     in varchar2 default 'PLSQL',
    p_retain_s   in number   default null
  );

  $if rtm_features.c_json_type $then
  -- The same for a value of type JSON (21c and later, COMPATIBLE of at least 20).
  procedure broadcast_json(
    p_channel    in varchar2,
    p_event_name in varchar2,
    p_payload    in json,
    p_on_error   in varchar2 default null,
    p_source     in varchar2 default 'PLSQL',
    p_retain_s   in number   default null
  );
  $end

  -- Many messages at once, in the order of the list: settings and backlog are read once. With RAISE all
  -- are checked before the first one is sent, and the error names the index; with LOG a bad one is
  -- logged and the others are sent.
  procedure broadcast_many(
    p_messages in t_messages,
    p_on_error in varchar2 default null,
    p_source   in varchar2 default 'PLSQL',
    p_retain_s in number   default null
  );
  -- The same for an open cursor of three columns: channel, event name, payload (CLOB). Closes it. Checks
  -- and sends 100 rows at a time.
  procedure broadcast_many(
    p_messages in sys_refcursor,
    p_on_error in varchar2 default null,
    p_source   in varchar2 default 'PLSQL',
    p_retain_s in number   default null
  );

  -- Broadcasts in a transaction of its own, which is committed when the call returns: for read-only
  -- transactions, for queries, and for the progress of a long job. Your rollback does not take it back.
  -- Raises -20115 inside of a transaction of an XA monitor, where nothing can be written beside it;
  -- BROADCAST takes part in that transaction.
  procedure broadcast_now(
    p_channel    in varchar2,
    p_event_name in varchar2,
    p_payload    in clob,
    p_on_error   in varchar2 default null,
    p_source     in varchar2 default 'PLSQL',
    p_retain_s   in number   default null
  );

  -- A token with which a page may subscribe to p_channels (at most 100 names; one may end in *).
  -- p_user: by default the user of the APEX session; -20106 when there is none.
  -- p_ttl_s: seconds to live, 10 to 86,400; by default the setting token_ttl_s.
  -- Whoever may call this function decides who hears what: check the user's rights before.
  function client_token(
    p_channels in t_channels,
    p_user     in varchar2 default null,
    p_ttl_s    in number   default null
  ) return varchar2;
  -- The same with options.
  function client_token(
    p_channels in t_channels,
    p_options  in t_token_options,
    p_user     in varchar2 default null,
    p_ttl_s    in number   default null
  ) return varchar2;
  -- The same for one channel.
  function client_token(
    p_channel in varchar2,
    p_user    in varchar2 default null,
    p_ttl_s   in number   default null
  ) return varchar2;

  -- The channel of one user, the only place that knows how it is called: "user:" and the name in upper
  -- case, without blanks around it. Control characters, * and % are written as %XX; what gets longer
  -- than 128 bytes is "user:#" and the SHA-256 of the upper-case name in hex.
  -- p_user: by default the user of the APEX session.
  function user_channel(p_user in varchar2 default null) return varchar2;

  -- What the relay is told beside messages, in your transaction and in order with them: it happens right
  -- after commit, and never after rollback. All of it needs the queue (-20116 over HTTP).
  -- p_user: by default the user of the APEX session; -20106 when there is none.

  -- Takes the last value of a channel and event back (p_retain_s). The history keeps what it has.
  procedure forget_last(p_channel in varchar2, p_event_name in varchar2);
  -- Ends every token of a user that was made until now: pages lose what they heard by it, and need a new
  -- one. It is no ban: whoever may still open a page gets a new token. End the session or the right first.
  procedure revoke_user(p_user in varchar2 default null);
  -- The same for the tokens of one APEX session, for a post-logout procedure (docs/apex.md).
  -- p_session: by default the one that calls; -20106 when there is none.
  procedure revoke_session(p_session in number default null);
  -- The same for one channel of a user's tokens: the old tokens cannot subscribe to it again.
  procedure unsubscribe_user(p_user in varchar2, p_channel in varchar2);
  -- Closes the connections of a user. Pages come back by themselves, unless p_stop is true; their tokens
  -- stay as they are.
  procedure disconnect_user(p_user in varchar2, p_stop in boolean default false);

  -- Who is in a channel now, by the view RTM_PRESENCE: of channels whose presence rule in the relay says
  -- "database", a few seconds late. For whoever may call this, all channels: check the user's rights before.
  --   select * from table(websocket_api.members('record:42'))
  type t_member is record (
    user_name   varchar2(1024),
    connections number,
    member_info varchar2(2000),  -- JSON object of the token; null for none
    since_ts    timestamp with time zone
  );
  type t_members is table of t_member;
  function members(p_channel in varchar2) return t_members pipelined;

  -- Which way messages go now: AQ, HTTP_DEFERRED (sent by a job after commit), HTTP (sent at once,
  -- which a rollback cannot take back) or OFF; and why.
  function transport return varchar2;
  function transport_reason return varchar2;

  -- Findings of the installation, one line each: what works, what is missing and which grant or
  -- setting mends it.
  function install_check return clob;
end websocket_api;
/
