/** The way of a message without APEX: emulator, worker and relay as `rtm serve` composes them. */
import { createHash, randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import oracledb from "oracledb";
import { rtmConfig } from "../../cli/config.ts";
import { type Service, startService } from "../../cli/service/service.ts";
import { parseConfig } from "../../common/config.ts";
import { createLogger } from "../../common/logger.ts";
import { type Emulator, PlSqlDequeue, RtmSchema, startEmulator } from "../../emulator/index.ts";
import { readBootId } from "../../relay/channels/state-file.ts";
import { until } from "../support/until.ts";

const PASSWORD = "emulator-password";
export const SECRET = "0123456789abcdef0123456789abcdef";
/** A JMS text queue as in the dashboard article, read into a public channel. */
export const ARTICLE = { queue: "RTM.SALES_FEED", channel: "dashboard", eventName: "row" } as const;

export interface Sent {
  readonly channel: string;
  readonly eventName: string;
  readonly payload: unknown;
  /** `p_retain_s`. */
  readonly retain?: number;
}

/** How long a member who has gone is still seen, ms. */
export const GRACE_MS = 2_000;
/** So long the relay of a new stack has served already, ms. */
const SERVED_MS = 600_000;

/**
 * The history of a relay that has served for a while and was stopped gracefully. Without it the first
 * pages of each file would be told a gap, because a relay that has just started cannot prove what was
 * before their navigation; what is counted then depends on how fast the machine is.
 */
async function leaveHistory(directory: string): Promise<void> {
  const now = Number(process.hrtime.bigint()) / 1e6;
  const head = {
    kind: "head",
    epoch: randomUUID(),
    bootId: readBootId() ?? null,
    savedAt: now,
    forgottenSeq: 0,
    forgottenAt: now - SERVED_MS,
    provableSince: now - SERVED_MS,
  };
  const text = `{"format":"apex-rtm relay history","version":1}\n${JSON.stringify(head)}\n`;
  const digest = createHash("sha256").update(text).digest("hex");
  await writeFile(join(directory, "relay-history.state"), text + digest);
}

export class Stack {
  readonly emulator: Emulator;
  readonly schema: RtmSchema;
  readonly origins: string[] = [];
  readonly #connection: oracledb.Connection;
  readonly #stateDirectory: string;
  #service: Service | undefined;
  #port = 0;

  private constructor(
    emulator: Emulator,
    schema: RtmSchema,
    connection: oracledb.Connection,
    stateDirectory: string,
  ) {
    this.emulator = emulator;
    this.schema = schema;
    this.#connection = connection;
    this.#stateDirectory = stateDirectory;
  }

  /** `origins` are those of the pages. */
  static async start(origins: readonly string[]): Promise<Stack> {
    const emulator = await startEmulator({ users: { RTM: PASSWORD } });
    const schema = new RtmSchema(emulator);
    new PlSqlDequeue(emulator).createJmsQueue(ARTICLE.queue);
    emulator.onStatement(/insert into sales_rows/i, ({ session, binds }) => {
      session.enqueue(ARTICLE.queue, String(binds.DATA));
      return {};
    });
    emulator.onStatement(/page_test\.burst/i, ({ session, binds }) => {
      for (let n = 0; n < Number(binds.ROWS); n++) {
        schema.broadcast(session, String(binds.CHANNEL), "row", String(n));
      }
      return {};
    });
    const { connectString } = emulator;
    const connection = await oracledb.getConnection({
      user: "RTM",
      password: PASSWORD,
      connectString,
    });
    const directory = await mkdtemp(join(tmpdir(), "rtm-page-"));
    await leaveHistory(directory);
    const stack = new Stack(emulator, schema, connection, directory);
    stack.origins.push(...origins);
    await stack.startService();
    return stack;
  }

  /** Port of the relay, the same after a restart. */
  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.#port}/ws`;
  }

  get service(): Service {
    if (!this.#service) throw new Error("the service is stopped");
    return this.#service;
  }

  async startService(): Promise<void> {
    const config = parseConfig(rtmConfig, {
      database: { connectString: this.emulator.connectString, user: "RTM", password: PASSWORD },
      worker: {
        queues: [
          { name: "RTM_QUEUE", wait: "1s" },
          {
            name: ARTICLE.queue,
            channel: ARTICLE.channel,
            eventName: ARTICLE.eventName,
            wait: "1s",
          },
        ],
      },
      service: { admin: { port: 0 }, stateDirectory: this.#stateDirectory },
      relay: {
        port: this.#port,
        origins: this.origins,
        publicChannels: ["public*", ARTICLE.channel],
        tokens: { secrets: [{ kid: "k1", secret: SECRET }], clockTolerance: "0s" },
        presence: {
          rules: ["room:*", "row:*", "grid:*"].map((channels) => ({ channels })),
          grace: `${GRACE_MS}ms`,
        },
        clientEvents: { channels: ["room:*"] },
        drain: { window: "0s" },
      },
    });
    this.#service = await startService({
      config,
      roles: { worker: true, relay: true },
      log: createLogger((process.env.RTM_TEST_LOG as "silent") ?? "silent"),
    });
    this.#port = this.#service.relay?.port ?? 0;
    const { relay } = this.#service;
    await until("the relay serves", () => relay?.readiness().length === 0);
  }

  /** SIGTERM: what is in hand is settled, the history is kept. */
  async stopService(): Promise<void> {
    const { service } = this;
    this.#service = undefined;
    await service.stop();
  }

  /** The relay dies: no close codes, no history. The next one tells pages of a gap for a while. */
  async crashService(): Promise<void> {
    const { service } = this;
    this.#service = undefined;
    await service.relay?.close();
    await service.worker?.stop();
    await rm(this.#stateDirectory, { recursive: true, force: true });
  }

  /** One transaction of one statement. */
  async run(statement: string, binds: Record<string, string | number> = {}): Promise<void> {
    await this.#connection.execute(statement, binds);
    await this.#connection.commit();
  }

  /** One transaction: the calls, and then the commit or the rollback. */
  async transaction(messages: readonly Sent[], commit = true): Promise<void> {
    for (const { channel, eventName, payload, retain } of messages) {
      await this.#connection.execute(
        "begin websocket_api.broadcast_item(:api_key, :base_url, :channel, :event_name, :payload, :on_error, :source, :retain); end;",
        {
          api_key: null,
          base_url: null,
          channel,
          event_name: eventName,
          payload: { type: oracledb.DB_TYPE_CLOB, val: JSON.stringify(payload) },
          on_error: null,
          source: "APEX",
          retain: retain ?? null,
        },
      );
    }
    if (commit) await this.#connection.commit();
    else await this.#connection.rollback();
  }

  async send(channel: string, eventName: string, payload: unknown): Promise<void> {
    await this.transaction([{ channel, eventName, payload }]);
  }

  /** One transaction of a statement whose row trigger broadcasts 0, 1, 2, … */
  async burst(channel: string, rows: number): Promise<void> {
    const binds = { channel, rows };
    await this.#connection.execute("begin page_test.burst(:channel, :rows); end;", binds);
    await this.#connection.commit();
  }

  /** One transaction with one row; the article's row trigger enqueues it as JMS text. */
  async insertSale(row: unknown, end: "commit" | "rollback" = "commit"): Promise<void> {
    const binds = { data: JSON.stringify(row) };
    await this.#connection.execute("begin insert into sales_rows values (:data); end;", binds);
    await this.#connection[end]();
  }

  async close(): Promise<void> {
    if (this.#service) await this.stopService();
    await this.#connection.close();
    await this.emulator.close();
    await rm(this.#stateDirectory, { recursive: true, force: true });
  }
}
