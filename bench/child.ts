/** A process of a benchmark: it is told commands and answers with reports. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

export class Child<Command extends object, Report extends { readonly is: string }> {
  readonly #process: ChildProcess;
  readonly #reports: Report[] = [];
  readonly #deadlineMs: number;

  /** @param options `node`: options of Node.js; `deadlineMs`: longest wait for one report */
  constructor(
    script: URL,
    args: readonly string[],
    options: { readonly node?: readonly string[]; readonly deadlineMs: number },
  ) {
    this.#deadlineMs = options.deadlineMs;
    this.#process = fork(script, args, { execArgv: ["--expose-gc", ...(options.node ?? [])] });
    this.#process.on("message", (report: Report) => this.#reports.push(report));
  }

  tell(command: Command): void {
    this.#process.send(command);
  }

  async expect<I extends Report["is"]>(is: I): Promise<Extract<Report, { is: I }>> {
    const deadline = AbortSignal.timeout(this.#deadlineMs);
    for (;;) {
      const index = this.#reports.findIndex((report) => report.is === is);
      if (index >= 0) return this.#reports.splice(index, 1)[0] as Extract<Report, { is: I }>;
      const heard = new AbortController();
      const signal = AbortSignal.any([deadline, heard.signal]);
      try {
        const first = await Promise.race([
          once(this.#process, "message", { signal }).then(() => "message"),
          once(this.#process, "exit", { signal }).then(() => "exit"),
        ]);
        if (first === "exit") throw new Error(`a process ended before it reported ${is}`);
      } finally {
        heard.abort();
      }
    }
  }

  /** Halts the process, or lets it go on, without its knowing. */
  halt(yes: boolean): void {
    this.#process.kill(yes ? "SIGSTOP" : "SIGCONT");
  }

  /** Tells it to stop and waits for its end. */
  async stop(command: Command): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const exit = once(this.#process, "exit");
    this.tell(command);
    await exit;
  }
}
