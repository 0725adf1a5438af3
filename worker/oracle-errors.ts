/**
 * One table for every error of the database and the driver that the worker knows, with what it
 * does about it. docs/errors.md shows the same table; a test keeps both equal.
 * Sources: the driver's own mapping (node-oracledb 26.0.0, lib/errors.js) and the Oracle error
 * reference; what could not be seen on a real database is marked in docs/errors.md.
 */
import { messageOf, RtmError } from "../common/errors.ts";

/** What the worker does about an error. */
export type ErrorClass =
  /** No error: the wait ended without a message. The driver hides it, PL/SQL raises it. */
  | "empty"
  /** The call was cancelled; the session is usable after a rollback. */
  | "cancelled"
  /** The session is gone: drop it, reconnect with backoff. */
  | "session_lost"
  /** The database cannot be reached now: reconnect with backoff. */
  | "connect"
  /** Somebody has to change something: retry slowly, so that no account gets locked. */
  | "configuration"
  /** The queue is not in service: retry slowly. */
  | "queue_state"
  /** The driver cannot decode what it dequeued: roll back, dequeue one by one, then in PL/SQL. */
  | "payload"
  /** A package was recompiled: the same call works in a new session. */
  | "stale_state"
  /** The database is short of something: retry with backoff. */
  | "resource"
  /** Not in the table: reconnect with backoff. */
  | "unknown";

export interface ErrorRow {
  readonly class: ErrorClass;
  /** What it means and what to do, one sentence for a log line. */
  readonly advice: string;
}

function rows(errorClass: ErrorClass, table: Readonly<Record<string, string>>) {
  return Object.entries(table).map(
    ([code, advice]) => [code, { class: errorClass, advice }] as const,
  );
}

/** What RTM_WORKER_API raises (docs/worker-api.md). */
export const WORKER_API_ERRORS = {
  badArgument: "ORA-20120",
  noClaim: "ORA-20121",
  queueNotAccessible: "ORA-20122",
} as const;

/** Keyed by ORA- or NJS- code. */
export const ORACLE_ERRORS: ReadonlyMap<string, ErrorRow> = new Map([
  ...rows("cancelled", {
    "ORA-01013": "the call was cancelled",
    "NJS-123": "the call exceeded callTimeout and was cancelled",
  }),
  ...rows("session_lost", {
    "NJS-500": "the connection to the database was lost",
    "NJS-501": "the connection was reset",
    "NJS-521": "the database closed the connection",
    "NJS-513": "the database asked the driver to reconnect",
    "NJS-003": "the connection is closed",
    "ORA-00028": "the session was killed",
    "ORA-01012": "the session is not logged on any more",
    "ORA-01033": "the database is starting or stopping",
    "ORA-01034": "the database is down",
    "ORA-01089": "the database is shutting down",
    "ORA-01090": "the database is shutting down",
    "ORA-01092": "the instance ended",
    "ORA-02396": "the profile's IDLE_TIME ended the session",
    "ORA-03113": "the connection to the database was lost",
    "ORA-03114": "the session is not connected any more",
    "ORA-03135": "the connection to the database was lost",
    "ORA-12537": "the connection was closed",
    "ORA-12570": "the network failed",
    "ORA-12571": "the network failed",
  }),
  ...rows("connect", {
    "NJS-503": "the database or its listener cannot be reached",
    "NJS-510": "the database or its listener does not answer",
    "NJS-511": "the listener refused; see the ORA- code in the message",
    "NJS-518":
      "the listener does not know the service: it may be starting; if it persists, check database.connectString",
    "NJS-519":
      "the listener does not know the SID: it may be starting; if it persists, check database.connectString",
    "NJS-530": "the host name cannot be resolved",
    "NJS-504": "the HTTPS proxy of the connect string failed",
    "NJS-506": "the TLS handshake failed",
    "NJS-040": "waiting for a pooled connection took too long",
    "NJS-076": "the connection pool's queue is full",
    "ORA-12514": "the service is not registered with the listener",
    "ORA-12518": "the listener could not hand the connection over",
    "ORA-12520": "the listener has no handler: too many processes",
    "ORA-12526": "the service is in restricted mode",
    "ORA-12528": "the instance takes no connections now",
  }),
  ...rows("configuration", {
    "ORA-01017": "wrong user or password: check database.user and the password or its file",
    "ORA-01005": "the password is empty: set database.password or database.passwordFile",
    "ORA-28000": "the account is locked: ask the DBA to unlock it",
    "ORA-28001": "the password has expired: set a new one",
    "ORA-01045": "grant CREATE SESSION to database.user",
    "ORA-28040": "no matching logon protocol: see SQLNET.ALLOWED_LOGON_VERSION_SERVER",
    "NJS-116": "the password verifier is too old for the Thin driver: set the password anew",
    "NJS-138": "the database is too old for the Thin driver",
    "NJS-533":
      "the database requires native network encryption, which the Thin driver lacks: use TLS (tcps)",
    "NJS-505": "the wallet or its password is wrong",
    "NJS-507": "the server certificate does not match the expected DN",
    "NJS-508": "the server certificate does not match the host name",
    "NJS-529": "the wallet cannot be used",
    "NJS-512": "a parameter of database.connectString, or the wallet: the message says which",
    "NJS-514":
      "database.connectString is malformed; if it is an alias, an entry of tnsnames.ora at or before its own is",
    "NJS-515": "database.connectString is malformed",
    "NJS-516": "no tnsnames.ora was found: set database.configDir",
    "NJS-517": "the alias is not in tnsnames.ora",
    "NJS-520": "tnsnames.ora cannot be read",
    "NJS-101": "database.user and database.password are missing",
    "NJS-136": "database.password is missing",
    "ORA-24010":
      "the queue does not exist or may not be dequeued: check worker.queues[].name and its grants",
    "ORA-25205": "the queue does not exist: check worker.queues[].name",
    "ORA-24033": "the multi-consumer queue has no subscriber",
    "ORA-24047": "worker.queues[].consumer is not a valid agent name",
    "ORA-25242": "worker.queues[].consumer changed while the session was dequeuing",
    "ORA-25231": "the multi-consumer queue needs worker.queues[].consumer",
    "ORA-25215": "worker.queues[].payload does not match the queue's payload type",
    "NJS-174": "worker.queues[].payload does not match the queue's payload type",
    "ORA-01031": "a privilege is missing: rtm doctor names it",
    "ORA-06550": "a PL/SQL object is missing, not granted or invalid: rtm doctor names it",
    "ORA-04063": "a PL/SQL object has errors: compile it, or install the database objects again",
    [WORKER_API_ERRORS.badArgument]: "RTM_WORKER_API refused an argument: the message names it",
    [WORKER_API_ERRORS.queueNotAccessible]:
      "RTM_WORKER_API may not use the queue: grant DEQUEUE on it to its owner",
  }),
  ...rows("queue_state", {
    "ORA-25226": "the queue is not started for dequeue",
    "ORA-25207": "the queue is not started for enqueue",
    "ORA-25253": "the queue is not started for dequeue",
    "ORA-25200": "the queue's state is invalid",
  }),
  ...rows("payload", { "NJS-089": "the driver cannot decode the message" }),
  ...rows("empty", {
    "ORA-25228": "nothing came within the wait",
    "ORA-25254": "nothing came within the wait",
  }),
  ...rows("stale_state", {
    "ORA-04061": "a package was recompiled",
    "ORA-04065": "a package was recompiled",
    "ORA-04068": "a package was recompiled",
    "ORA-06508": "a package is invalid or was recompiled",
  }),
  ...rows("resource", {
    "ORA-00018": "the database has no session left",
    "ORA-00020": "the database has no process left",
    "ORA-12516": "the listener has no handler: too many processes",
    "ORA-12519": "the listener has no handler: too many processes",
    "ORA-01652": "the temporary tablespace is full",
    "ORA-30036": "the undo tablespace is full",
    "ORA-01653": "a tablespace is full",
    "ORA-01654": "a tablespace is full",
    "ORA-01691": "a tablespace is full",
  }),
]);

