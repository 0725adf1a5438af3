/**
 * One database session under a watchdog: the only module of the worker that calls the driver's connections.
 *
 * The Thin driver has no protection against a silent peer: callTimeout only sends a break and then
 * waits for ever, and close() queues behind the pending call (docs/operations.md, "The database
 * hangs"). So every call races a timer here. When the timer wins the session is abandoned: its
 * socket is destroyed and nothing is called on it again.
 */
import oracledb from "oracledb";
import { RtmError } from "../common/errors.ts";
import type { Logger } from "../common/logger.ts";
import type { DatabaseConfig, PayloadKind } from "./config.ts";
import { Deadline } from "./deadline.ts";
import type { Dequeued } from "./decode.ts";
import { classifyOracleError } from "./oracle-errors.ts";
import { Sockets } from "./sockets.ts";

/** A call got no answer in time; the session was abandoned. */
export class SessionHungError extends RtmError {
  constructor(what: string, limitMs: number) {
    super(
      "RTM_SESSION_HUNG",
      `${what} got no answer within ${Math.round(limitMs)} ms; the session is abandoned`,
    );
  }
}

/** A call on a session that was abandoned before. */
export class SessionAbandonedError extends RtmError {
  constructor(what: string) {
    super("RTM_SESSION_ABANDONED", `${what}: this session was abandoned`);
  }
}

/** A logon or a wait that was asked for after the stop. */
export class SessionInterruptedError extends RtmError {
  constructor(what: string) {
    super("RTM_SESSION_INTERRUPTED", `${what}: the session is being closed`);
  }
}

/** The driver failed on an answer in a way that it does not expect itself. */
export class DriverFailedError extends RtmError {
  constructor(what: string, cause: unknown) {
    super("RTM_DRIVER_FAILED", `${what}: the driver failed on the database's answer: ${cause}`, {
      cause,
    });
  }
}

export interface QueueOptions {
  readonly name: string;
  readonly kind: Exclude<PayloadKind, "JMS_TEXT">;
  readonly consumer?: string | undefined;
}

const EXECUTE_OPTIONS = { autoCommit: false, outFormat: oracledb.OUT_FORMAT_OBJECT };

export interface OpenOptions {
  /** Shown in V$SESSION.ACTION, at most 32 bytes; MODULE is `apex-rtm`. */
  readonly action: string;
  readonly log: Logger;
  /** Ends a logon that is under way. */
  readonly signal?: AbortSignal | undefined;
  /** Called after the logon and whenever a call has ended, however it ended. */
  readonly onStep?: (() => void) | undefined;
}

type Limits = Pick<DatabaseConfig, "connectTimeout" | "callGrace" | "maxSessionAge">;

export class Session {
  readonly #connection: oracledb.Connection;
  readonly #sockets: Sockets;
  readonly #limits: Limits;
  readonly #log: Logger;
  readonly #onStep: (() => void) | undefined;
  readonly #openedAt = performance.now();
  readonly #queues = new Map<string, oracledb.AdvancedQueue<unknown>>();
  #abandoned = false;
  #retired = false;
  #waiting: Deadline | undefined;
  #interrupted = false;

  private constructor(
    connection: oracledb.Connection,
    sockets: Sockets,
    limits: Limits,
    { log, onStep }: OpenOptions,
  ) {
    this.#connection = connection;
    this.#sockets = sockets;
    this.#limits = limits;
    this.#log = log;
    this.#onStep = onStep;
  }

