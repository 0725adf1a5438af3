/** A Valkey or Redis of the benchmark's own, and what it costs. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { freePort } from "../../test/support/free-port.ts";

/** The program's name; undefined where none is installed. */
export const ENGINE = ["valkey-server", "redis-server"].find(
  (name) => spawnSync(name, ["--version"]).status === 0,
);

export function engineVersion(): string {
  return spawnSync(ENGINE as string, ["--version"], { encoding: "utf8" }).stdout.trim();
}

/** CPU seconds of a process, from the kernel (its clock has 100 ticks per second). */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export class Engine {
  readonly #process: ChildProcess;
  readonly #directory: string;
  readonly port: number;

  private constructor(port: number) {
    this.port = port;
    this.#directory = mkdtempSync(join(tmpdir(), "rtm-bench-"));
    const settings = ["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"];
    this.#process = spawn(
      ENGINE as string,
      ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", this.#directory, ...settings],
      { stdio: "ignore" },
    );
  }

  static async start(): Promise<Engine> {
    const engine = new Engine(await freePort());
    const client = new Redis(engine.port, "127.0.0.1", { retryStrategy: () => 50 });
    client.on("error", () => {});
    await client.ping();
    client.disconnect();
    return engine;
  }

  get cpu(): number {
    return cpuOf(this.#process.pid as number);
  }

  async #info(section: string): Promise<(field: RegExp) => number> {
    const client = new Redis(this.port, "127.0.0.1");
    const text = await client.info(section);
    client.disconnect();
    return (field) => Number(field.exec(text)?.[1] ?? 0);
  }

  /** Calls of every command that reads the log, but the followers' own. */
  async reads(): Promise<number> {
    const info = await this.#info("commandstats");
    const calls = (name: string) => info(new RegExp(`cmdstat_${name}:calls=(\\d+)`));
    return calls("xrange") + calls("hscan") + calls("hgetall");
  }

  /** Bytes that it has sent. */
  async sent(): Promise<number> {
    return (await this.#info("stats"))(/total_net_output_bytes:(\d+)/);
  }

  async stop(): Promise<void> {
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await ended;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