/** The server's own code of a driver error, `ORA-` and five digits; undefined when it has none. */
export function oraCode(error: unknown): string | undefined {
  const { errorNum } = (error ?? {}) as { errorNum?: unknown };
  return typeof errorNum === "number" && errorNum > 0
    ? `ORA-${String(errorNum).padStart(5, "0")}`
    : undefined;
}

/** The classes of this project's own errors that can end a session. */
const OWN_ERRORS: ReadonlyMap<string, ErrorClass> = new Map([
  ["RTM_SESSION_HUNG", "session_lost"],
  ["RTM_SESSION_ABANDONED", "session_lost"],
  ["RTM_SESSION_INTERRUPTED", "cancelled"],
  // Dropped with its session: the leader's own session has the batch.
  ["RTM_FENCED", "session_lost"],
  ["RTM_LOG_LOST", "session_lost"],
  ["RTM_DRIVER_FAILED", "payload"],
  ["RTM_API_VERSION", "configuration"],
  ["RTM_PAYLOAD_UNDETECTED", "configuration"],
  ["RTM_SECRET_FILE", "configuration"],
]);

export interface Classified extends ErrorRow {
  /** The ORA-, NJS- or RTM_ code, or `unknown`. */
  readonly code: string;
}

const NO_WALLET =
  "database.walletLocation holds no readable ewallet.pem, the only file that the Thin driver takes: an " +
  "auto-login wallet (cwallet.sso) alone is not enough, export it to PEM";

/** Without the wallet's file the driver complains about the connect string, and then names the file. */
function isWalletMissing(code: string, error: unknown): boolean {
  return code === "NJS-512" && messageOf(error).includes("ewallet.pem");
}

/**
 * Classifies whatever ended a session. Where a driver error wraps a server error that the table
 * knows better (NJS-500 with an ORA- number, NJS-511 with a listener's code), the server's decides;
 * an error of ours is what it wraps, unless it has a class of its own.
 */
export function classifyOracleError(error: unknown): Classified {
  const { code, cause } = (error ?? {}) as Record<string, unknown>;
  const own = typeof code === "string" ? code : /\b(?:ORA|NJS)-\d+/.exec(messageOf(error))?.[0];
  const ownClass = OWN_ERRORS.get(own ?? "");
  if (ownClass) return { code: own!, class: ownClass, advice: "see the message" };
  if (error instanceof RtmError && cause !== undefined) return classifyOracleError(cause);
  const candidates = [
    oraCode(error),
    ...(own === "NJS-511" ? (messageOf(error).match(/\bORA-\d{5}\b/g) ?? []) : []),
    own,
  ];
  for (const candidate of candidates) {
    const row = candidate === undefined ? undefined : ORACLE_ERRORS.get(candidate);
    if (candidate !== undefined && row) {
      const advice = isWalletMissing(candidate, error) ? NO_WALLET : row.advice;
      return { code: candidate, ...row, advice };
    }
  }
  return { code: own ?? "unknown", class: "unknown", advice: "see the message" };
}
