/** The built `rtm` as a child process, and directories that go away with the test. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, onTestFinished } from "vitest";

export const RTM = "build/cli/rtm.js";

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "rtm-ops-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Whether a program can be run; `describe.skipIf(!has("nginx"))` says the rest. */
export function has(program: string): boolean {
  return spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
}

const running = new Set<ChildProcess>();

const STOP_LIMIT_MS = 10_000;

afterEach(async () => {
  for (const child of running) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const exited = once(child, "exit");
    // SIGKILL would leave the children of a child behind.
    child.kill("SIGTERM");
    const force = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
    await exited;
    clearTimeout(force);
  }
  running.clear();
});

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A child whose output is kept. It is stopped after the test if it still runs. */
export class Program {
  readonly child: ChildProcess;
  stdout = "";
  stderr = "";
  readonly finished: Promise<Finished>;

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.child = spawn(command, args, { env, stdio: ["pipe", "pipe", "pipe"] });
    running.add(this.child);
    this.child.stdout!.on("data", (data) => {
      this.stdout += data;
    });
    this.child.stderr!.on("data", (data) => {
      this.stderr += data;
    });
    this.finished = once(this.child, "close").then(([code]) => ({
      code: code as number | null,
      stdout: this.stdout,
      stderr: this.stderr,
    }));
  }
}

/** `rtm` with arguments. Of the test's own environment only PATH is passed on. */
export function rtm(args: readonly string[], env: NodeJS.ProcessEnv = {}, input = ""): Program {
  const program = new Program(process.execPath, [RTM, ...args], { PATH: process.env.PATH, ...env });
  program.child.stdin!.end(input);
  return program;
}
