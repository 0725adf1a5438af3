import { createServer, type Server } from "node:net";
import { AqEngine } from "./aq-engine.ts";
import type { MessageProperties, PayloadKind } from "./aq-message.ts";
import type { MessageView } from "./aq-options.ts";
import type { Queue } from "./aq-queue.ts";
import { type Clock, systemClock } from "./clock.ts";
import { Connection, type Host } from "./connection.ts";
import { type Fault, type FaultRule, FaultRules } from "./faults.ts";
import { UserLocks } from "./locks.ts";
import { PROFILES, type ProfileName } from "./profiles.ts";
import { encodePayload, type Payload, received, Session } from "./session.ts";
import { type StatementHandler, type StatementMatcher, Statements } from "./statements.ts";
import type { SessionView } from "./views.ts";

export interface EmulatorOptions {
  /** Framing on the wire. Default "23ai". */
  profile?: ProfileName;
  /** User names (any case) and passwords. */
  users: Record<string, string>;
  /** At least two characters: the driver takes no shorter one. Default "FREEPDB1". */
  serviceName?: string;
  /** Default 0: chosen by the system. */
  port?: number;
  /** Whether a session that is lost with a dequeue open raises the attempts. Default false. */
  lostSessionCountsAttempt?: boolean;
  /** For the queues' time; sockets and lock timeouts keep real time. */
  clock?: Clock;
}

export interface CreateQueue {
  /** OWNER.NAME or "NAME" with `owner`; unquoted names are upper case. */
  name: string;
  /** Queue table; it names the exception queue `AQ$_<table>_E`. Default: the queue's name and _T. */
  table?: string;
  /** Default "RAW". */
  payload?: PayloadKind;
  /** Default 5, as Oracle's for a user queue. */
  maxRetries?: number;
  /** Seconds. Default 0. */
  retryDelay?: number;
}

/** A queue as tests and administrators see it: outside any session, committed at once. */
export interface QueueAdmin {
  readonly name: string;
  readonly payload: PayloadKind;
  /** Full name of the exception queue. */
  readonly exceptionQueue: string;
  /** Dequeues that wait here now. */
  readonly waiters: number;
  /** Messages that are committed and not finally gone: ready, waiting or locked. */
  depth(): number;
  messages(): (Omit<MessageView, "payload"> & { payload: Payload })[];
  enqueue(payload: Payload, properties?: MessageProperties): Buffer;
  /** DBMS_AQADM.START_QUEUE. An exception queue has to be started before it can be dequeued. */
  start(what?: { enqueue?: boolean; dequeue?: boolean }): void;
  /** DBMS_AQADM.STOP_QUEUE. */
  stop(what?: { enqueue?: boolean; dequeue?: boolean }): void;
}

/**
 * - `port-closed`: nothing listens (NJS-503).
 * - `drop`: the connection is accepted and closed (NJS-500).
 * - a number: the listener refuses with this ORA- error, e.g. 12514 (NJS-518) or 12516 (NJS-511).
 */
export type Refusal = "port-closed" | "drop" | number;

/** A session by its id or its view. */
export type SessionRef = number | { readonly id: number };

export class Faults {
  readonly #emulator: Emulator;
  readonly #rules: FaultRules;

  constructor(emulator: Emulator, rules: FaultRules) {
    this.#emulator = emulator;
    this.#rules = rules;
  }

  /** Arms a rule: see `FaultRule`. */
  inject(rule: FaultRule): Fault {
    return this.#rules.add(rule);
  }

  /** The server process of a session dies now. */
  kill(session: SessionRef): void {
    this.#emulator.connectionOf(session).kill();
  }

  /** ALTER SYSTEM KILL SESSION now: rolled back; the client's present or next call gets ORA-00028. */
  terminate(session: SessionRef): void {
    this.#emulator.connectionOf(session).terminate();
  }

  /** Freezes one session, or all of them and every connection to come. */
  freeze(session?: SessionRef): void {
    if (session !== undefined) this.#emulator.connectionOf(session).network.freeze();
    else this.#emulator.freezeAll(true);
  }

