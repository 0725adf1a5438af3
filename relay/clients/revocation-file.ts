/**
 * Revocations on disk, for a log in this process: written before they are answered, so that no crash
 * gives a token its rights back. A line of JSON each; the newest line of a key with the highest rank
 * counts. A line that was cut off by a crash had no answer yet.
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { messageOf, RtmError } from "../../common/errors.ts";
import type { Logger } from "../../common/logger.ts";
import type { Fact } from "../log/fact.ts";

const FILE = "relay-revoked.jsonl";

const line = z.strictObject({
  key: z.string().min(1),
  before: z.number().int().min(0),
  untilMs: z.number().int().min(0),
});

/** Writes `text` to the end of the file that the flags open, and waits until it is on the disk. */
function write(path: string, flags: string, text: string): void {
  const descriptor = openSync(path, flags, 0o600);
  try {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function lineOf({ key, rank, untilMs }: Fact): string {
  return JSON.stringify({ key, before: rank, untilMs });
}

export class RevocationFile {
  readonly #directory: string;
  readonly #path: string;
  readonly #log: Logger;

  constructor(directory: string, log: Logger) {
    this.#directory = directory;
    this.#path = join(directory, FILE);
    this.#log = log;
  }

  /**
   * What is in force of what is kept; the rest is removed.
   * @param now ms since 1970
   * @throws {RtmError} RTM_STATE_DIRECTORY: a relay that does not know what is revoked must not start
   */
  open(now: number): Fact[] {
    const facts = this.#read().filter(({ untilMs }) => (untilMs as number) > now);
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      const temporary = `${this.#path}.${process.pid}`;
      rmSync(temporary, { force: true });
      write(temporary, "wx", facts.map((fact) => `${lineOf(fact)}\n`).join(""));
      renameSync(temporary, this.#path);
      write(this.#directory, "r", "");
    } catch (error) {
      // A disk may be full now and have room again; what is there stays as it is.
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw this.#unusable("write", error);
      this.#log.warn({ path: this.#path, reason: messageOf(error) }, "no room for revocations");
    }
    return facts;
  }

  /** False, and the log says why, when it is not on the disk. */
  append(facts: readonly Fact[]): boolean {
    try {
      // The line before may have been cut off.
      write(this.#path, "a", facts.map((fact) => `\n${lineOf(fact)}\n`).join(""));
      return true;
    } catch (error) {
      const reason = messageOf(error);
      this.#log.error({ path: this.#path, reason }, "a revocation could not be kept on the disk");
      return false;
    }
  }

  #read(): Fact[] {
    let text: string;
    try {
      text = readFileSync(this.#path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw this.#unusable("read", error);
    }
    const facts = new Map<string, Fact>();
    for (const each of text.split("\n")) {
      if (each === "") continue;
      const fact = this.#parse(each);
      if (fact && (facts.get(fact.key)?.rank ?? -1) <= (fact.rank as number)) {
        facts.set(fact.key, fact);
      }
    }
    return [...facts.values()];
  }

  #parse(text: string): Fact | undefined {
    try {
      const { key, before, untilMs } = line.parse(JSON.parse(text));
      return { table: "revoked", key, value: JSON.stringify({ before }), rank: before, untilMs };
    } catch {
      this.#log.warn({ path: this.#path }, "a line that is no revocation was left out");
      return undefined;
    }
  }

  #unusable(action: string, cause: unknown): RtmError {
    return new RtmError(
      "RTM_STATE_DIRECTORY",
      `service.stateDirectory: cannot ${action} ${this.#path}: ${messageOf(cause)}`,
      { cause },
    );
  }
}
