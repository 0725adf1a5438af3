/** Composes the rooms: worker and relay in one process, or one of them alone. */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Express } from "express";
import { Registry } from "prom-client";
import type { Logger } from "../../common/logger.ts";
import { limitAdminAccepts } from "../../relay/http/accepts.ts";
import { closeServer, listen } from "../../relay/http/listen.ts";
import type { ReadinessReason } from "../../relay/node/serving.ts";
import { type Relay, startRelay } from "../../relay/relay.ts";
import { SocketPublisher } from "../../relay/remote-publisher/socket-publisher.ts";
import { ORACLE_ERRORS } from "../../worker/oracle-errors.ts";
import type { QueueStatus } from "../../worker/queue-state.ts";
import { startWorker, type Worker } from "../../worker/worker.ts";
import type { RtmConfig } from "../config.ts";
import { Console } from "../console/console.ts";
import { readConsoleToken } from "../console/sign-in.ts";
import type { Roles } from "../roles.ts";
import { PACKAGE_ROOT, VERSION } from "../version.ts";
import { type AdminOptions, createAdminServer } from "./admin.ts";
import { registerServiceMetrics } from "./metrics.ts";
import { readPublishKey } from "./publish-key.ts";
import { requireRoles } from "./requirements.ts";

export interface Service {
  readonly relay: Relay | undefined;
  readonly worker: Worker | undefined;
  /** Port of the admin listener; undefined when it is off. */
  readonly adminPort: number | undefined;
  /** Everything that keeps the service from being ready, and warnings. */
  readiness(): readonly ReadinessReason[];
  /** Settles when the worker has ended; rejects when it failed by a defect. Never without a worker. */
  readonly done: Promise<void>;
  /**
   * Takes over the keys of a configuration that was read again.
   * @throws {ConfigError} when a key cannot be read; the old ones then stay
   */
  reload(config: RtmConfig): void;
  /** Settles what is in hand, closes clients over a window, saves the history. */
  stop(): Promise<void>;
}

export interface ServiceOptions {
  readonly config: RtmConfig;
  readonly roles: Roles;
  readonly log: Logger;
  /** Adds routes to the relay's HTTP server. */
  readonly extend?: (app: Express) => void;
}

/** Said until a room knows better. */
const STARTING: ReadinessReason = {
  code: "starting",
  message: "the service is starting",
  blocking: true,
};

/** @throws {ConfigError} when the roles need something that is not configured. */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { config, roles, log } = options;
  requireRoles(config, roles);
  const registry = new Registry();
  const { stateDirectory } = config.service;
  let worker: Worker | undefined;
  let relay: Relay | undefined;
  let remote: SocketPublisher | undefined;
  const sharesLog = roles.relay && config.relay.log.kind !== "memory";
  const sharing = sharesLog ? "log" : config.worker.standby ? "standby" : "alone";
  const queueReadiness = () => [
    ...(worker?.status() ?? []).flatMap((status) => readinessOf(status, sharing)),
    ...(worker?.warnings() ?? []).map((warning) => ({ ...warning, blocking: false })),
  ];
  const readiness = () => {
    if (relay) return relay.readiness();
    return roles.relay ? [STARTING] : queueReadiness();
  };
  registerServiceMetrics(registry, {
    roles,
    isReady: () => !readiness().some(({ blocking }) => blocking),
  });
  const poisonDirectory = stateDirectory ?? userStateDirectory();
  const sources = {
    registry,
    readiness,
    inspection: () => relay?.inspection,
    queues: () => worker?.status(),
  };
  const console = config.service.console.enabled
    ? new Console({ config, roles, sources, poisonDirectory, log })
    : undefined;
  const admin = await startAdmin(config, { registry, readiness, console: console?.router }, log);
  try {
    if (roles.relay) {
      relay = await startRelay(config.relay, {
        log,
        registry,
        staticPaths: { "/client": join(PACKAGE_ROOT, "build/client") },
        readiness: [queueReadiness],
        // With a worker it is not known yet whether this node leads.
        serving: !roles.worker,
        // The other node may have served since this one saved its history.
        stateDirectory: sharing === "standby" ? undefined : stateDirectory,
        ...(options.extend ? { extend: options.extend } : {}),
      });
    } else {
      remote = remotePublisher(config, log);
    }
  } catch (error) {
    await closeServer(admin?.server);
    throw error;
  }
  if (roles.worker) {
    let wasStandby = false;
    worker = startWorker({
      database: config.database,
      worker: config.worker,
      publisher: relay?.publisher ?? remote!,
      log,
      registry,
      stateDirectory: poisonDirectory,
      version: VERSION,
      ...(relay?.presenceFeed && { presence: relay.presenceFeed }),
      mayLead: () => relay?.hearsLog ?? true,
      onServing: (serving) => {
        relay?.setServing(serving, { takeover: wasStandby });
        wasStandby ||= !serving;
      },
    });
  }
  return {
    relay,
    worker,
    adminPort: admin?.port,
    readiness,
    done: worker?.done ?? new Promise(() => {}),
    reload(next) {
      const token = readConsoleToken(next.service.console.tokenFile);
      relay?.reload(next.relay);
      console?.useToken(token);
      if (!remote) return;
      remote.useKey(readPublishKey(next));
      log.info("publish key read");
    },
    stop: async () => {
      await worker?.stop();
      await relay?.drain();
      remote?.close();
      console?.close();
      await closeServer(admin?.server);
    },
  };
}

