/** The life of a relay: start, readiness, standby, reload, drain, end. Its parts are joined in compose.ts. */
import type { AddressInfo } from "node:net";
import type { Registry } from "prom-client";
import { ConfigError } from "../common/config.ts";
import type { Logger } from "../common/logger.ts";
import { loadKeys } from "./access/keys.ts";
import type { LocalPublisher } from "./channels/local-publisher.ts";
import { closeSpread } from "./clients/drain.ts";
import { type ComposeOptions, composeRelay, type Parts, type RelayOptions } from "./compose.ts";
import type { RelayConfig } from "./config/config.ts";
import type { PresenceFeed } from "./contract/presence-feed.ts";
import type { Publisher } from "./contract/publisher.ts";
import { inForce } from "./control/revocation-fact.ts";
import { closeServer, listen } from "./http/listen.ts";
import type { Inspection } from "./inspection.ts";
import type { LogReader } from "./log/log.ts";
import type { ReadinessReason } from "./node/serving.ts";
import { bestWire, type WireKind } from "./wire/wire-check.ts";

/** How often old messages and channels are dropped, ms. */
const SWEEP_MS = 5000;
/** How often a relay without authorization says so in the log, ms. */
const INSECURE_WARNING_MS = 60_000;

export type { RelayOptions };

export interface Relay {
  readonly publisher: Publisher;
  readonly host: string;
  readonly port: number;
  readonly registry: Registry;
  /** For whoever operates it. */
  readonly inspection: Inspection;
  /** Who is present, for the database; undefined where nobody is seen. */
  readonly presenceFeed: PresenceFeed | undefined;
  /** False while the shared log is not heard: then no worker of this node may lead a queue. */
  readonly hearsLog: boolean;
  /** Everything that keeps the service from being ready, and warnings. */
  readiness(): readonly ReadinessReason[];
  /**
   * Standby: clients are closed with 4005, publishing is `unavailable`. When it serves again after
   * it had stopped, or with `takeover`, another node may have served meanwhile: the epoch is new.
   * With a shared log every node serves while it hears the log, and this changes nothing.
   */
  setServing(serving: boolean, options?: { detail?: string; takeover?: boolean }): void;
  /**
   * Takes over keys and secrets; clients stay.
   * @throws {ConfigError} when a key cannot be read; the old ones then stay
   */
  reload(config: Pick<RelayConfig, "tokens" | "apiKeys">): void;
  /** Graceful stop: clients are closed over a window, the history is saved. */
  drain(): Promise<void>;
  /** Stops at once. After `drain` has saved the history, it stays saved. */
  close(): Promise<void>;
}

async function checkedWire(log: Logger): Promise<WireKind> {
  const { kind, problem } = await bestWire();
  if (problem !== undefined)
    log.warn({ wire: kind, problem }, "the fastest writes do not work here");
  return kind;
}

/**
 * Starts a relay; it serves at once, or once its shared log is heard.
 * @throws {ConfigError} a key cannot be read
 * @throws {RtmError} RTM_STATE_DIRECTORY, RTM_LISTEN, RTM_LOG_UNSUITABLE, RTM_LOG_DENIED
 */
export async function startRelay(config: RelayConfig, options: RelayOptions): Promise<Relay> {
  const log = options.log.child({ component: "relay" });
  const kind = options.wire ?? (config.wire === "auto" ? await checkedWire(log) : config.wire);
  const relay = new RunningRelay(config, { ...options, log, wire: kind });
  await relay.start();
  return relay;
}

class RunningRelay implements Relay {
  readonly publisher: LocalPublisher;
  readonly host: string;
  readonly registry: Registry;
  readonly inspection: Inspection;
  port = 0;
  readonly #config: RelayConfig;
  readonly #options: RelayOptions;
  readonly #log: Logger;
  readonly #parts: Parts;
  readonly #timers: NodeJS.Timeout[] = [];
  /** A standby node has served nothing yet, so what it restored is still the latest. */
  #servedBefore = false;
  #closed: Promise<void> | undefined;
  #drained: Promise<void> | undefined;

  constructor(config: RelayConfig, options: ComposeOptions) {
    this.#config = config;
    this.#options = options;
    this.#log = options.log;
    this.host = config.host;
    const isReady = () => !this.readiness().some(({ blocking }) => blocking);
    this.#parts = composeRelay(config, options, isReady);
    const { publisher, registry, inspection } = this.#parts;
    this.publisher = publisher;
    this.registry = registry;
    this.inspection = inspection;
  }

