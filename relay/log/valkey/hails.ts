/**
 * Text that one node calls out to all others now and nobody keeps: by the engine's PUB/SUB, past the log,
 * where it would push messages out. Who is not connected at that moment does not hear it.
 */
import { randomBytes } from "node:crypto";
import { type Bounds, retryForever } from "../../../common/backoff.ts";
import { messageOf } from "../../../common/errors.ts";
import { type Logger, RateLimitedLog } from "../../../common/logger.ts";
import { databaseOf, type EngineAddress, EngineConnection } from "./connection.ts";
import { EngineDeniedError, EngineUnreachableError } from "./errors.ts";
import { RECONNECT } from "./follower.ts";

/** Waits while the engine's user lacks a right: somebody has to change something. */
const DENIED: Bounds = { baseMs: 200, capMs: 30_000 };
const NODE_BYTES = 8;
/** How often a node calls out to itself, to know that the line is whole, ms. */
const BEAT_MS = 10_000;
/** Calls that may wait for the engine; what comes beyond is dropped. */
const MAX_UNDER_WAY = 1000;

/**
 * Where the nodes of a group meet. PUB/SUB knows no databases, so the name says which one: a group with the
 * same prefix in another database must not be heard.
 */
export function hailsChannel(prefix: string, url: string): string {
  return `{${prefix}}:hails:${databaseOf(url)}`;
}

export interface HailsOptions {
  readonly address: EngineAddress;
  /** As of the log's keys. */
  readonly prefix: string;
  readonly log: Logger;
  /** What another node called out. */
  readonly onText: (text: string) => void;
  /** How often it is tried whether anything can be heard, ms. Default 10000. */
  readonly beatMs?: number;
}

export class Hails {
  /** Texts by what became of them. `dropped`: the engine was not reached, or too slow. */
  readonly counts = { sent: 0, dropped: 0, heard: 0 };
  readonly #options: HailsOptions;
  readonly #node = randomBytes(NODE_BYTES).toString("hex");
  readonly #stopping = new AbortController();
  readonly #warnings: RateLimitedLog;
  #run: Promise<unknown> | undefined;
  #out: { readonly connection: EngineConnection; readonly channel: string } | undefined;
  #underWay = 0;

  constructor(options: HailsOptions) {
    this.#options = options;
    this.#warnings = new RateLimitedLog(options.log);
  }

  /** Whether it is heard, and hears. */
  get connected(): boolean {
    return this.#out !== undefined;
  }

  start(): void {
    const { signal } = this.#stopping;
    let progress = false;
    const attempt = () => {
      progress = false;
      return this.#live(signal, () => {
        progress = true;
      });
    };
    this.#run = retryForever(attempt, {
      bounds: (error) => (error instanceof EngineDeniedError ? DENIED : RECONNECT),
      signal,
      madeProgress: () => progress,
      onRetry: ({ error }) =>
        this.#warnings.warn(
          "hails",
          { reason: messageOf(error) },
          "events of clients do not reach other nodes (docs/cluster.md, rights of the engine's user)",
        ),
    }).catch(() => {});
  }

  async #live(signal: AbortSignal, onProgress: () => void): Promise<never> {
    const { address, onText, prefix, beatMs = BEAT_MS } = this.#options;
    const channel = hailsChannel(prefix, address.url());
    const connections: EngineConnection[] = [];
    let heardSelf = true;
    let beats: NodeJS.Timeout | undefined;
    try {
      const hear = await EngineConnection.open(address, signal);
      connections.push(hear);
      const out = await EngineConnection.open(address, signal);
      connections.push(out);
      await hear.subscribe(channel, (text) => {
        const blank = text.indexOf(" ");
        if (text.slice(0, blank) === this.#node) {
          heardSelf = true;
          return;
        }
        if (blank + 1 === text.length) return;
        this.counts.heard++;
        onText(text.slice(blank + 1));
      });
      this.#out = { connection: out, channel };
      onProgress();
      // A line that swallows everything does not end by itself.
      beats = setInterval(() => {
        if (!heardSelf) hear.destroy(new EngineUnreachableError("nothing is heard of the engine"));
        heardSelf = false;
        out.call("PUBLISH", [channel, `${this.#node} `]).catch(() => {});
      }, beatMs).unref();
      throw await Promise.race([hear.untilEnd(signal), out.untilEnd(signal)]);
    } finally {
      this.#out = undefined;
      clearInterval(beats);
      const reason = new EngineUnreachableError("the connection was given up");
      for (const connection of connections) connection.destroy(reason);
    }
  }

  /** Calls the text out; it is dropped where that is not possible now. */
  call(text: string): void {
    if (!this.#out || this.#underWay >= MAX_UNDER_WAY) {
      this.counts.dropped++;
      return;
    }
    this.#underWay++;
    const { connection, channel } = this.#out;
    connection
      .call("PUBLISH", [channel, `${this.#node} ${text}`])
      .then(
        () => this.counts.sent++,
        (error: unknown) => {
          this.counts.dropped++;
          this.#warnings.warn("hail", { reason: messageOf(error) }, "no hail");
        },
      )
      .finally(() => this.#underWay--);
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error("the relay stops"));
    await this.#run;
  }
}
