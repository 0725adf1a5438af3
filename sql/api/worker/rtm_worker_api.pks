create or replace package rtm_worker_api authid definer as
  -- Version of this specification. A version that only adds is the next number, and older workers go on
  -- with it; one that changes or removes something, or brings messages that an older worker would not
  -- understand, is the next hundred. A worker refuses what is too old or of another hundred, and says
  -- which side to upgrade.
  -- 2: REVOCATIONS and PRESENCE, and control items on the queue. A worker of version 1 sets those aside in
  -- RTM_LOG; the next one hands the revocations among them over.
  -- 3: consumers of multi-consumer queues (p_consumer).
  c_api_version constant pls_integer := 3;

  type t_names   is table of varchar2(128)   index by pls_integer;
  type t_numbers is table of number          index by pls_integer;
  -- One piece of text: at most 8,000 characters, so at most 32,000 bytes of AL32UTF8.
  type t_pieces  is table of varchar2(32767) index by pls_integer;
  -- Users are claims sub: at most 256 characters. Infos are JSON text of at most 512 bytes of UTF-8.
  type t_users   is table of varchar2(1024)  index by pls_integer;
  type t_infos   is table of varchar2(2000)  index by pls_integer;

  -- What is installed. p_payload_kind: 'RAW' or 'JSON'. p_queue_name: OWNER.RTM_QUEUE.
  -- p_db_time_ms: the database's UTC clock, ms since 1970, for the clock offset.
  procedure versions(
    p_api_version    out number,
    p_schema_version out varchar2,
    p_db_version     out varchar2,
    p_queue_name     out varchar2,
    p_payload_kind   out varchar2,
    p_lease_possible out number,      -- 1: EXECUTE on DBMS_LOCK is there
    p_db_time_ms     out number
  );

  -- Exclusive lease of a queue for this session; it ends with the session, not with a commit.
  -- Returns 'ACQUIRED' (also when this session holds it already), 'BUSY' (another session holds
  -- it after p_timeout_s seconds, 0 to 60) or 'NO_GRANT' (no DBMS_LOCK here).
  -- p_consumer: the subscriber's name, on a multi-consumer queue. Each of them has a lease of its own, and
  -- as long as one is held nobody gets that of the whole queue, which workers of before version 3 ask for.
  function acquire_lease(
    p_queue_name in varchar2,
    p_timeout_s  in number default 0,
    p_consumer   in varchar2 default null
  ) return varchar2;
  procedure release_lease(p_queue_name in varchar2, p_consumer in varchar2 default null);

  -- A number above all that were given before. Taken after the lease, it orders the holders: a relay
  -- log that many nodes share refuses a batch with a lower one than it has seen.
  function lease_token(p_queue_name in varchar2) return number;

  -- Autonomous. Upserts the worker's row in RTM_WORKER.
  -- p_state: ACTIVE, STANDBY, HOLDING, STOPPING.
  procedure heartbeat(
    p_worker_id  in varchar2,         -- host:pid:random, 1-128 bytes, stable for one process
    p_queue_name in varchar2,
    p_host       in varchar2,
    p_version    in varchar2,
    p_state      in varchar2
  );

  -- Counts at most p_limit ready messages (bounded: it never scans a long backlog).
  -- p_oldest_age_s is null when nothing is ready.
  procedure backlog(
    p_queue_name    in  varchar2,
    p_limit         in  number,
    p_ready         out number,
    p_oldest_age_s  out number,
    p_exceptions    out number,       -- depth of the exception queue, bounded by p_limit too
    p_consumer      in  varchar2 default null -- only what waits for this subscriber
  );

  -- In the dequeue transaction: adds a row DELIVERED to RTM_LOG, with time and recipients, for each
  -- message that has a row there. The lists run from 1 to n in step.
  procedure receipts(p_message_ids in t_names, p_recipients in t_numbers);

  -- Text of a claim check: as many pieces as fit in one call (at most 32). p_offset is 1 in the
  -- first call, then p_next_offset, which is null at the end and means nothing to the caller (a
  -- byte position, so that no piece splits a character). Raises -20121 when there is no such row.
  procedure claim(
    p_claim_id    in  varchar2,
    p_offset      in  number,
    p_pieces      out t_pieces,
    p_next_offset out number
  );
  -- In the dequeue transaction: deletes the rows of settled claim checks.
  procedure delete_claims(p_claim_ids in t_names);

  -- Revocations in force, oldest first: at most 100 with an id above p_after (0 in the first call, then
  -- p_next, which is null at the end). Each is the JSON object of a control item, with its op and with
  -- "before": tokens made before are meant, ms since 1970. For the holder of the lease, before it serves.
  procedure revocations(p_after in number, p_items out t_pieces, p_next out number);

  -- Autonomous. Who is where, for RTM_PRESENCE, from the holder of the lease. p_source: its worker id.
  -- p_full: 0 the lists hold what has changed since the last report (none: the source is alive);
  -- 1 they hold everybody; 2 they are the first part of everybody, 3 a further one, 4 the last one.
  -- The lists run from 1 to n in step, at most 10,000. p_connections: 0 for who has left. p_infos: null
  -- for none. p_since_ms: ms since 1970. p_resend: 1 when the source is not known and p_full was 0:
  -- nothing was taken, send everybody.
  procedure presence(
    p_source      in  varchar2,
    p_full        in  number,
    p_channels    in  t_names,
    p_users       in  t_users,
    p_connections in  t_numbers,
    p_infos       in  t_infos,
    p_since_ms    in  t_numbers,
    p_resend      out number
  );

  -- One dequeue in PL/SQL (REMOVE, ON_COMMIT) for what the Thin driver cannot decode: JMS text, and
  -- our own queue after a decode error. p_navigation: 1 FIRST_MESSAGE, 3 NEXT_MESSAGE.
  -- Nothing within p_wait_s seconds (0 to 120): p_message_id is null. p_kind: 'RAW', 'JSON', 'JMS_TEXT'.
  -- Works on queues of this schema, and on others when the schema may dequeue from them.
  procedure dequeue_text(
    p_queue_name    in  varchar2,
    p_kind          in  varchar2,
    p_consumer      in  varchar2,
    p_wait_s        in  number,
    p_navigation    in  number,
    p_message_id    out varchar2,     -- lower-case hex
    p_attempts      out number,
    p_enq_time_ms   out number,
    p_pieces        out t_pieces,     -- the text up to 32 pieces; bytes that are no UTF-8: base64:...
    p_truncated     out number        -- 1 when it was longer (256,000 bytes): it is too large
  );

  -- In the dequeue transaction: keeps a poison message in a row of RTM_LOG (status REJECTED).
  -- p_reason_code: see docs/errors.md, Poison. p_pieces: the payload as far as it could be read. The
  -- text of a claim check stays where it is until it is purged.
  procedure set_aside(
    p_queue_name  in varchar2,
    p_message_id  in varchar2,
    p_channel     in varchar2,        -- null when unknown
    p_event_name  in varchar2,        -- null when unknown
    p_reason_code in varchar2,
    p_reason      in varchar2,
    p_pieces      in t_pieces
  );

  -- Broadcasts {"probe": p_nonce} on p_channel, event 'rtm-probe', through WEBSOCKET_API, and
  -- returns the transport that was used. The caller commits.
  function probe(p_nonce in varchar2, p_channel in varchar2 default 'rtm:probe') return varchar2;
end rtm_worker_api;
/