  async start(): Promise<void> {
    const { hails, http, hub, keptHistory, memory, messageLog } = this.#parts;
    const { host, port } = this.#config;
    this.#startTimers();
    hails?.start();
    try {
      await listen(http.server, host, port, "relay.port");
      this.#revokeAgain();
      await messageLog.follow(this.#reader());
      // Last, because it takes the file: a start that fails must leave it for the next one. Nothing
      // is accepted before the relay serves.
      keptHistory?.restore();
    } catch (error) {
      await this.#stop();
      throw error;
    }
    const { stateDirectory } = this.#options;
    if (stateDirectory !== undefined && !keptHistory) {
      const text = "revocations are kept there, not the history: it is in the shared log";
      this.#log.info({ stateDirectory }, text);
    }
    this.port = (http.server.address() as AddressInfo).port;
    if (memory && (this.#options.serving ?? true)) this.setServing(true);
    this.#log.info({ host, port: this.port, epoch: hub.epoch }, "relay listens");
  }

  /** Puts into force what is kept, before anything is accepted. */
  #revokeAgain(): void {
    const { memory, revocationFile, revoking } = this.#parts;
    const kept = revocationFile?.open() ?? [];
    for (const fact of inForce(kept, Date.now())) {
      if (memory) memory.tables.apply(fact);
      else revoking.apply(fact);
    }
    revoking.applied();
  }

  #startTimers(): void {
    const { hub, revoking } = this.#parts;
    const every = (ms: number, run: () => void) => this.#timers.push(setInterval(run, ms).unref());
    every(SWEEP_MS, () => hub.sweep());
    every(SWEEP_MS, () => revoking.tick());
    if (!this.#config.insecure) return;
    const warn = () =>
      this.#log.warn("insecure: true: every client may read and write every channel");
    warn();
    every(INSECURE_WARNING_MS, warn);
  }

  /** What the log feeds. */
  #reader(): LogReader {
    const { hub, notices, presence } = this.#parts;
    return {
      headOf: (channel) => hub.headOf(channel),
      reset: (snapshot) => {
        hub.reset(snapshot);
        notices.reset(snapshot);
      },
      apply: (batch) => hub.apply(batch),
      notice: (batch) => notices.notice(batch),
      current: (yes, detail) => {
        presence?.current(yes);
        this.#heardLog(yes, detail);
      },
    };
  }

  /** With a shared log, every node that hears it serves. */
  #heardLog(yes: boolean, detail: string | undefined): void {
    const { clients, hub, memory, serving } = this.#parts;
    if (memory || serving.reason === "draining") return;
    if (yes) serving.set(undefined);
    else {
      serving.set("log_lost", detail);
      clients.closeAll("going_away", "this node does not hear the log of messages");
    }
    const fields = { current: yes, detail, epoch: hub.epoch };
    this.#log[yes ? "info" : "error"](fields, yes ? "serving" : "the log is not heard");
  }

  get presenceFeed(): PresenceFeed | undefined {
    return this.#parts.presence?.feed;
  }

  get hearsLog(): boolean {
    return this.#parts.serving.reason !== "log_lost";
  }

  readiness(): readonly ReadinessReason[] {
    const { reason, problem } = this.#parts.serving;
    return [
      ...(reason ? [{ code: reason, message: problem as string, blocking: true }] : []),
      ...(this.#config.insecure
        ? [{ code: "insecure", message: "the relay runs without authorization", blocking: false }]
        : []),
      ...(this.#options.readiness ?? []).flatMap((source) => source()),
    ];
  }

  setServing(
    on: boolean,
    { detail, takeover = false }: { detail?: string; takeover?: boolean } = {},
  ): void {
    const { clients, hub, memory, serving } = this.#parts;
    if (!memory) return;
    const wanted = on ? undefined : "standby";
    const { reason } = serving;
    if (reason === "draining" || reason === wanted) return;
    if (on) {
      if (this.#servedBefore || takeover) memory.beginAnew();
      serving.set(undefined);
      this.#servedBefore = true;
    } else {
      serving.set("standby", detail);
      clients.closeAll("standby", "this node does not serve now");
    }
    const fields = { serving: on, detail, epoch: hub.epoch };
    this.#log.info(fields, on ? "serving" : "standby");
  }

  reload(next: Pick<RelayConfig, "tokens" | "apiKeys">): void {
    const keys = loadKeys(next);
    if (!this.#config.insecure && next.tokens.secrets.length + next.apiKeys.length === 0) {
      throw new ConfigError(["no keys are configured: only a start can make a relay insecure"]);
    }
    this.#parts.clients.keys = keys;
    const numbers = { secrets: next.tokens.secrets.length, apiKeys: next.apiKeys.length };
    this.#log.info(numbers, "keys read");
  }

  drain(): Promise<void> {
    this.#drained ??= this.#drain();
    return this.#drained;
  }

  async #drain(): Promise<void> {
    const { clients, http, keptHistory, serving } = this.#parts;
    const wasStandby = serving.reason === "standby";
    serving.set("draining");
    try {
      // What a node in standby has is worth less than what the serving one has.
      if (!wasStandby) keptHistory?.save(this.#servedBefore);
    } catch (error) {
      this.#log.error({ err: error }, "the history could not be saved; clients will refresh");
    }
    await Promise.all([
      closeSpread(clients, this.#config.drain),
      http.publishSockets.gone(this.#config.drain.grace),
    ]);
    await this.close();
  }

  close(): Promise<void> {
    this.#closed ??= this.#stop();
    return this.#closed;
  }

  async #stop(): Promise<void> {
    const { clients, hails, http, hub, messageLog, presence, serving } = this.#parts;
    serving.set("draining");
    for (const timer of this.#timers) clearInterval(timer);
    for (const connection of [...clients.connections]) connection.terminate();
    clients.stop();
    presence?.stop();
    hub.stop();
    http.upgrades.close();
    http.publishSockets.stop();
    await Promise.all([messageLog.close(), hails?.stop(), closeServer(http.server)]);
    this.#log.info("relay stopped");
  }
}
