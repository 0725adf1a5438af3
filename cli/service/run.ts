/** Runs a service in the foreground until it is told to stop. */

import { messageOf } from "../../common/errors.ts";
import { createLogger, type Logger } from "../../common/logger.ts";
import { type RtmConfig, readConfig } from "../config.ts";
import { EXIT } from "../exit.ts";
import { VERSION } from "../version.ts";
import { stuckLoops } from "./liveness.ts";
import { type Service, startService } from "./service.ts";
import { type Health, ServiceManager } from "./systemd.ts";

/**
 * SIGTERM and SIGINT stop gracefully, a second one at once; SIGHUP reads the keys again.
 * @returns the exit code.
 */
export async function runService(
  configOption: string | undefined,
  roles: { worker: boolean; relay: boolean },
): Promise<number> {
  const config = readConfig(configOption, roles);
  const log = createLogger(config.log.level);
  log.info({ version: VERSION, node: process.version, ...roles }, "starting");
  const service = await startService({ config, roles, log });
  const onReload = () => reload(service, configOption, log);
  process.on("SIGHUP", onReload);
  const manager = ServiceManager.of(process.env, log);
  manager?.start(() => healthOf(service, config));
  const stop = () => {
    manager?.stopping();
    return service.stop();
  };
  try {
    return await untilStopped(stop, service.done, log);
  } finally {
    process.off("SIGHUP", onReload);
    await manager?.sent();
  }
}

function healthOf({ worker, readiness }: Service, config: RtmConfig): Health {
  const statuses = worker?.status() ?? [];
  const blocking = readiness().filter((reason) => reason.blocking);
  const ready = blocking.length === 0 ? "ready" : blocking.map(({ message }) => message).join("; ");
  const queues = statuses.map(({ queue, state }) => `${queue} ${state}`);
  return { status: [ready, ...queues].join(", "), stuck: stuckLoops(statuses, config) };
}

/** Waits for a signal or for the service's own end, then stops it. */
export async function untilStopped(
  stop: () => Promise<void>,
  done: Promise<void>,
  log: Logger,
): Promise<number> {
  let force: ((code: number) => void) | undefined;
  const forced = new Promise<number>((resolve) => {
    force = resolve;
  });
  let onSignal: ((signal: NodeJS.Signals) => void) | undefined;
  const signalled = new Promise<number>((resolve) => {
    let first = true;
    onSignal = (signal) => {
      log.info({ signal }, first ? "stopping" : "stopping at once");
      if (first) resolve(EXIT.ok);
      else force?.(EXIT.failed);
      first = false;
    };
    process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  });
  const failed = done.then(
    () => EXIT.failed,
    (error: unknown) => {
      log.fatal({ err: error }, "the worker failed");
      return EXIT.failed;
    },
  );
  try {
    const code = await Promise.race([signalled, failed]);
    return await Promise.race([stop().then(() => code), forced]);
  } finally {
    process.off("SIGTERM", onSignal!).off("SIGINT", onSignal!);
  }
}

/** New keys, or a log line that says why the old ones stay. */
function reload(service: Service, configOption: string | undefined, log: Logger): void {
  try {
    service.reload(readConfig(configOption, { relay: service.relay !== undefined }));
  } catch (error) {
    log.error({ reason: messageOf(error) }, "reload failed; the old keys stay");
  }
}