  thaw(session?: SessionRef): void {
    if (session !== undefined) this.#emulator.connectionOf(session).network.thaw();
    else this.#emulator.freezeAll(false);
  }

  /** Holds back the answers of one session, or of all present and future ones, by `ms`. */
  delayAnswers(ms: number, session?: SessionRef): void {
    if (session !== undefined) this.#emulator.connectionOf(session).network.delayMs = ms;
    else this.#emulator.delayAll(ms);
  }

  /** New connections fail from now on; those that are open go on. */
  refuseConnections(how: Refusal = "port-closed"): Promise<void> {
    return this.#emulator.refuse(how);
  }

  acceptConnections(): Promise<void> {
    return this.#emulator.refuse(undefined);
  }

  /** Disarms all rules, thaws, ends delays and refusals. */
  async clear(): Promise<void> {
    this.#rules.clear();
    this.delayAnswers(0);
    this.thaw();
    await this.acceptConnections();
  }
}

/** A running emulator. Listens on 127.0.0.1 only. */
export class Emulator implements AsyncDisposable {
  readonly profile: ProfileName;
  readonly serviceName: string;
  readonly faults: Faults;
  readonly #engine: AqEngine;
  readonly #locks = new UserLocks();
  readonly #statements = new Statements();
  readonly #connections = new Set<Connection>();
  readonly #watchers = new Set<() => void>();
  readonly #host: Host;
  #server: Server | undefined;
  #port = 0;
  #refusal: Refusal | undefined;
  #frozen = false;
  #delayMs = 0;
  #roundTrips = 0;
  #lastSessionId = 0;

