/** Child processes of tests: the built `rtm` and others, with their output; and temporary directories. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, onTestFinished } from "vitest";
import { built } from "./build.ts";

/** Removed when the test has finished; tried again while a program that ends still writes into it. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "rtm-test-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true, maxRetries: 10 }));
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

/** A child whose output is kept. */
export class Program {
  readonly child: ChildProcess;
  stdout = "";
  stderr = "";
  /** Both in the order in which they came; a test may empty it. */
  output = "";
  readonly exited: Promise<number | null>;
  readonly finished: Promise<Finished>;

  /** @param life `test`: it is stopped after the test if it still runs; `file`: the file ends it */
  constructor(
    command: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv = process.env,
    life: "test" | "file" = "test",
  ) {
    this.child = spawn(command, args, { env, stdio: ["pipe", "pipe", "pipe"] });
    if (life === "test") running.add(this.child);
    this.child.stdout!.on("data", (data) => {
      this.stdout += data;
      this.output += data;
    });
    this.child.stderr!.on("data", (data) => {
      this.stderr += data;
      this.output += data;
    });
    this.exited = once(this.child, "exit").then(([code]) => code as number | null);
    this.finished = once(this.child, "close").then(([code]) => ({
      code: code as number | null,
      stdout: this.stdout,
      stderr: this.stderr,
    }));
  }

  /** Resolves with the match once the output has it. */
  async printed(pattern: RegExp, deadlineMs = 20_000): Promise<RegExpExecArray> {
    const end = performance.now() + deadlineMs;
    for (;;) {
      const match = pattern.exec(this.output);
      if (match) return match;
      if (performance.now() > end || this.child.exitCode !== null) {
        throw new Error(`it did not print ${pattern}:\n${this.output}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

/** The path of the built `rtm`. @throws when the build is older than its sources */
export function rtmPath(): string {
  return built("cli/rtm.js");
}

/** `rtm` with arguments. Of the test's own environment only PATH is passed on. */
export function rtm(args: readonly string[], env: NodeJS.ProcessEnv = {}, input = ""): Program {
  const program = new Program(process.execPath, [rtmPath(), ...args], {
    PATH: process.env.PATH,
    ...env,
  });
  program.child.stdin!.end(input);
  return program;
}
