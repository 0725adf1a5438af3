/** Emulator, schema, a publisher under control, and a worker on them. */
import oracledb from "oracledb";
import { Registry } from "prom-client";
import { expect } from "vitest";
import { parseConfig } from "../../common/config.ts";
import { createLogger } from "../../common/logger.ts";
import {
  type Emulator,
  type EmulatorOptions,
  type QueueAdmin,
  RtmSchema,
  type RtmSchemaOptions,
  type SessionView,
  startEmulator,
} from "../../emulator/index.ts";
import type { ControlItem, ControlResult } from "../../relay/contract/control.ts";
import type { Message } from "../../relay/contract/message.ts";
import type { Publisher, PublishResult, Source } from "../../relay/contract/publisher.ts";
import { type DatabaseConfig, databaseConfig, workerConfig } from "../../worker/config.ts";
import { startWorker, type Worker, type WorkerOptions } from "../../worker/worker.ts";
import { until } from "../support/until.ts";

export const PASSWORD = "emulator-password";
export const log = createLogger("silent");

/** Keeps what it accepts; a test decides the answers. */
export class RecordingPublisher implements Publisher {
  readonly accepted: Message[] = [];
  batches = 0;
  answer: (message: Message) => PublishResult = () => ({ status: "accepted", recipients: 1 });

  /** Of each batch. */
  readonly sources: (Source | undefined)[] = [];

  async publish(batch: readonly Message[], source?: Source): Promise<readonly PublishResult[]> {
    this.batches++;
    this.sources.push(source);
    return batch.map((message) => {
      const result = this.answer(message);
      if (result.status === "accepted") this.accepted.push(message);
      return result;
    });
  }

  /** What was told beside messages, and what it is answered. */
  readonly controlled: ControlItem[] = [];
  answerControl: (item: ControlItem) => ControlResult = () => ({ status: "accepted" });

  async control(items: readonly ControlItem[]): Promise<readonly ControlResult[]> {
    return items.map((item) => {
      const result = this.answerControl(item);
      if (result.status === "accepted") this.controlled.push(item);
      return result;
    });
  }

  get payloads(): unknown[] {
    return this.accepted.map(({ payload }) => JSON.parse(payload));
  }
}

export const UNAVAILABLE: PublishResult = {
  status: "unavailable",
  code: "unavailable",
  message: "down for a test",
};

/** One Oracle stand-in with our objects, closed with everything that was opened through it. */
export class World implements AsyncDisposable {
  readonly emulator: Emulator;
  readonly schema: RtmSchema;
  readonly publisher = new RecordingPublisher();
  readonly stateDirectory: string;
  readonly #workers = new Map<Worker, Registry>();
  readonly #connections: oracledb.Connection[] = [];
  #publishing: Promise<oracledb.Connection> | undefined;

  private constructor(emulator: Emulator, schema: RtmSchema, stateDirectory: string) {
    this.emulator = emulator;
    this.schema = schema;
    this.stateDirectory = stateDirectory;
  }

  static async start(
    emulatorOptions: Partial<EmulatorOptions> = {},
    schemaOptions: RtmSchemaOptions = {},
    stateDirectory = "/dev/null/nonexistent",
  ): Promise<World> {
    const emulator = await startEmulator({ users: { RTM: PASSWORD }, ...emulatorOptions });
    return new World(emulator, new RtmSchema(emulator, schemaOptions), stateDirectory);
  }

  get database(): object {
    return { connectString: this.emulator.connectString, user: "RTM", password: PASSWORD };
  }

  /** @param exact values below what the configuration allows, to keep a test short. */
  startWorker(
    raw: object = {},
    options: Partial<WorkerOptions> = {},
    database: object = {},
    exact: Partial<DatabaseConfig> = {},
  ): Worker {
    const registry = new Registry();
    const worker = startWorker({
      database: { ...parseConfig(databaseConfig, { ...this.database, ...database }), ...exact },
      worker: parseConfig(workerConfig, raw),
      publisher: this.publisher,
      log,
      registry,
      stateDirectory: this.stateDirectory,
      version: "test",
      timing: {
        holdBounds: { baseMs: 1, capMs: 20 },
        sessionBounds: () => ({ baseMs: 1, capMs: 20 }),
      },
      ...options,
    });
    this.#workers.set(worker, registry);
    return worker;
  }

