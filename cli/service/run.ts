/** Runs a service in the foreground until it is told to stop. */
import { messageOf } from "../../common/errors.ts";
import { createLogger, type Logger, logOutput } from "../../common/logger.ts";
import { type RtmConfig, readConfig } from "../config.ts";
import { EXIT } from "../exit.ts";
import type { Roles } from "../roles.ts";
import { StopSignals } from "../signals.ts";
import { VERSION } from "../version.ts";
import { stuckLoops } from "./liveness.ts";
import { type Service, startService } from "./service.ts";
import { type Health, ServiceManager } from "./systemd.ts";

/** How long the end waits for whoever reads the log. */
const LOG_FLUSH_MS = 500;

/**
 * SIGTERM and SIGINT stop gracefully, a second one at once; SIGHUP reads the keys again. During the
 * start they wait until it is over: what it has taken from disk has to be given back.
 * @returns the exit code.
 */
export async function runService(configOption: string | undefined, roles: Roles): Promise<number> {
  const config = readConfig(configOption, roles);
  const log = createLogger(config.log.level);
  const signals = new StopSignals(log);
  let service: Service | undefined;
  let reloadWanted = false;
  const onReload = () => {
    if (service) reload(service, configOption, log);
    else reloadWanted = true;
  };
  process.on("SIGHUP", onReload);
  let manager: ServiceManager | undefined;
  try {
    log.info({ version: VERSION, node: process.version, ...roles }, "starting");
    const starting = startService({ config, roles, log });
    await Promise.race([starting, signals.second]);
    if (signals.received > 1) return EXIT.failed;
    const started = await starting;
    service = started;
    if (reloadWanted) onReload();
    manager = ServiceManager.of(process.env, log);
    if (signals.received === 0) manager?.start(() => healthOf(started, config));
    const stop = () => {
      manager?.stopping();
      return started.stop();
    };
    return await untilStopped(stop, started.done, signals, log);
  } finally {
    signals.end();
    process.off("SIGHUP", onReload);
    await manager?.sent();
    await logOutput().flush(LOG_FLUSH_MS);
  }
}

function healthOf({ worker, readiness }: Service, config: RtmConfig): Health {
  const statuses = worker?.status() ?? [];
  const blocking = readiness().filter((reason) => reason.blocking);
  const ready = blocking.length === 0 ? "ready" : blocking.map(({ message }) => message).join("; ");
  const queues = statuses.map(({ queue, state }) => `${queue} ${state}`);
  return { status: [ready, ...queues].join(", "), stuck: stuckLoops(statuses, config) };
}

/** Waits for a signal or for the service's own end, then stops it. @returns the exit code. */
export async function untilStopped(
  stop: () => Promise<void>,
  done: Promise<void>,
  signals: StopSignals,
  log: Logger,
): Promise<number> {
  const failed = done.then(
    () => EXIT.failed,
    (error: unknown) => {
      log.fatal({ err: error }, "the worker failed");
      return EXIT.failed;
    },
  );
  const code = await Promise.race([signals.first.then(() => EXIT.ok), failed]);
  const forced = signals.second.then(() => EXIT.failed);
  return await Promise.race([stop().then(() => code), forced]);
}

/** New keys, or a log line that says why the old ones stay. */
function reload(service: Service, configOption: string | undefined, log: Logger): void {
  try {
    service.reload(readConfig(configOption, { relay: service.relay !== undefined }));
  } catch (error) {
    log.error({ reason: messageOf(error) }, "reload failed; the old keys stay");
  }
}
