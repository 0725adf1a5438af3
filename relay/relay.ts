/** Puts the relay together: listeners, hub, history on disk, readiness, reload, drain. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import express, { type Express } from "express";
import { Registry } from "prom-client";
import { ConfigError } from "../common/config.ts";
import type { Logger } from "../common/logger.ts";
import { loadKeys } from "./access/keys.ts";
import { Hub } from "./channels/hub.ts";
import { LocalPublisher, turnQuantum } from "./channels/local-publisher.ts";
import { readBootId, restoreState, saveState } from "./channels/state-file.ts";
import { Stats } from "./channels/stats.ts";
import { Clients } from "./clients/clients.ts";
import { closeSpread } from "./clients/drain.ts";
import { createUpgrades, isWebSocket } from "./clients/upgrade.ts";
import type { RelayConfig } from "./config.ts";
import type { Publisher } from "./contract/publisher.ts";
import { descriptorProblem, limitAccepts } from "./http/accepts.ts";
import { createBroadcast } from "./http/broadcast.ts";
import { closeServer, listen } from "./http/listen.ts";
import { addFallbacks, addRestRoutes, isBroadcast } from "./http/routes.ts";
import type { Log } from "./log/log.ts";
import { MemoryLog } from "./log/memory-log.ts";
import { registerMetrics } from "./metrics.ts";
import { type ReadinessReason, Serving } from "./serving.ts";
import { bestWire, type WireKind, wireFactory } from "./wire/wire-check.ts";

/** How often old messages, ids and channels are dropped, ms. */
const SWEEP_MS = 5000;
/** How often a relay without authorization says so in the log, ms. */
const INSECURE_WARNING_MS = 60_000;
/** An idle HTTP connection is kept longer than nginx keeps it (60 s), so that nginx closes it. */
const KEEP_ALIVE_MS = 65_000;
/** Time for a whole request with its body, ms. */
const REQUEST_MS = 60_000;

export interface RelayOptions {
  readonly log: Logger;
  /** Directories served under a path, such as `{"/client": "/usr/lib/rtm/client"}`. */
  readonly staticPaths?: Readonly<Record<string, string>>;
  /** Adds routes of other rooms before the final 404. */
  readonly extend?: (app: Express) => void;
  /** Conditions of other rooms that `/readyz` reports. */
  readonly readiness?: readonly (() => readonly ReadinessReason[])[];
  /** Where metrics are registered. Default: a registry of its own. */
  readonly registry?: Registry;
  /** Starts as a standby node; `setServing(true)` follows. Default true. */
  readonly serving?: boolean;
  /** Where the history is kept during a restart. Without it a restart forgets it. */
  readonly stateDirectory?: string | undefined;
  /** What numbers the messages and feeds this node. Default: a log in this process. */
  readonly messageLog?: Log;
  /** How frames reach the sockets. Default: the fastest way that works with this Node and `ws`. */
  readonly wire?: WireKind;
}

