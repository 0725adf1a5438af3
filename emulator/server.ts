/** The emulator itself: listener, sessions, and what tests and the demo call. */
import { createServer, type Server } from "node:net";
import { AqEngine } from "./aq/engine.ts";
import { Notifications } from "./aq/notifications.ts";
import { type Clock, systemClock } from "./clock.ts";
import { Faults, type Refusal, type SessionRef } from "./fault-switches.ts";
import { FaultRules } from "./faults.ts";
import { UserLocks } from "./locks.ts";
import { PROFILES, type ProfileName } from "./net/profiles.ts";
import { type Host, NetConnection } from "./net-connection.ts";
import { type CreateQueue, type QueueAdmin, queueAdmin } from "./queue-admin.ts";
import { Session } from "./session.ts";
import { type StatementHandler, type StatementMatcher, Statements } from "./sql/statements.ts";
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

/** A running emulator. Listens on 127.0.0.1 only. */
export class Emulator implements AsyncDisposable {
  readonly profile: ProfileName;
  readonly serviceName: string;
  readonly faults: Faults;
  readonly #engine: AqEngine;
  readonly #locks = new UserLocks();
  readonly #notifications = new Notifications();
  readonly #statements = new Statements();
  readonly #connections = new Set<NetConnection>();
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
      available: (queue) => this.#notifications.available(queue),
    });
    const rules = new FaultRules();
    this.faults = new Faults(
      {
        connectionOf: (session) => this.#connectionOf(session),
        freezeAll: (frozen) => this.#freezeAll(frozen),
        delayAll: (ms) => this.#delayAll(ms),
        refuse: (how) => this.#refuse(how),
      },
      rules,
    );
    this.#host = {
      profile: PROFILES[this.profile],
      serviceName: this.serviceName,
      users: new Map(
        Object.entries(options.users).map(([user, password]) => [user.toUpperCase(), password]),
      ),
      engine: this.#engine,
      statements: this.#statements,
      faults: rules,
      notifications: this.#notifications,
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
      ...(options.subscribers && { subscribers: options.subscribers }),
    });
    return this.queue(name);
  }

  /** @param name OWNER.NAME. @throws OraError 24010 */
  queue(name: string): QueueAdmin {
    return queueAdmin(this.#engine, upper(name), () => this.#changed());
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

  #connectionOf(session: SessionRef): NetConnection {
    const id = typeof session === "number" ? session : session.id;
    for (const connection of this.#connections) {
      if (connection.session?.id === id) return connection;
    }
    throw new Error(`no session ${id} is logged on`);
  }

  #freezeAll(frozen: boolean): void {
    this.#frozen = frozen;
    for (const { network } of [...this.#connections]) {
      if (frozen) network.freeze();
      else network.thaw();
    }
  }

  #delayAll(ms: number): void {
    this.#delayMs = ms;
    for (const { network } of this.#connections) network.delayMs = ms;
  }

  async #refuse(how: Refusal | undefined): Promise<void> {
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
        const connection = new NetConnection(socket, this.#host);
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
