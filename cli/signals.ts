/** The signals that stop a command, from its first moment on. */
import { constants } from "node:os";
import type { Logger } from "../common/logger.ts";

const STOP = ["SIGTERM", "SIGINT"] as const;

/** Commands that read their keys again at SIGHUP. */
const RELOADING: ReadonlySet<string | undefined> = new Set(["serve", "worker", "relay"]);

/**
 * Ends the process at a signal that nobody else listens to. Without it the kernel drops the signal
 * when this is process 1, as it is in a container. A service takes no harm from a SIGHUP before it
 * listens to it: it has not read its keys yet.
 */
export function guardStart(verb: string | undefined): void {
  for (const signal of STOP) process.on(signal, endUnlessHandled);
  if (RELOADING.has(verb)) process.on("SIGHUP", () => {});
}

function endUnlessHandled(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  process.off(signal, endUnlessHandled);
  // The default action, so that a shell or systemd sees the signal. Process 1 survives it.
  process.kill(process.pid, signal);
  process.exit(128 + constants.signals[signal]);
}

/** What a service has been told: to stop, and, by a second signal, to stop at once. */
export class StopSignals {
  /** Resolves at the first signal. */
  readonly first: Promise<void>;
  /** Resolves at the second signal. */
  readonly second: Promise<void>;
  received = 0;
  readonly #onSignal: (signal: NodeJS.Signals) => void;

  /** Listens from now on. */
  constructor(log: Logger) {
    const resolvers: (() => void)[] = [];
    const next = () => new Promise<void>((resolve) => resolvers.push(resolve));
    this.first = next();
    this.second = next();
    this.#onSignal = (signal) => {
      log.info({ signal }, this.received === 0 ? "stopping" : "stopping at once");
      resolvers[this.received++]?.();
    };
    for (const signal of STOP) process.on(signal, this.#onSignal);
  }

  /** Listens no more. */
  end(): void {
    for (const signal of STOP) process.off(signal, this.#onSignal);
  }
}