  /**
   * Logs on.
   * @throws the driver's error; `SessionHungError` when the whole logon exceeds connectTimeout (the
   * driver's own limit ends when the listener has accepted); `SessionInterruptedError`.
   */
  static async open(
    attributes: oracledb.ConnectionAttributes,
    limits: Limits,
    options: OpenOptions,
  ): Promise<Session> {
    const { action, log, signal } = options;
    if (signal?.aborted) throw new SessionInterruptedError("logon");
    const limitMs = limits.connectTimeout + limits.callGrace;
    const sockets = new Sockets();
    const end = (error: Error) => {
      sockets.destroy();
      return error;
    };
    const deadline = new Deadline(limitMs, () =>
      end(
        signal?.aborted
          ? new SessionInterruptedError("logon")
          : new SessionHungError("logon", limitMs),
      ),
    );
    const onAbort = () => deadline.shorten(0);
    signal?.addEventListener("abort", onAbort);
    try {
      const connection = await deadline.race(
        sockets.track(() => oracledb.getConnection(attributes)),
      );
      connection.module = "apex-rtm";
      connection.action = action;
      const { warning } = connection as { warning?: Error };
      if (warning) log.warn({ err: warning }, "the database warned at logon");
      options.onStep?.();
      return new Session(connection, sockets, limits, options);
    } catch (error) {
      throw error instanceof TypeError ? end(new DriverFailedError("logon", error)) : error;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** To be replaced between two batches: older than database.maxSessionAge, or retired. */
  get isOld(): boolean {
    return this.#retired || performance.now() - this.#openedAt > this.#limits.maxSessionAge;
  }

  /** Makes the session old at once. */
  retire(): void {
    this.#retired = true;
  }

  /** Version number of the database, e.g. 2304000000 for 23.4. */
  get serverVersion(): number {
    return this.#connection.oracleServerVersion;
  }

  get isAbandoned(): boolean {
    return this.#abandoned;
  }

  /** No wait may begin any more. */
  get isInterrupted(): boolean {
    return this.#interrupted;
  }

  /** Runs one driver call under the watchdog: it may take database.callGrace. */
  async call<T>(what: string, run: (c: oracledb.Connection) => Promise<T>): Promise<T> {
    return this.#race(what, run, this.#deadline(what, 0));
  }

  /** A call that itself waits up to `waitMs` in the database; `interruptWait` can end it. */
  async #wait<T>(
    what: string,
    waitMs: number,
    run: (c: oracledb.Connection) => Promise<T>,
  ): Promise<T> {
    if (this.#interrupted) throw new SessionInterruptedError(what);
    const deadline = this.#deadline(what, waitMs);
    this.#waiting = deadline;
    try {
      return await this.#race(what, run, deadline);
    } finally {
      this.#waiting = undefined;
    }
  }

  #deadline(what: string, waitMs: number): Deadline {
    if (this.#abandoned) throw new SessionAbandonedError(what);
    const limitMs = waitMs + this.#limits.callGrace;
    const start = performance.now();
    return new Deadline(limitMs, () => {
      this.abandon();
      return new SessionHungError(what, performance.now() - start);
    });
  }

  async #race<T>(
    what: string,
    run: (c: oracledb.Connection) => Promise<T>,
    deadline: Deadline,
  ): Promise<T> {
    try {
      return await deadline.race(run(this.#connection));
    } catch (error) {
      throw error instanceof TypeError ? new DriverFailedError(what, error) : error;
    } finally {
      this.#onStep?.();
    }
  }

  /** Executes SQL or PL/SQL; binds and result as in the driver. Never commits. */
  execute<T = unknown>(
    what: string,
    sql: string,
    binds: oracledb.BindParameters = {},
  ): Promise<oracledb.Result<T>> {
    return this.call(what, (c) => c.execute<T>(sql, binds, EXECUTE_OPTIONS));
  }

  /** Executes PL/SQL that waits up to `waitMs` in the database. */
  executeWaiting<T = unknown>(
    what: string,
    sql: string,
    binds: oracledb.BindParameters,
    waitMs: number,
  ): Promise<oracledb.Result<T>> {
    return this.#wait(what, waitMs, (c) => c.execute<T>(sql, binds, EXECUTE_OPTIONS));
  }

  /**
   * Dequeues up to `max` messages with REMOVE and ON_COMMIT, waiting up to `waitMs` (whole seconds)
   * for the first. Navigation is FIRST_MESSAGE: each call takes a new snapshot, so the oldest
   * visible message comes first whoever committed it when.
   */
  async dequeue(options: QueueOptions, max: number, waitMs: number): Promise<Dequeued[]> {
    const queue = await this.#queue(options);
    queue.deqOptions.wait = Math.ceil(waitMs / 1000);
    return this.#wait(`dequeue from ${options.name}`, waitMs, async () => {
      const one = max > 1 ? undefined : await queue.deqOne();
      const messages = max > 1 ? await queue.deqMany(max) : one ? [one] : [];
      return messages.map((message) => toDequeued(message, options.kind));
    });
  }

  async #queue({ name, kind, consumer }: QueueOptions): Promise<oracledb.AdvancedQueue<unknown>> {
    const known = this.#queues.get(name);
    if (known) return known;
    const payloadType = kind === "JSON" ? oracledb.DB_TYPE_JSON : oracledb.DB_TYPE_RAW;
    const queue = (await this.call(`open ${name}`, (c) =>
      c.getQueue(name, { payloadType } as never),
    )) as oracledb.AdvancedQueue<unknown>;
    queue.deqOptions.navigation = oracledb.AQ_DEQ_NAV_FIRST_MSG;
    queue.deqOptions.mode = oracledb.AQ_DEQ_MODE_REMOVE;
    queue.deqOptions.visibility = oracledb.AQ_VISIBILITY_ON_COMMIT;
    if (consumer !== undefined) queue.deqOptions.consumerName = consumer;
    this.#queues.set(name, queue);
    return queue;
  }

  /**
   * Registers for AQ notifications of a queue; `onMessage` is called for each. The driver opens a
   * connection of its own for them, and says nothing when that is lost: `onLost` does.
   * @returns a function that ends that connection.
   */
  async subscribe(name: string, onMessage: () => void, onLost: () => void): Promise<() => void> {
    const sockets = new Sockets();
    const options = {
      namespace: oracledb.SUBSCR_NAMESPACE_AQ,
      clientInitiated: true,
      callback: onMessage,
    };
    await this.call(`subscribe to ${name}`, (c) =>
      sockets.track(() => c.subscribe(name, options as never)),
    );
    // The driver believes in a subscription of before whose connection has just gone.
    if (sockets.size === 0) throw new DriverFailedError("subscribe", "no connection was opened");
    sockets.onClose(onLost);
    return () => sockets.destroy();
  }

  /** Ends the registration that `subscribe` made. */
  unsubscribe(name: string): Promise<void> {
    return this.call(`unsubscribe from ${name}`, (c) => c.unsubscribe(name));
  }

  /**
   * Ends the session's waiting for good: a wait in progress rejects with ORA-01013 (or is abandoned
   * when the database does not answer the break in time), a later one with
   * `SessionInterruptedError`. No break is sent to an idle session: it would fail its next call.
   */
  interruptWait(): void {
    this.#interrupted = true;
    if (!this.#waiting || this.#abandoned) return;
    this.#waiting.shorten(this.#limits.callGrace);
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
    this.#sockets.destroy();
  }
}

/** Copies what is needed: a message kept alive would keep the socket's buffer alive. */
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
