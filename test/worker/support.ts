/** Emulator, schema, a publisher under control, and a worker on them. */
import oracledb from "oracledb";
import { Registry } from "prom-client";
import { parseConfig } from "../../common/config.ts";
import { createLogger } from "../../common/logger.ts";
import {
  type Emulator,
  type EmulatorOptions,
  RtmSchema,
  type RtmSchemaOptions,
  startEmulator,
} from "../../emulator/index.ts";
import type { Message } from "../../relay/message.ts";
import type { Publisher, PublishResult } from "../../relay/publisher.ts";
import { databaseConfig, workerConfig } from "../../worker/config.ts";
import { startWorker, type Worker, type WorkerOptions } from "../../worker/worker.ts";

export const PASSWORD = "emulator-password";
export const log = createLogger("silent");

/** Fails with the description when `condition` is not met in time. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  deadlineMs = 15_000,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`timed out waiting until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Keeps what it accepts; a test decides the answers. */
export class RecordingPublisher implements Publisher {
  readonly accepted: Message[] = [];
  batches = 0;
  answer: (message: Message) => PublishResult = () => ({ status: "accepted", recipients: 1 });

  async publish(batch: readonly Message[]): Promise<readonly PublishResult[]> {
    this.batches++;
    return batch.map((message) => {
      const result = this.answer(message);
      if (result.status === "accepted") this.accepted.push(message);
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
  readonly #workers: Worker[] = [];
  readonly #connections: oracledb.Connection[] = [];

  private constructor(emulator: Emulator, schema: RtmSchema, stateDirectory: string) {
    this.emulator = emulator;
    this.schema = schema;
    this.stateDirectory = stateDirectory;
  }

  static async start(
    emulatorOptions: Partial<EmulatorOptions> = {},
    schemaOptions: RtmSchemaOptions = {},
    stateDirectory = "/nonexistent",
  ): Promise<World> {
    const emulator = await startEmulator({ users: { RTM: PASSWORD }, ...emulatorOptions });
    return new World(emulator, new RtmSchema(emulator, schemaOptions), stateDirectory);
  }

  get database(): object {
    return { connectString: this.emulator.connectString, user: "RTM", password: PASSWORD };
  }

  startWorker(
    raw: object = {},
    options: Partial<WorkerOptions> = {},
    database: object = {},
  ): Worker {
    const worker = startWorker({
      database: parseConfig(databaseConfig, { ...this.database, ...database }),
      worker: parseConfig(workerConfig, raw),
      publisher: this.publisher,
      log,
      registry: new Registry(),
      stateDirectory: this.stateDirectory,
      version: "test",
      timing: {
        holdBounds: { baseMs: 1, capMs: 20 },
        sessionBounds: () => ({ baseMs: 1, capMs: 20 }),
      },
      ...options,
    });
    this.#workers.push(worker);
    return worker;
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
    await Promise.all(this.#workers.map((worker) => worker.stop()));
    await Promise.allSettled(this.#connections.map((connection) => connection.close()));
    await this.emulator.close();
  }
}
