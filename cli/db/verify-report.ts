/** What `rtm db verify` says: one line per check, the counts, and a file for an issue. */
import { writeFileSync } from "node:fs";
import { messageOf } from "../../common/errors.ts";
import { CommandError } from "../exit.ts";
import { VERSION } from "../version.ts";

export type CheckVerdict = "ok" | "FAILED" | "skipped";

export interface CheckResult {
  readonly check: string;
  readonly verdict: CheckVerdict;
  /** How long it took, ms. */
  readonly ms: number;
  /** What was found, why it failed, or why it was skipped. */
  readonly detail?: string | undefined;
}

/** Thrown by a check that cannot be made here. */
export class SkipCheck extends Error {}

/** `ok           12 ms  a rollback takes the message back`, as sql/verify prints its own. */
export function formatResult({ check, verdict, ms, detail }: CheckResult): string {
  const line = `${verdict.padEnd(8)}${String(Math.round(ms)).padStart(6)} ms  ${check}`;
  return (detail ? `${line}: ${detail}` : line).replace(/\s*\n\s*/g, " ");
}

/** The result in a line of sql/verify; undefined for its other lines. */
export function parseResult(line: string): CheckResult | undefined {
  const found = /^(ok|FAILED|skipped)\s+(\d+) ms {2}(.*)$/.exec(line);
  if (found === null) return undefined;
  return { verdict: found[1] as CheckVerdict, ms: Number(found[2]), check: found[3] as string };
}

export class VerifyReport {
  readonly #lines: string[] = [];
  readonly #results: CheckResult[] = [];
  readonly #print: (line: string) => void;

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  line(text: string): void {
    this.#lines.push(text);
    this.#print(text);
  }

  result(result: CheckResult): void {
    this.#results.push(result);
    this.line(formatResult(result));
  }

  /** Runs one check; what it returns is its detail. Never throws. */
  async check(name: string, run: () => Promise<string | undefined>): Promise<void> {
    const began = performance.now();
    const done = (verdict: CheckVerdict, detail?: string) =>
      this.result({ check: name, verdict, ms: performance.now() - began, detail });
    try {
      done("ok", await run());
    } catch (error) {
      if (error instanceof SkipCheck) done("skipped", error.message);
      else done("FAILED", messageOf(error));
    }
  }

  count(verdict: CheckVerdict): number {
    return this.#results.filter((result) => result.verdict === verdict).length;
  }

  get summary(): string {
    return `${this.count("ok")} ok, ${this.count("FAILED")} failed, ${this.count("skipped")} skipped`;
  }

  /** Writes what was printed, with the versions. No address, no user, no password. */
  save(file: string): void {
    const text = [
      "# rtm db verify",
      "",
      `- ${new Date().toISOString()}`,
      `- apex-rtm ${VERSION}, Node ${process.version}, ${process.platform} ${process.arch}`,
      `- ${this.summary}`,
      "",
      "```",
      ...this.#lines,
      "```",
      "",
    ].join("\n");
    try {
      writeFileSync(file, text, { flag: "wx" });
    } catch (error) {
      throw new CommandError(`the report cannot be written: ${messageOf(error)}`, { cause: error });
    }
  }
}
