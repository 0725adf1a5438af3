/**
 * One database session under a watchdog: the only module that touches the driver's connections.
 *
 * The Thin driver has no protection against a silent peer: callTimeout only sends a break and then
 * waits for ever, and close() queues behind the pending call (docs/operations.md, "The database
 * hangs"). So every call races a timer here. When the timer wins the session is abandoned: its
 * socket is destroyed and nothing is called on it again.
 */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import oracledb from "oracledb";
import { RtmError } from "../common/errors.ts";
import type { Logger } from "../common/logger.ts";
import type { DatabaseConfig, PayloadKind } from "./config.ts";
import type { Dequeued } from "./decode.ts";
import { classifyOracleError } from "./oracle-errors.ts";

/** A call got no answer in time; the session was abandoned. */
export class SessionHungError extends RtmError {
  constructor(what: string, limitMs: number) {
    super(
      "RTM_SESSION_HUNG",
      `${what} got no answer within ${limitMs} ms; the session is abandoned`,
    );
  }
}

/** A call on a session that was abandoned before. */
export class SessionAbandonedError extends RtmError {
  constructor(what: string) {
    super("RTM_SESSION_ABANDONED", `${what}: this session was abandoned`);
  }
}

/** The driver's private way to destroy a socket; checked at run time, so a new driver is safe. */
interface PrivateConnection {
  _impl?: { nscon?: { forceDisconnect?: () => void } };
}

/** A wait that was asked for after `interruptWait`. */
export class SessionInterruptedError extends RtmError {
  constructor(what: string) {
    super("RTM_SESSION_INTERRUPTED", `${what}: the session is being closed`);
  }
}

export interface QueueOptions {
  readonly name: string;
  readonly kind: Exclude<PayloadKind, "JMS_TEXT">;
  readonly consumer?: string | undefined;
}

const EXECUTE_OPTIONS = { autoCommit: false, outFormat: oracledb.OUT_FORMAT_OBJECT };

export interface SessionOptions {
  /** Shown in V$SESSION.ACTION; MODULE is `apex-rtm`. */
  readonly action: string;
  readonly log: Logger;
  /** Called after the logon and whenever a call has ended, however it ended. */
  readonly onStep?: () => void;
}

function secret(value: string | undefined, file: string | undefined): string | undefined {
  return file === undefined ? value : readFileSync(file, "utf8").replace(/\r?\n$/, "");
}

function credentials(database: DatabaseConfig): oracledb.ConnectionAttributes {
  const walletPassword = secret(database.walletPassword, database.walletPasswordFile);
  return {
    connectString: database.connectString,
    ...(database.externalAuth
      ? { externalAuth: true }
      : {
          user: database.user,
          password: secret(database.password, database.passwordFile) ?? "",
        }),
    ...(database.configDir === undefined ? {} : { configDir: database.configDir }),
    ...(database.walletLocation === undefined ? {} : { walletLocation: database.walletLocation }),
    ...(walletPassword === undefined ? {} : { walletPassword }),
    connectTimeout: Math.ceil(database.connectTimeout / 1000),
    expireTime: Math.max(1, Math.round(database.expireTime / 60_000)),
    // Only network-safe characters may appear in these.
    program: "apex-rtm",
    machine: hostname().replace(/[^A-Za-z0-9_.-]/g, "_"),
  };
}

/** Rejects when `call` has not settled in `limitMs`, after calling `onTimeout`. */
async function withDeadline<T>(
  call: Promise<T>,
  limitMs: number,
  onTimeout: () => Error,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(onTimeout()), limitMs);
  });
  try {
    return await Promise.race([call, expired]);
  } finally {
    clearTimeout(timer);
  }
}

export class Session {
  readonly #connection: oracledb.Connection;
  readonly #database: DatabaseConfig;
  readonly #log: Logger;
  readonly #onStep: (() => void) | undefined;
  readonly #openedAt = performance.now();
  readonly #queues = new Map<string, oracledb.AdvancedQueue<unknown>>();
  #abandoned = false;
  #waiting = false;
  #interrupted = false;

  private constructor(
    connection: oracledb.Connection,
    database: DatabaseConfig,
    { log, onStep }: SessionOptions,
  ) {
    this.#connection = connection;
    this.#database = database;
    this.#log = log;
    this.#onStep = onStep;
  }

  /**
   * Logs on.
   * @throws the driver's error, or `SessionHungError` when the whole logon exceeds connectTimeout:
   * the driver's own limit ends when the listener has accepted the connection.
   */
  static async open(database: DatabaseConfig, options: SessionOptions): Promise<Session> {
    const { action, log } = options;
    const limitMs = database.connectTimeout + database.callGrace;
    const connecting = oracledb.getConnection(credentials(database));
    const connection = await withDeadline(connecting, limitMs, () => {
      // Should it come back after all, nobody waits for it any more.
      connecting.then(forceDisconnect, () => {});
      return new SessionHungError("logon", limitMs);
    });
    connection.module = "apex-rtm";
    connection.action = action;
    const { warning } = connection as { warning?: Error };
    if (warning) log.warn({ err: warning }, "the database warned at logon");
    options.onStep?.();
    return new Session(connection, database, options);
  }

  /** Age of the session exceeds database.maxSessionAge. */
  get isOld(): boolean {
    return performance.now() - this.#openedAt > this.#database.maxSessionAge;
  }

  /** Version number of the database, e.g. 2304000000 for 23.4. */
  get serverVersion(): number {
    return this.#connection.oracleServerVersion;
  }

  get isAbandoned(): boolean {
    return this.#abandoned;
  }