  /** Sum of a metric of a worker over all its labels, or over those that are given. */
  async metric(worker: Worker, name: string, labels: Record<string, string> = {}) {
    const metric = this.#workers.get(worker)!.getSingleMetric(name);
    if (!metric) throw new Error(`there is no metric ${name}`);
    const { values } = await metric.get();
    return values
      .filter((each) =>
        Object.entries(labels).every(
          ([label, value]) => (each.labels as Record<string, unknown>)[label] === value,
        ),
      )
      .reduce((sum, { value }) => sum + value, 0);
  }

  /** Observations of the call-to-dequeue latency, s. */
  async latencies(worker: Worker): Promise<{ count: number; sum: number }> {
    const metric = this.#workers
      .get(worker)!
      .getSingleMetric("rtm_worker_call_to_dequeue_seconds")!;
    const values = (await metric.get()).values as { metricName?: string; value: number }[];
    const named = (suffix: string) =>
      values.find(({ metricName }) => metricName?.endsWith(suffix))?.value ?? 0;
    return { count: named("_count"), sum: named("_sum") };
  }

  /** Waits until the watchdog has given up so many sessions of the worker's queues. */
  async abandoned(worker: Worker, sessions = 1): Promise<void> {
    await until(
      `the watchdog has abandoned ${sessions} sessions`,
      async () => (await this.metric(worker, "rtm_worker_abandoned_sessions_total")) >= sessions,
    );
  }

  async connect(): Promise<oracledb.Connection> {
    const connection = await oracledb.getConnection({
      connectString: this.emulator.connectString,
      user: "RTM",
      password: PASSWORD,
    });
    this.#connections.push(connection);
    return connection;
  }

  get queue(): QueueAdmin {
    return this.emulator.queue(this.schema.queueName);
  }

  /** Connect string through a proxy. */
  through(proxy: { port: number }): string {
    return `127.0.0.1:${proxy.port}/${this.emulator.serviceName}`;
  }

  /** Enqueues and commits messages with the payloads {"n": from} to {"n": to}. */
  async publish(from: number, to = from, channel = "sales"): Promise<void> {
    this.#publishing ??= this.connect();
    const connection = await this.#publishing;
    for (let n = from; n <= to; n++) await this.broadcast(connection, { n }, channel);
    await connection.commit();
  }

  /** Waits until every one of these has been accepted at least once and the queue is empty. */
  async delivered(from: number, to: number): Promise<void> {
    await until(
      `messages ${from} to ${to} are delivered, not only ${[...this.numbers()]}`,
      () => this.queue.depth() === 0 && this.numbers().size >= to - from + 1,
    );
    expect([...this.numbers()].sort((a, b) => a - b)).toEqual(
      Array.from({ length: to - from + 1 }, (_, index) => from + index),
    );
  }

  /** Which numbered messages were accepted. */
  numbers(): Set<number> {
    return new Set(this.publisher.payloads.map((payload) => (payload as { n: number }).n));
  }

  /** The worker's session that dequeues; waits until there is one that waits for messages. */
  waitingSession(): Promise<SessionView> {
    return this.emulator.waitFor(() =>
      this.emulator
        .sessions()
        .find(({ action, state }) => action.startsWith("dequeue") && state === "waiting"),
    );
  }

  /** Calls WEBSOCKET_API.BROADCAST_ITEM in the connection's transaction. */
  async broadcast(
    connection: oracledb.Connection,
    payload: unknown,
    channel = "sales",
    eventName = "order",
  ): Promise<void> {
    await connection.execute(
      "begin websocket_api.broadcast_item(:key, :url, :channel, :event, :payload); end;",
      { key: null, url: null, channel, event: eventName, payload: JSON.stringify(payload) },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.emulator.faults.clear();
    await Promise.all([...this.#workers.keys()].map((worker) => worker.stop()));
    await Promise.allSettled(this.#connections.map((connection) => connection.close()));
    await this.emulator.close();
  }
}
