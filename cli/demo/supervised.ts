/** A process of the demo that may be killed and comes back, as a service manager would see to it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** Longest wait for an end that was asked for, ms. */
const STOP_MS = 5000;

export interface SupervisedOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** What it reads from its standard input. */
  readonly input?: string;
  /** How long it stays away after an end that nobody asked for, ms. */
  readonly awayMs: number;
}

export class Supervised {
  readonly name: string;
  readonly #options: SupervisedOptions;
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  /** How often it was started. */
  starts = 0;

  /** Starts it. */
  constructor(name: string, options: SupervisedOptions) {
    this.name = name;
    this.#options = options;
    this.#start();
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  #start(): void {
    const { command, args, input = "", awayMs } = this.#options;
    this.starts++;
    // Errors of its own go where the demo's go; a service logs to standard output.
    const child = spawn(command, args, { stdio: ["pipe", "ignore", "inherit"] });
    this.#child = child;
    // It may be gone before it has read.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
    child.on("error", () => {});
    child.once("close", () => {
      this.#child = undefined;
      if (this.#stopped) return;
      this.#timer = setTimeout(() => this.#start(), awayMs);
    });
  }

  /** `kill -9`: it has no time to say goodbye. */
  kill(): void {
    this.#child?.kill("SIGKILL");
  }

  /** Ends it for good. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    const child = this.#child;
    if (!child) return;
    const ended = once(child, "close");
    child.kill("SIGTERM");
    const force = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    await ended;
    clearTimeout(force);
  }
}