  private constructor(options: EmulatorOptions) {
    this.profile = options.profile ?? "23ai";
    this.serviceName = options.serviceName ?? "FREEPDB1";
    if (this.serviceName.length < 2) {
      throw new TypeError("startEmulator: serviceName must have at least two characters");
    }
    this.#engine = new AqEngine({
      clock: options.clock ?? systemClock,
      lostSessionCountsAttempt: options.lostSessionCountsAttempt ?? false,
      changed: () => this.#changed(),
    });
    const rules = new FaultRules();
    this.faults = new Faults(this, rules);
    this.#host = {
      profile: PROFILES[this.profile],
      serviceName: this.serviceName,
      users: new Map(
        Object.entries(options.users).map(([user, password]) => [user.toUpperCase(), password]),
      ),
      engine: this.#engine,
      statements: this.#statements,
      faults: rules,
      openSession: (identity) =>
        new Session(++this.#lastSessionId, identity, this.#engine, this.#locks),
      changed: () => this.#changed(),
      countRoundTrip: () => {
        this.#roundTrips += 1;
      },
      removed: (connection) => void this.#connections.delete(connection),
    };
  }

  static async start(options: EmulatorOptions): Promise<Emulator> {
    const emulator = new Emulator(options);
    emulator.#port = options.port ?? 0;
    await emulator.#listen();
    return emulator;
  }

  get port(): number {
    return this.#port;
  }

  /** For `oracledb.getConnection`. */
  get connectString(): string {
    return `127.0.0.1:${this.#port}/${this.serviceName}`;
  }

  /** Requests of all sessions so far, ended ones and logons included. */
  get roundTrips(): number {
    return this.#roundTrips;
  }

  /** Creates a started queue, and the exception queue of its table. */
  createQueue(options: CreateQueue): QueueAdmin {
    const name = upper(options.name);
    this.#engine.createQueue({
      name,
      table: upper(options.table ?? `${name.split(".").pop()}_T`).replace(/^.*\./, ""),
      payload: options.payload ?? "RAW",
      ...(options.maxRetries !== undefined && { maxRetries: options.maxRetries }),
      ...(options.retryDelay !== undefined && { retryDelay: options.retryDelay }),
    });
    return this.queue(name);
  }

  /** @param name OWNER.NAME. @throws OraError 24010 */
  queue(name: string): QueueAdmin {
    const engine = this.#engine;
    const queue: Queue = engine.queue(upper(name));
    const messages = () =>
      engine.messages(queue).map((message) => ({
        ...message,
        payload: received(message).payload,
      }));
    return {
      name: queue.name,
      payload: queue.payload,
      exceptionQueue: queue.exceptionQueue,
      get waiters() {
        return queue.waiters.size;
      },
      depth: () => engine.depth(queue),
      messages,
      enqueue: (payload, properties = {}) => {
        const message = { payload: encodePayload(queue, payload), kind: queue.payload, properties };
        const [id] = engine.enqueueImmediately(queue.name, [message]);
        this.#changed();
        return id!;
      },
      start: (what) => engine.start(queue, what),
      stop: (what) => engine.stop(queue, what),
    };
  }

  /** Registers who answers a statement; later handlers come first. Returns its removal. */
  onStatement(matcher: StatementMatcher, handler: StatementHandler): () => void {
    return this.#statements.add(matcher, handler);
  }

  /** The sessions that are logged on. */
  sessions(): SessionView[] {
    return [...this.#connections]
      .filter((connection) => connection.session && !connection.session.ended)
      .map((connection) => connection.view());
  }

  /** Sockets that are open, logged on or not. */
  get connections(): number {
    return this.#connections.size;
  }

  /**
   * Resolves with the first truthy result of `probe`, which is tried now and at every call, answer,
   * commit and disconnect. @throws Error after `timeoutMs`
   */
  waitFor<T>(probe: () => T, timeoutMs = 10_000): Promise<NonNullable<T>> {
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        this.#watchers.delete(watcher);
      };
      const watcher = () => {
        try {
          const result = probe();
          if (!result) return;
          end();
          resolve(result);
        } catch (error) {
          end();
          reject(error);
        }
      };
      const timer = setTimeout(() => {
        end();
        reject(
          new Error(
            `the emulator did not reach the awaited state within ${timeoutMs} ms: ${probe}`,
          ),
        );
      }, timeoutMs);
      this.#watchers.add(watcher);
      watcher();
    });
  }

  #changed(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }

  /** @internal */
  connectionOf(session: SessionRef): Connection {
    const id = typeof session === "number" ? session : session.id;
    for (const connection of this.#connections) {
      if (connection.session?.id === id) return connection;
    }
    throw new Error(`no session ${id} is logged on`);
  }

  /** @internal */
  freezeAll(frozen: boolean): void {
    this.#frozen = frozen;
    for (const { network } of [...this.#connections]) {
      if (frozen) network.freeze();
      else network.thaw();
    }
  }

  /** @internal */
  delayAll(ms: number): void {
    this.#delayMs = ms;
    for (const { network } of this.#connections) network.delayMs = ms;
  }

  /** @internal */
  async refuse(how: Refusal | undefined): Promise<void> {
    this.#refusal = how;
    if (how === "port-closed") {
      // Stops listening at once; close() would wait for the open connections.
      this.#server?.close();
      this.#server = undefined;
    } else if (!this.#server) {
      await this.#listen();
    }
  }

  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        if (this.#refusal === "drop") {
          socket.on("error", () => {});
          socket.destroy();
          return;
        }
        const connection = new Connection(socket, this.#host);
        if (typeof this.#refusal === "number") connection.refusal = this.#refusal;
        connection.network.delayMs = this.#delayMs;
        if (this.#frozen) connection.network.freeze();
        this.#connections.add(connection);
      });
      server.once("error", reject);
      server.listen(this.#port, "127.0.0.1", () => {
        const address = server.address();
        if (address && typeof address === "object") this.#port = address.port;
        this.#server = server;
        resolve();
      });
    });
  }

  /** Ends all sessions as lost and closes all sockets. Nothing keeps the process alive afterwards. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    const closed = server && new Promise<void>((resolve) => server.close(() => resolve()));
    for (const connection of [...this.#connections]) connection.kill();
    this.#engine.close();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Starts an emulator and waits until it listens. */
export function startEmulator(options: EmulatorOptions): Promise<Emulator> {
  return Emulator.start(options);
}

function upper(name: string): string {
  return name.includes('"') ? name.replaceAll('"', "") : name.toUpperCase();
}
