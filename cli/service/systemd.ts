/**
 * Tells systemd how the service is (sd_notify(3)): READY, STATUS, WATCHDOG, STOPPING.
 *
 * Node has no datagram sockets of the AF_UNIX family, so the program systemd-notify sends; the unit
 * needs NotifyAccess=all for it. A shell that stays starts it: were it started from here, a service
 * without a free file descriptor could not feed its watchdog. Outside systemd, without NOTIFY_SOCKET,
 * nothing happens.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { messageOf } from "../../common/errors.ts";
import { type Logger, RateLimitedLog } from "../../common/logger.ts";

/** How often is looked whether STATUS has changed, ms. */
const STATUS_MS = 1_000;
/** One line, assignments separated by tabs, is one message; the exit code is the answer. */
const HELPER = `trap '' HUP INT TERM
tab=$(printf '\\t'); IFS=$tab; set -f
while read -r line; do
  set -- $line
  systemd-notify "$@" </dev/null >/dev/null
  echo $?
done`;
/** systemd-notify waits until its message was read; longer than this something is wrong. */
const SEND_LIMIT_MS = 10_000;

export interface Health {
  /** One line for `systemctl status`. */
  readonly status: string;
  /** What hangs so that only a restart helps; the watchdog starves while there is anything. */
  readonly stuck: readonly string[];
}

export class ServiceManager {
  readonly #watchdogMs: number | undefined;
  readonly #log: Logger;
  readonly #warnings: RateLimitedLog;
  #timer: NodeJS.Timeout | undefined;
  #lastFed = Number.NEGATIVE_INFINITY;
  readonly #helper: NotifyHelper;
  #sending: Promise<void> = Promise.resolve();
  #pending = 0;
  #lastStatus = "";

  private constructor(env: NodeJS.ProcessEnv, log: Logger) {
    // Nothing else: the environment may hold a password.
    this.#helper = new NotifyHelper({ NOTIFY_SOCKET: env.NOTIFY_SOCKET, PATH: env.PATH });
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
    const period = Math.min(STATUS_MS, (this.#watchdogMs ?? STATUS_MS) / 3);
    // A blocked event loop runs no timer, so it starves the watchdog as it should.
    this.#timer = setInterval(() => this.#report(health(), []), period).unref();
  }

  /** Says that the stop has begun, and nothing more after it. */
  stopping(): void {
    clearInterval(this.#timer);
    this.#send(["STOPPING=1", "STATUS=stopping"]);
  }

  /** Resolves when everything was sent; nothing can be sent afterwards. Never rejects. */
  async sent(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sending;
    this.#helper.end();
  }

  #report({ status, stuck }: Health, assignments: string[]): void {
    const line = stuck.length === 0 ? status : `stuck: ${stuck.join("; ")}`;
    const now = performance.now();
    // A third of the time, less what a timer may be early.
    const due = this.#watchdogMs !== undefined && now - this.#lastFed > this.#watchdogMs / 3 - 20;
    if (stuck.length > 0) {
      if (line !== this.#lastStatus) {
        this.#log.error({ stuck }, "a loop is stuck; the watchdog is not fed");
      }
    } else if (due) assignments.push("WATCHDOG=1");
    if (line !== this.#lastStatus) assignments.push(`STATUS=${line.replaceAll(/[\t\n]/g, " ")}`);
    // A slow systemd-notify must not pile up; the next turn says it again.
    if (assignments.length === 0 || this.#pending > 1) return;
    if (assignments.includes("WATCHDOG=1")) this.#lastFed = now;
    this.#lastStatus = line;
    this.#send(assignments);
  }

  /** One after the other, so that READY comes before what follows it. */
  #send(assignments: readonly string[]): void {
    this.#pending++;
    this.#sending = this.#sending.then(async () => {
      try {
        await this.#helper.send(assignments);
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

/** The shell that starts systemd-notify, once per message. */
class NotifyHelper {
  readonly #env: NodeJS.ProcessEnv;
  #shell: ChildProcessByStdio<Writable, Readable, null> | undefined;
  /** Takes the answer to the message under way. */
  #answer: ((problem: string | undefined) => void) | undefined;

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
    this.#start();
  }

  /** One at a time. @throws when it was not sent */
  async send(assignments: readonly string[]): Promise<void> {
    const shell = this.#shell ?? this.#start();
    let timer: NodeJS.Timeout | undefined;
    const problem = await new Promise<string | undefined>((resolve) => {
      this.#answer = resolve;
      timer = setTimeout(() => {
        // What hangs must not answer for the next message.
        shell.kill("SIGKILL");
        resolve("it does not end");
      }, SEND_LIMIT_MS);
      shell.stdin.write(`${assignments.join("\t")}\n`);
    });
    clearTimeout(timer);
    this.#answer = undefined;
    if (problem !== undefined) throw new Error(problem);
  }

  end(): void {
    this.#shell?.stdin.end();
    this.#shell = undefined;
  }

  #start(): ChildProcessByStdio<Writable, Readable, null> {
    const shell = spawn("/bin/sh", ["-c", HELPER], {
      env: this.#env,
      stdio: ["pipe", "pipe", "inherit"],
    });
    const gone = (problem: string) => {
      if (this.#shell === shell) this.#shell = undefined;
      this.#answer?.(problem);
    };
    shell.on("error", (error) => gone(error.message));
    shell.on("exit", (code, signal) => gone(`its shell ended with ${code ?? signal}`));
    shell.stdin.on("error", () => {});
    createInterface(shell.stdout).on("line", (code) =>
      this.#answer?.(code === "0" ? undefined : `it ended with ${code}`),
    );
    // Neither keeps the service from ending; the shell ends with its standard input.
    shell.unref();
    (shell.stdout as Readable & { unref(): void }).unref();
    (shell.stdin as Writable & { unref(): void }).unref();
    this.#shell = shell;
    return shell;
  }
}
