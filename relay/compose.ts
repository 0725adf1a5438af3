/** Makes the parts of a relay and joins them. Nothing runs yet, and no file is touched. */
import type { Express } from "express";
import { Registry } from "prom-client";
import { type Logger, RateLimitedLog } from "../common/logger.ts";
import { loadKeys } from "./access/keys.ts";
import { Hub } from "./channels/hub.ts";
import { KeptHistory } from "./channels/kept-history.ts";
import { LocalPublisher, turnQuantum } from "./channels/local-publisher.ts";
import { Clients } from "./clients/clients.ts";
import type { RelayConfig } from "./config/config.ts";
import { Control } from "./control/control.ts";
import { RevocationFile } from "./control/revocation-file.ts";
import { MAX_REVOCATIONS } from "./control/revocation-room.ts";
import { Revoking } from "./control/revoking.ts";
import { descriptorProblem, limitAccepts } from "./http/accepts.ts";
import { createHttp, type Http } from "./http/server.ts";
import { Inspection } from "./inspection.ts";
import type { Log } from "./log/log.ts";
import { MemoryLog } from "./log/memory-log.ts";
import { Notices } from "./log/notices.ts";
import { RETAINED_DROPS } from "./log/retained-value.ts";
import { Hails } from "./log/valkey/hails.ts";
import { registerHailMetrics } from "./log/valkey/metrics.ts";
import { registerMetrics } from "./metrics.ts";
import { type ReadinessReason, Serving } from "./node/serving.ts";
import { Stats } from "./node/stats.ts";
import { engineAddress, openLog } from "./open-log.ts";
import type { NeighbourTimes } from "./presence/neighbours.ts";
import { Presence } from "./presence/presence.ts";
import { type WireKind, wireFactory } from "./wire/wire-check.ts";

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
  /**
   * Where the history is kept during a restart, and revocations always. Without it a restart forgets
   * them; a shared log has the history, and has revocations as long as it loses nothing.
   */
  readonly stateDirectory?: string | undefined;
  /** What numbers the messages and feeds this node. Default: as `relay.log` says. */
  readonly messageLog?: Log;
  /** When nodes of a shared log take each other for dead. Default: as documented. */
  readonly presenceTimes?: NeighbourTimes;
  /** How frames reach the sockets. Default: the fastest way that works with this Node and `ws`. */
  readonly wire?: WireKind;
}

/** The same, when the way to write is decided. */
export type ComposeOptions = RelayOptions & { readonly wire: WireKind };

export interface Parts {
  readonly messageLog: Log;
  /** The same, when it is this node's own: then a lease decides who serves, and a file keeps it. */
  readonly memory: MemoryLog | undefined;
  /** Facts and signals of the log. */
  readonly notices: Notices;
  readonly hub: Hub;
  /** Undefined where nobody is seen. */
  readonly presence: Presence | undefined;
  readonly clients: Clients;
  /** Of a shared log, where clients send each other events. */
  readonly hails: Hails | undefined;
  readonly revoking: Revoking;
  readonly revocationFile: RevocationFile | undefined;
  readonly keptHistory: KeptHistory | undefined;
  readonly serving: Serving;
  readonly publisher: LocalPublisher;
  readonly http: Http;
  readonly registry: Registry;
  readonly inspection: Inspection;
}

/** Counts from the boot of the system on Linux, so that it goes on across a restart of ours. */
function systemClock(): () => number {
  const base = Number(process.hrtime.bigint()) / 1e6 - performance.now();
  return () => base + performance.now();
}

/**
 * @param isReady whether the whole service is, as `/health` says
 * @throws {ConfigError} a key, or the address of the log, cannot be read
 */