export interface Relay {
  readonly publisher: Publisher;
  readonly host: string;
  readonly port: number;
  readonly registry: Registry;
  /** Everything that keeps the service from being ready, and warnings. */
  readiness(): readonly ReadinessReason[];
  /**
   * Standby: clients are closed with 4005, publishing is `unavailable`. When it serves again after
   * it had stopped, or with `takeover`, another node may have served meanwhile: the epoch is new.
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
 * Starts a relay.
 * @throws {ConfigError} a key cannot be read
 * @throws {RtmError} RTM_STATE_DIRECTORY, RTM_LISTEN
 */
export async function startRelay(config: RelayConfig, options: RelayOptions): Promise<Relay> {
  const log = options.log.child({ component: "relay" });
  const bootId = readBootId();
  // Counts from the boot of the system on Linux, so that it goes on across a restart of ours.
  const clockBase = Number(process.hrtime.bigint()) / 1e6 - performance.now();
  const clock = () => clockBase + performance.now();

  const stats = new Stats();
  const messageLog = options.messageLog ?? new MemoryLog({ duplicates: config.duplicates, clock });
  const ownLog = messageLog instanceof MemoryLog ? messageLog : undefined;
  const hub = new Hub({ config, stats, clock, keepsHeads: messageLog.keepsHeads });
  const wire = options.wire ?? (await checkedWire(log));
  const clients = new Clients({
    config,
    hub,
    stats,
    log,
    keys: loadKeys(config),
    makeWire: wireFactory(wire),
  });
  const registry = options.registry ?? new Registry();
  registerMetrics(registry, clients, { duplicateIds: () => ownLog?.duplicates.size ?? 0 });
  const serving = new Serving();
  const publisher = new LocalPublisher({
    hub,
    log: messageLog,
    serving,
    messageBytes: config.limits.messageBytes,
    quantum: ownLog
      ? turnQuantum(hub.connectionBytes, config.history.bytes)
      : Number.POSITIVE_INFINITY,
  });
  await messageLog.follow({
    headOf: (channel) => hub.headOf(channel),
    reset: (snapshot) => hub.reset(snapshot),
    apply: (batch) => hub.apply(batch),
    current: () => {},
  });

  const readiness = (): readonly ReadinessReason[] => [
    ...(serving.reason
      ? [{ code: serving.reason, message: serving.problem as string, blocking: true }]
      : []),
    ...(config.insecure
      ? [{ code: "insecure", message: "the relay runs without authorization", blocking: false }]
      : []),
    ...(options.readiness ?? []).flatMap((source) => source()),
  ];

  const app = express();
  app.disable("x-powered-by").disable("etag").disable("query parser");
  app.set("trust proxy", [...config.trustedProxies]);
  const broadcast = createBroadcast({ clients, publisher, notServing: () => serving.problem });
  addRestRoutes(app, {
    broadcast,
    isReady: () => !readiness().some(({ blocking }) => blocking),
  });
  for (const [path, directory] of Object.entries(options.staticPaths ?? {})) {
    app.use(path, express.static(directory));
  }
  options.extend?.(app);
  addFallbacks(app, clients);

  const serverOptions = {
    headersTimeout: config.connectDeadline,
    requestTimeout: Math.max(REQUEST_MS, config.connectDeadline),
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: Math.max(100, Math.floor(config.connectDeadline / 4)),
    shouldUpgradeCallback: isWebSocket,
  };
  const upgrades = createUpgrades(clients, serving);
  const server = createServer(serverOptions, (request, response) => {
    if (isBroadcast(request)) broadcast(request, response);
    else if (!upgrades.handleLost(request, response)) app(request, response);
  });
  const fewDescriptors = descriptorProblem(config);
  if (fewDescriptors !== undefined) log.warn(fewDescriptors);
  limitAccepts(server, config, {
    warnings: clients.warnings,
    onRefused: () => stats.acceptRefused(),
  });
  server.on("upgrade", upgrades.handle).on("clientError", upgrades.handleMalformed);

  const stopTimers = startTimers();
  const { stateDirectory } = options;
  let restored = false;
  try {
    await listen(server, config.host, config.port, "relay.port");
    // Last, because it takes the file: a start that fails must leave it for the next one. Nothing
    // is accepted before `setServing`.
    if (stateDirectory !== undefined && ownLog) {
      restored = restoreState(stateDirectory, { hub, messageLog: ownLog }, log, bootId, clock());
    }
  } catch (error) {
    stopTimers();
    clients.stop();
    await Promise.all([messageLog.close(), closeServer(server)]);
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  // A standby node has served nothing yet, so what it restored is still the latest.
  let servedBefore = false;
  let saved = false;
  let closed: Promise<void> | undefined;
  let drained: Promise<void> | undefined;
  if (options.serving ?? true) setServing(true);
  log.info({ host: config.host, port, epoch: hub.epoch }, "relay listens");

  function startTimers(): () => void {
    const timers = [setInterval(() => hub.sweep(), SWEEP_MS).unref()];
    if (config.insecure) {
      const warn = () => log.warn("insecure: true: every client may read and write every channel");
      warn();
      timers.push(setInterval(warn, INSECURE_WARNING_MS).unref());
    }
    return () => timers.forEach(clearInterval);
  }

  function setServing(
    on: boolean,
    { detail, takeover = false }: { detail?: string; takeover?: boolean } = {},
  ): void {
    const wanted = on ? undefined : "standby";
    if (serving.reason === "draining" || serving.reason === wanted) return;
    if (on) {
      if (servedBefore || takeover) ownLog?.beginAnew();
      serving.set(undefined);
      servedBefore = true;
    } else {
      serving.set("standby", detail);
      clients.closeAll("standby", "this node does not serve now");
    }
    log.info({ serving: on, detail, epoch: hub.epoch }, on ? "serving" : "standby");
  }

  function save(): void {
    if (saved || stateDirectory === undefined || !ownLog || !(servedBefore || restored)) return;
    saved = true;
    hub.flush();
    saveState(stateDirectory, { hub, messageLog: ownLog }, bootId, clock());
    log.info({ messages: hub.history.count, bytes: hub.history.bytes }, "history saved");
  }

  async function drain(): Promise<void> {
    const wasStandby = serving.reason === "standby";
    serving.set("draining");
    try {
      // What a node in standby has is worth less than what the serving one has.
      if (!wasStandby) save();
    } catch (error) {
      log.error({ err: error }, "the history could not be saved; clients will refresh");
    }
    await closeSpread(clients, config.drain);
    await close();
  }

  function close(): Promise<void> {
    closed ??= stop();
    return closed;
  }

  async function stop(): Promise<void> {
    serving.set("draining");
    stopTimers();
    for (const connection of [...clients.connections]) connection.terminate();
    clients.stop();
    hub.stop();
    upgrades.close();
    await Promise.all([messageLog.close(), closeServer(server)]);
    log.info("relay stopped");
  }

  return {
    publisher,
    host: config.host,
    port,
    registry,
    readiness,
    setServing,
    reload(next) {
      const keys = loadKeys(next);
      if (!config.insecure && next.tokens.secrets.length + next.apiKeys.length === 0) {
        throw new ConfigError(["no keys are configured: only a start can make a relay insecure"]);
      }
      clients.keys = keys;
      log.info({ secrets: next.tokens.secrets.length, apiKeys: next.apiKeys.length }, "keys read");
    },
    drain() {
      drained ??= drain();
      return drained;
    },
    close,
  };
}
