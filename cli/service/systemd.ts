/**
 * Tells systemd how the service is (sd_notify(3)): READY, STATUS, WATCHDOG, STOPPING.
 *
 * Node has no datagram sockets of the AF_UNIX family, so the program systemd-notify sends; the unit
 * needs NotifyAccess=all for it. Outside systemd, without NOTIFY_SOCKET, nothing happens.
 */
import { execFile } from "node:child_process";
import { messageOf } from "../../common/errors.ts";
import { type Logger, RateLimitedLog } from "../../common/logger.ts";

/** How often STATUS is looked at when there is no watchdog to feed, ms. */
const STATUS_MS = 15_000;
/** systemd-notify waits until its message was read; longer than this something is wrong. */
const SEND_LIMIT_MS = 10_000;

export interface Health {
  /** One line for `systemctl status`. */
  readonly status: string;
  /** What hangs so that only a restart helps; the watchdog starves while there is anything. */
  readonly stuck: readonly string[];
}

export class ServiceManager {
  readonly #env: NodeJS.ProcessEnv;
  readonly #watchdogMs: number | undefined;
  readonly #log: Logger;
  readonly #warnings: RateLimitedLog;
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> = Promise.resolve();
  #pending = 0;
  #lastStatus = "";

  private constructor(env: NodeJS.ProcessEnv, log: Logger) {
    // Nothing else: the environment may hold a password.
    this.#env = { NOTIFY_SOCKET: env.NOTIFY_SOCKET, PATH: env.PATH };
    this.#watchdogMs = watchdogMs(env);
    this.#log = log;
    this.#warnings = new RateLimitedLog(log, 60_000);
  }

  /** Undefined where no service manager listens. */
  static of(env: NodeJS.ProcessEnv, log: Logger): ServiceManager | undefined {
    return env.NOTIFY_SOCKET ? new ServiceManager(env, log) : undefined;
  }

  /** Says that the service is up, and from then on how it is. */
  start(health: () => Health): void {
    this.#report(health(), ["READY=1"]);
    const period = this.#watchdogMs === undefined ? STATUS_MS : this.#watchdogMs / 3;
    // A blocked event loop runs no timer, so it starves the watchdog as it should.
    this.#timer = setInterval(() => this.#report(health(), []), period).unref();
  }

  /** Says that the stop has begun, and nothing more after it. */
  stopping(): void {
    clearInterval(this.#timer);
    this.#send(["STOPPING=1", "STATUS=stopping"]);
  }

  /** Resolves when everything was sent. Never rejects. */
  async sent(): Promise<void> {
    await this.#sending;
  }

  #report({ status, stuck }: Health, assignments: string[]): void {
    const line = stuck.length === 0 ? status : `stuck: ${stuck.join("; ")}`;
    if (stuck.length > 0) this.#log.error({ stuck }, "a loop is stuck; the watchdog is not fed");
    else if (this.#watchdogMs !== undefined) assignments.push("WATCHDOG=1");
    if (line !== this.#lastStatus) assignments.push(`STATUS=${line.replaceAll("\n", " ")}`);
    // A slow systemd-notify must not pile up; the next turn says it again.
    if (assignments.length === 0 || this.#pending > 1) return;
    this.#lastStatus = line;
    this.#send(assignments);
  }

  /** One after the other, so that READY comes before what follows it. */
  #send(assignments: readonly string[]): void {
    this.#pending++;
    this.#sending = this.#sending.then(async () => {
      try {
        await notify(assignments, this.#env);
      } catch (error) {
        this.#warnings.warn(
          "notify",
          { reason: messageOf(error) },
          "systemd-notify failed; without it systemd restarts a Type=notify service",
        );
      } finally {
        this.#pending--;
      }
    });
  }
}

/** WatchdogSec of the unit in ms; undefined when it has none or means another process. */
function watchdogMs(env: NodeJS.ProcessEnv): number | undefined {
  const { WATCHDOG_USEC: usec, WATCHDOG_PID: pid } = env;
  if (pid !== undefined && Number(pid) !== process.pid) return undefined;
  const ms = Number(usec) / 1000;
  return ms > 0 ? ms : undefined;
}

function notify(assignments: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile("systemd-notify", assignments, { env, timeout: SEND_LIMIT_MS }, (error) =>
      error ? reject(error) : resolve(),
    );
  });
}