export function composeRelay(
  config: RelayConfig,
  options: ComposeOptions,
  isReady: () => boolean,
): Parts {
  const { log, stateDirectory } = options;
  const clock = systemClock();
  const keys = loadKeys(config);
  const messageLog = options.messageLog ?? openLog(config, { log, clock });
  const memory = messageLog instanceof MemoryLog ? messageLog : undefined;
  const serving = new Serving(memory === undefined);
  const notices = new Notices();
  const warnings = new RateLimitedLog(log);
  const stats = new Stats();
  const hub = new Hub({ config, stats, clock, keepsHeads: messageLog.keepsHeads });
  notices.read(["last"], hub.retained);
  hub.retained.onDrop = (reason) => warnings.warn(`retained_${reason}`, {}, RETAINED_DROPS[reason]);
  const presence =
    config.presence.rules.length === 0
      ? undefined
      : new Presence({
          config,
          hub,
          messageLog,
          log,
          warnings,
          clock,
          shared: !memory,
          ...(options.presenceTimes ? { times: options.presenceTimes } : {}),
        });
  if (presence) notices.read(["node", "here"], presence);
  const clients = new Clients({
    config,
    hub,
    stats,
    log,
    warnings,
    keys,
    makeWire: wireFactory(options.wire),
    caughtUp: (ms) => messageLog.caughtUp(ms),
    presence,
  });
  const registry = options.registry ?? new Registry();
  registerMetrics(registry, clients, messageLog);
  const hails = composeHails(config, clients, log);
  if (hails) registerHailMetrics(registry, hails);
  const keptHistory =
    memory && stateDirectory !== undefined
      ? new KeptHistory({
          directory: stateDirectory,
          messageLog: memory,
          hub,
          members: presence,
          log,
          clock,
        })
      : undefined;
  const { control, revoking, revocationFile } = composeControl(
    { clients, messageLog, memory, notices, log },
    stateDirectory,
  );
  const publisher = new LocalPublisher({
    control: (items, mayRevokeAll) => control.take(items, mayRevokeAll),
    hub,
    messageLog,
    serving,
    messageBytes: config.limits.messageBytes,
    quantum: memory
      ? turnQuantum(hub.connectionBytes, config.history.bytes)
      : Number.POSITIVE_INFINITY,
  });
  const http = createHttp({
    clients,
    publisher,
    serving,
    isReady,
    staticPaths: options.staticPaths ?? {},
    extend: options.extend ?? (() => {}),
  });
  const fewDescriptors = descriptorProblem(config);
  if (fewDescriptors !== undefined) log.warn(fewDescriptors);
  limitAccepts(http.server, config, { warnings, onRefused: () => stats.acceptRefused() });
  return {
    messageLog,
    memory,
    notices,
    hub,
    presence,
    clients,
    hails,
    revoking,
    revocationFile,
    keptHistory,
    serving,
    publisher,
    http,
    registry,
    inspection: new Inspection(clients, messageLog, clock),
  };
}

function composeHails(config: RelayConfig, clients: Clients, log: Logger): Hails | undefined {
  const { clientEvents } = clients;
  if (config.log.kind === "memory" || !clientEvents.enabled) return undefined;
  const hails = new Hails({
    address: engineAddress(config),
    prefix: config.log.prefix,
    log,
    onText: (text) => clientEvents.heard(text),
  });
  clientEvents.forward = (text) => hails.call(text);
  return hails;
}

/** What acts on control items, on this node and for all. */
function composeControl(
  {
    clients,
    messageLog,
    memory,
    notices,
    log,
  }: Pick<Parts, "clients" | "messageLog" | "memory" | "notices"> & { readonly log: Logger },
  stateDirectory: string | undefined,
): Pick<Parts, "revoking" | "revocationFile"> & { readonly control: Control } {
  const file =
    stateDirectory === undefined
      ? undefined
      : new RevocationFile(stateDirectory, log, MAX_REVOCATIONS + 1);
  const heardFile = memory ? undefined : file;
  const revoking = new Revoking({ clients, messageLog, log, heardFile });
  const shared = memory === undefined;
  const control = new Control({ clients, messageLog, revoking, file, shared });
  control.listen(notices);
  return { control, revoking, revocationFile: file };
}
