/** The demo's own Valkey or Redis: on loopback, with a password, gone with the demo. */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { CommandError } from "../exit.ts";
import { Supervised } from "./supervised.ts";

const PROGRAMS = ["valkey-server", "redis-server"];
/** It stays away for so long after it was killed, ms: well below relay.log.grace. */
const AWAY_MS = 3000;

/** @throws {CommandError} neither is installed; it says how to get one */
function findProgram(): { program: string; version: string } {
  for (const program of PROGRAMS) {
    const { status, stdout } = spawnSync(program, ["--version"], { encoding: "utf8" });
    if (status === 0) return { program, version: /v=([\d.]+)/.exec(stdout)?.[1] ?? "" };
  }
  throw new CommandError(
    "several nodes share a log in Valkey or Redis, and neither valkey-server nor redis-server is on " +
      "the PATH; install one (dnf install valkey, apt-get install redis-server), or leave --nodes out",
  );
}

export interface DemoEngine {
  readonly process: Supervised;
  /** Such as `redis-server 7.0.15`. */
  readonly version: string;
  readonly url: string;
}

/** @throws {CommandError} */
export async function startEngine(port: number, directory: string): Promise<DemoEngine> {
  const { program, version } = findProgram();
  try {
    await import("ioredis");
  } catch (cause) {
    throw new CommandError("several nodes need the package ioredis: npm install ioredis", {
      cause,
    });
  }
  mkdirSync(directory, { mode: 0o700 });
  const password = randomBytes(16).toString("hex");
  const settings = {
    port,
    bind: "127.0.0.1",
    dir: directory,
    requirepass: password,
    "maxmemory-policy": "noeviction",
    appendonly: "yes",
    save: '""',
  };
  // By its standard input, because everybody on the machine can read arguments.
  const input = Object.entries(settings).map((line) => `${line.join(" ")}\n`);
  const process = new Supervised("engine", {
    command: program,
    args: ["-"],
    input: input.join(""),
    awayMs: AWAY_MS,
  });
  return {
    process,
    version: `${program} ${version}`,
    url: `redis://:${password}@127.0.0.1:${port}`,
  };
}
