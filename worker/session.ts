/**
 * One database session under a watchdog, through which every call of a driver's connection goes.
 *
 * The Thin driver has no protection against a silent peer: callTimeout only sends a break and then
 * waits for ever, and close() queues behind the pending call (docs/operations.md, "The database
 * hangs"). So every call races a timer here. When the timer wins the session is abandoned: its
 * socket is destroyed and nothing is called on it again.
 */
import oracledb from "oracledb";
import type { Logger } from "../common/logger.ts";
import type { DatabaseConfig } from "./config.ts";
import { Deadline } from "./deadline.ts";
import type { Dequeued } from "./decode.ts";
import { type DriverQueue, openQueue, type QueueOptions, toDequeued } from "./driver-queue.ts";
import { classifyOracleError } from "./oracle-errors.ts";
import {
  DriverFailedError,
  SessionAbandonedError,
  SessionHungError,
  SessionInterruptedError,
} from "./session-errors.ts";
import { Sockets } from "./sockets.ts";

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

/**
 * One session of the database, and the only module that touches a connection. Each call races a
 * timer: when that wins, the socket is destroyed, the call throws `SessionHungError` and the
 * session is abandoned. What it has dequeued is settled by `commit`, or the session is ended by
 * `discard`.
 */
export class Session {
  readonly #connection: oracledb.Connection;
  readonly #sockets: Sockets;
  readonly #limits: Limits;
  readonly #log: Logger;
  readonly #onStep: (() => void) | undefined;
  readonly #openedAt = performance.now();
  readonly #queues = new Map<string, DriverQueue>();
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

  /** Its socket is destroyed; every further call fails. */
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
   * for the first; see `openQueue` for their order.
   * @throws what `call` throws; `SessionInterruptedError` after `interruptWait`
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

  async #queue(options: QueueOptions): Promise<DriverQueue> {
    const { name } = options;
    const known = this.#queues.get(name);
    if (known) return known;
    const queue = await this.call(`open ${name}`, (c) => openQueue(c, options));
    this.#queues.set(name, queue);
    return queue;
  }

  /**
   * Registers for AQ notifications of a queue; `onMessage` is called for each. The driver opens a
   * connection of its own for them, and says nothing when that is lost: `onLost` does.
   * @returns a function that ends that connection.
   * @throws what `call` throws; `DriverFailedError` when the driver opened no connection
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

  /**
   * Under the watchdog, as every call. @throws what `call` throws; after a lost answer the outcome is not known
   */
  commit(): Promise<void> {
    return this.call("commit", (c) => c.commit());
  }

  /** Takes back what was dequeued: it counts towards max_retries. */
  rollback(): Promise<void> {
    return this.call("rollback", (c) => c.rollback());
  }

  /** One round trip, so that the session is not taken for idle. */
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
