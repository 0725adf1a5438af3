/**
 * A real Valkey or Redis server of a test's own: on 127.0.0.1, in its own directory, on a free port,
 * ended by its process id. Where none is installed the tests that need it are skipped.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { onTestFinished } from "vitest";
import { freePort } from "./free-port.ts";

/** The program's name, `RTM_TEST_VALKEY` first; undefined where none is installed. */
export const ENGINE_PROGRAM = [
  process.env.RTM_TEST_VALKEY ?? "",
  "valkey-server",
  "redis-server",
].find((name) => name !== "" && spawnSync(name, ["--version"]).status === 0);

/** For the title of a suite that is skipped. */
export const ENGINE_MISSING =
  ENGINE_PROGRAM === undefined
    ? " (skipped: neither valkey-server nor redis-server is installed)"
    : "";

export class RedisServer {
  readonly port: number;
  readonly directory: string;
  readonly #extra: readonly string[];
  #process: ChildProcess | undefined;

  private constructor(port: number, directory: string, extra: readonly string[]) {
    this.port = port;
    this.directory = directory;
    this.#extra = extra;
  }

  /** Started now, ended with the test. @param extra settings of the command line */
  static async start(...extra: string[]): Promise<RedisServer> {
    const directory = mkdtempSync(join(tmpdir(), "rtm-engine-"));
    const server = new RedisServer(await freePort(), directory, extra);
    onTestFinished(async () => {
      await server.kill();
      rmSync(directory, { recursive: true, force: true });
    });
    await server.restart();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#process?.pid as number;
  }

  /** Starts it (again), with what its directory holds. */
  async restart(...more: string[]): Promise<void> {
    const common = ["--port", `${this.port}`, "--bind", "127.0.0.1", "--dir", this.directory];
    const args = [...common, "--save", "", "--repl-diskless-sync-delay", "0"];
    this.#process = spawn(ENGINE_PROGRAM as string, [...args, ...this.#extra, ...more], {
      stdio: "ignore",
    });
    const deadline = performance.now() + 20_000;
    while (performance.now() < deadline) {
      try {
        await this.command("PING");
        return;
      } catch (error) {
        if (/NOAUTH/.test(`${error}`)) return;
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    }
    throw new Error(`${ENGINE_PROGRAM} did not start in ${this.directory}`);
  }

  /** SIGKILL: what was not handed to the system is gone. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  /** Cuts the end of its append-only file, as a power failure can. Only while it is down. */
  cutTail(bytes: number): void {
    const directory = join(this.directory, "appendonlydir");
    const file = readdirSync(directory).find((name) => name.includes(".incr."));
    const path = join(directory, file as string);
    truncateSync(path, Math.max(0, statSync(path).size - bytes));
  }

  /** One command on a connection of its own, past everything that is tested. */
  async command(name: string, ...args: (string | number)[]): Promise<unknown> {
    const client = new Redis(this.port, "127.0.0.1", {
      lazyConnect: true,
      retryStrategy: () => null,
      protocol: 2,
      enableReadyCheck: false,
    });
    client.on("error", () => {});
    try {
      await client.connect();
      return await client.call(name, args);
    } finally {
      client.disconnect();
    }
  }
}