/** The admin listener, which tells from the first moment on what is missing; undefined when it is off. */
async function startAdmin(
  { service: { admin } }: RtmConfig,
  sources: AdminOptions,
  log: Logger,
): Promise<{ server: Server; port: number } | undefined> {
  if (!admin.enabled) return undefined;
  const server = createAdminServer({
    ...sources,
    hosts: [...admin.hosts, admin.host],
    onTooMany: (address) =>
      log.warn({ address }, "a client of the admin listener sent too many requests at once"),
  });
  limitAdminAccepts(server);
  await listen(server, admin.host, admin.port, "service.admin.port");
  const { port } = server.address() as AddressInfo;
  log.info({ host: admin.host, adminPort: port }, "admin listener");
  return { server, port };
}

/**
 * Where programs of a user keep their state (XDG Base Directory Specification 0.8); undefined for a
 * user without a home, as containers have them.
 */
function userStateDirectory(): string | undefined {
  try {
    return join(process.env.XDG_STATE_HOME || join(homedir(), ".local/state"), "apex-rtm");
  } catch {
    return undefined;
  }
}

function remotePublisher(config: RtmConfig, log: Logger): SocketPublisher {
  const { batchMessages, batchBytes } = config.relay.limits;
  return new SocketPublisher({
    url: config.worker.publishUrl!,
    apiKey: readPublishKey(config),
    batchMessages,
    batchBytes,
    onWay: (way, reason) => {
      if (way === "socket") log.info("the relay's publishing socket is open");
      else log.warn({ reason }, "no publishing socket to the relay: messages are posted");
    },
  });
}

/**
 * What a queue's state means for readiness.
 * @param sharing `standby`: a second node shares the queues; the relay itself then says `standby`.
 *   `log`: many nodes share a log; each serves its pages whoever dequeues, so nothing here blocks
 */
export function readinessOf(
  { queue, state, reason, blocked }: QueueStatus,
  sharing: "alone" | "standby" | "log",
): ReadinessReason[] {
  if (blocked > 0) {
    const message =
      `${queue}: ${blocked} ready messages are locked by another session ` +
      '(docs/operations.md, "The database hangs")';
    return [{ code: "queue_blocked", message, blocking: false }];
  }
  if (state === "standby" && sharing === "alone") {
    const message =
      `${queue}: another session holds the lease, so nothing is dequeued ` +
      '(docs/operations.md, "The database hangs")';
    return [{ code: "lease_held", message, blocking: true }];
  }
  if (state === "active" || state === "standby" || state === "stopped") return [];
  const advice = reason === undefined ? undefined : ORACLE_ERRORS.get(reason)?.advice;
  return [
    {
      code: `queue_${state}`,
      message: `${queue}: ${[state, reason, advice].filter(Boolean).join(", ")}`,
      blocking: sharing !== "log",
    },
  ];
}
