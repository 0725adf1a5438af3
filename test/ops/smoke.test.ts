/** Every npm script and every command of `rtm` starts; benchmarks run for a moment with RTM_TEST_LONG=1. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { program } from "../../cli/program.ts";
import { built } from "../support/build.ts";
import { temporaryDirectory } from "../support/programs.ts";

const scripts = Object.keys(
  (JSON.parse(readFileSync("package.json", "utf8")) as { scripts: object }).scripts,
);

/** Scripts that `npm test` runs itself, or whose whole effect another test checks. */
const ELSEWHERE: readonly string[] = [
  "build",
  "build:apex",
  "build:client",
  "build:page",
  "build:sql",
  "check:pack",
  "check:packages",
  "demo",
  "docs",
  "lint",
  "package",
  "rtm",
  "test",
  "test:plsql",
  "typecheck",
];

/** What the workflows call and npm fetches on demand, what only formats or watches, what a release runs. */
const BY_HAND: readonly string[] = [
  "coverage",
  "dev",
  "docs:site",
  "format",
  "lint:dead",
  "lint:docs",
  "lint:package",
  "release:files",
  "sbom",
  "version:write",
];

/** Arguments with which a benchmark is over soon. */
const SHORT: Readonly<Record<string, readonly string[]>> = {
  "bench:console": ["--rounds", "1", "--seconds", "1", "--connections", "10"],
  "bench:worker": ["--rounds", "1", "--messages", "4000", "--framing", "23ai"],
  "bench:relay": ["--rounds", "1", "--seconds", "0.05", "--only", "a 1x1000 in-process, 32"],
};

const BENCHMARKS = scripts.filter((name) => name.startsWith("bench:"));

const LONG = process.env.RTM_TEST_LONG === "1";

const npm = (script: string, ...args: readonly string[]) =>
  spawnSync("npm", ["run", "-s", script, "--", ...args], { encoding: "utf8", timeout: 600_000 });

describe("npm scripts", () => {
  it("are all known here", () => {
    // A new one has to be run here, or named with the others.
    const known = [...ELSEWHERE, ...BY_HAND, ...BENCHMARKS];
    const unknown = scripts.filter((name) => !known.includes(name));
    expect(unknown).toEqual([]);
  });

  it.each(BENCHMARKS)("%s explains itself", (script) => {
    const help = npm(script, "--help");
    expect(help.status, help.stderr).toBe(0);
    expect(help.stdout).toContain(`npm run ${script} -- [options]`);
  });

  it.skipIf(!LONG).each(Object.entries(SHORT))(
    `%s runs${LONG ? "" : " (skipped: long; RTM_TEST_LONG=1)"}`,
    { timeout: 600_000 },
    (script, args) => {
      const run = npm(script, ...args);
      expect(run.stderr).toBe("");
      expect(run.status, run.stdout).toBe(0);
      expect(run.stdout.split("\n").length).toBeGreaterThan(5);
    },
  );
});

/** Each command once, with what ends it at once, its exit code and a part of its output. */
const COMMANDS: Readonly<
  Record<string, readonly [args: readonly string[], code: number, output: RegExp]>
> = {
  serve: [[], 2, /database\.connectString is needed/],
  worker: [[], 2, /worker\.publishUrl is needed/],
  relay: [["--config", "/nonexistent"], 2, /cannot be read/],
  demo: [["--port", "80000"], 2, /at most 65535/],
  init: [["--help"], 0, /Usage: rtm init/],
  "check-config": [["--sample"], 0, /"connectString"/],
  doctor: [["--url", "http://127.0.0.1:9"], 1, /FAILED +relay/],
  "db install": [[], 2, /database\.connectString is needed/],
  "db uninstall": [[], 2, /--yes/],
  "db verify": [[], 2, /database\.connectString is needed/],
  "db status": [[], 2, /database\.connectString is needed/],
  publish: [["a", "{"], 2, /is not JSON/],
  revoke: [[], 2, /exactly one of/],
  disconnect: [[], 2, /exactly one of/],
  channels: [["--url", "http://127.0.0.1:9"], 1, /cannot be reached/],
  history: [["a", "-n", "0"], 2, /1 to 1000/],
  members: [["a", "--url", "http://127.0.0.1:9"], 1, /cannot be reached/],
  tail: [["a", "--url", "http://127.0.0.1:9"], 1, /ECONNREFUSED/],
  top: [["--once", "--url", "http://127.0.0.1:9"], 1, /cannot be reached/],
  "token mint": [["a", "--sub", "x"], 1, /there is no secret to sign with/],
  "token explain": [[], 1, /"valid": false/],
};

function leaves(command: Command, path: readonly string[] = []): string[] {
  if (command.commands.length === 0) return [path.join(" ")];
  return command.commands.flatMap((child) => leaves(child, [...path, child.name()]));
}

describe("commands", () => {
  it("are all here", () => {
    expect(Object.keys(COMMANDS).sort()).toEqual(leaves(program()).sort());
  });

  it.each(Object.entries(COMMANDS))("rtm %s", (name, [args, code, output]) => {
    const cwd = temporaryDirectory();
    const run = spawnSync(
      process.execPath,
      [join(process.cwd(), built("cli/rtm.js")), ...name.split(" "), ...args],
      {
        cwd,
        encoding: "utf8",
        input: "",
        env: { PATH: process.env.PATH, RTM_RELAY_INSECURE: "true" },
        timeout: 60_000,
      },
    );
    expect(run.stdout + run.stderr).toMatch(output);
    expect(run.status).toBe(code);
  });
});