  /**
   * Runs one driver call under the watchdog. `waitMs` is how long the call itself may wait in the
   * database; database.callGrace comes on top.
   */
  async call<T>(what: string, run: (c: oracledb.Connection) => Promise<T>, waitMs = 0): Promise<T> {
    if (this.#abandoned) throw new SessionAbandonedError(what);
    const limitMs = waitMs + this.#database.callGrace;
    const pending = run(this.#connection);
    try {
      return await withDeadline(pending, limitMs, () => {
        this.abandon();
        pending.catch(() => {});
        return new SessionHungError(what, limitMs);
      });
    } finally {
      this.#onStep?.();
    }
  }

  /** Executes SQL or PL/SQL; binds and result as in the driver. Never commits. */
  execute<T = unknown>(
    what: string,
    sql: string,
    binds: oracledb.BindParameters = {},
    waitMs = 0,
  ): Promise<oracledb.Result<T>> {
    return this.call(
      what,
      (c) => c.execute<T>(sql, binds, { autoCommit: false, outFormat: oracledb.OUT_FORMAT_OBJECT }),
      waitMs,
    );
  }

  /**
   * Dequeues up to `max` messages with REMOVE and ON_COMMIT, waiting up to `waitMs` (whole seconds)
   * for the first. Navigation is FIRST_MESSAGE: each call takes a new snapshot, so the oldest
   * visible message comes first whoever committed it when.
   */
  async dequeue(options: QueueOptions, max: number, waitMs: number): Promise<Dequeued[]> {
    const queue = await this.#queue(options);
    queue.deqOptions.wait = Math.ceil(waitMs / 1000);
    const messages = await this.#wait(`dequeue from ${options.name}`, waitMs, async () => {
      if (max > 1) return queue.deqMany(max);
      const message = await queue.deqOne();
      return message ? [message] : [];
    });
    return messages.map((message) => toDequeued(message, options.kind));
  }

  /** Executes PL/SQL that waits up to `waitMs` in the database; `interruptWait` can end it. */
  async executeWaiting<T = unknown>(
    what: string,
    sql: string,
    binds: oracledb.BindParameters,
    waitMs: number,
  ): Promise<oracledb.Result<T>> {
    return this.#wait(what, waitMs, (c) => c.execute<T>(sql, binds, EXECUTE_OPTIONS));
  }

  async #wait<T>(
    what: string,
    waitMs: number,
    run: (c: oracledb.Connection) => Promise<T>,
  ): Promise<T> {
    if (this.#interrupted) throw new SessionInterruptedError(what);
    this.#waiting = true;
    try {
      return await this.call(what, run, waitMs);
    } finally {
      this.#waiting = false;
    }
  }

  async #queue({ name, kind, consumer }: QueueOptions): Promise<oracledb.AdvancedQueue<unknown>> {
    const known = this.#queues.get(name);
    if (known) return known;
    const payloadType = kind === "JSON" ? oracledb.DB_TYPE_JSON : oracledb.DB_TYPE_RAW;
    const queue = await this.call(`open ${name}`, (c) =>
      c.getQueue(name, { payloadType } as never),
    );
    queue.deqOptions.navigation = oracledb.AQ_DEQ_NAV_FIRST_MSG;
    queue.deqOptions.mode = oracledb.AQ_DEQ_MODE_REMOVE;
    queue.deqOptions.visibility = oracledb.AQ_VISIBILITY_ON_COMMIT;
    if (consumer !== undefined) queue.deqOptions.consumerName = consumer;
    this.#queues.set(name, queue as oracledb.AdvancedQueue<unknown>);
    return queue as oracledb.AdvancedQueue<unknown>;
  }

  /**
   * Ends the session's waiting for good: a wait in progress rejects with ORA-01013, a later one with
   * `SessionInterruptedError`. No break is sent to an idle session: it would fail its next call.
   */
  interruptWait(): void {
    this.#interrupted = true;
    if (!this.#waiting || this.#abandoned) return;
    this.#connection.break().catch((error: unknown) => {
      this.#log.debug({ err: error }, "break failed");
    });
  }

  commit(): Promise<void> {
    return this.call("commit", (c) => c.commit());
  }

  rollback(): Promise<void> {
    return this.call("rollback", (c) => c.rollback());
  }

  ping(): Promise<void> {
    return this.call("ping", (c) => c.ping());
  }

  /**
   * Ends the session after an error or a stop. It always rolls back first: after a dequeue that the
   * driver could not decode it does not know that a transaction is open, and its close() would log
   * off, which commits and so loses the messages. Never throws.
   */
  async discard(): Promise<void> {
    if (this.#abandoned) return;
    try {
      await this.rollback();
      await this.close();
    } catch (error) {
      if (classifyOracleError(error).class !== "session_lost") {
        this.#log.debug({ err: error }, "the session could not be closed; it is abandoned");
      }
      this.abandon();
    }
  }

  /** Logs off. Only for a session without an open transaction. */
  close(): Promise<void> {
    return this.call("close", (c) => c.close());
  }

  /**
   * Gives the session up without waiting for anybody. What it had dequeued stays locked until the
   * database notices that the client is gone.
   */
  abandon(): void {
    this.#abandoned = true;
    forceDisconnect(this.#connection);
  }
}

function forceDisconnect(connection: oracledb.Connection): void {
  try {
    (connection as PrivateConnection)._impl?.nscon?.forceDisconnect?.();
  } catch {
    // The socket is gone already; there is nothing left to free.
  }
}

function toDequeued(
  message: oracledb.AdvancedQueueMessage<unknown>,
  kind: QueueOptions["kind"],
): Dequeued {
  const { payload, msgId, numAttempts } = message;
  return {
    id: msgId.toString("hex"),
    attempts: numAttempts,
    body:
      kind === "JSON"
        ? { kind: "json", value: payload ?? null }
        : { kind: "bytes", bytes: payload as unknown as Buffer },
  };
}
