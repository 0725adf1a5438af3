/**
 * Revocations on disk: written before they are answered, so that no crash gives a token its rights back.
 * A line of JSON each; the newest line of a key with the highest rank counts. A last line that was cut
 * off by a crash had no answer yet. No clock decides what is kept, since one that is wrong for a moment
 * would wipe it: the file holds those that end last.
 */
import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { messageOf, RtmError } from "../../common/errors.ts";
import type { Logger } from "../../common/logger.ts";
import { makeDirectory } from "../../common/make-directory.ts";
import { EVERY_TOKEN, isCovered } from "../access/revocations.ts";
import type { Fact } from "../log/fact.ts";
import { type RevocationFact, revocationFact, revocationOf } from "./revocation-fact.ts";

const FILE = "relay-revoked.jsonl";
/** A larger file is not ours: 100,000 revocations with names of usual length have 20 MB. */
const MAX_BYTES = 256 * 1024 * 1024;
/** A smaller file is not worth writing anew. */
const COMPACT_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;
const WAY_OUT =
  "bring back a sound copy or the version that wrote it, or move it away: then what was revoked over " +
  "REST is to be revoked again";

const line = z.strictObject({
  key: z.string().min(1),
  before: z.number().int().min(0),
  untilMs: z.number().int().min(0),
});

/**
 * Writes `text` to the end of the file that the flags open, and waits until it is on the disk. What
 * could not be written whole is taken back.
 */
function write(path: string, flags: string, text: string): void {
  const descriptor = openSync(path, flags, 0o600);
  try {
    const { size } = fstatSync(descriptor);
    try {
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
      fsyncSync(descriptor);
    } catch (error) {
      if (text !== "") ftruncateSync(descriptor, size);
      throw error;
    }
  } finally {
    closeSync(descriptor);
  }
}

function lineOf({ key, rank, untilMs }: Fact): string {
  return `${JSON.stringify({ key, before: rank, untilMs })}\n`;
}

function factOf(text: string): Fact | undefined {
  try {
    const { key, ...revocation } = line.parse(JSON.parse(text));
    return revocationFact(key, revocation);
  } catch {
    return undefined;
  }
}

/** Adds those that say more than what is there. */
function addNewer(facts: Map<string, Fact>, added: Iterable<Fact>): void {
  for (const fact of added) {
    if ((facts.get(fact.key)?.rank ?? -1) < (fact.rank ?? 0)) facts.set(fact.key, fact);
  }
}

export class RevocationFile {
  readonly #directory: string;
  readonly #path: string;
  readonly #log: Logger;
  readonly #most: number;
  /** What is on the disk, by key. */
  #kept = new Map<string, Fact>();
  #bytes = 0;
  #compactAt = COMPACT_BYTES;

  /** @param most how many are kept, those that end last */
  constructor(directory: string, log: Logger, most: number) {
    this.#directory = directory;
    this.#path = join(directory, FILE);
    this.#log = log;
    this.#most = most;
  }

  /**
   * All that is kept, also what has ended.
   * @throws {RtmError} RTM_STATE_DIRECTORY: a relay that does not know what is revoked must not start
   */
  open(): readonly Fact[] {
    this.#kept = this.#read();
    try {
      makeDirectory(this.#directory, 0o700);
      this.#rewrite(this.#kept);
    } catch (error) {
      // A disk may be full now and have room again; what is there stays as it is.
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw this.#unusable("write", error);
      this.#log.warn({ path: this.#path, reason: messageOf(error) }, "no room for revocations");
    }
    return [...this.#kept.values()];
  }

  /**
   * Nothing is written for what is there already. False, and the log says why, when it is not on the
   * disk.
   */
  append(facts: readonly Fact[]): boolean {
    const added = new Map<string, Fact>();
    addNewer(
      added,
      facts.filter(({ key, rank = 0 }) => (this.#kept.get(key)?.rank ?? -1) < rank),
    );
    if (added.size === 0) return true;
    try {
      // The line before may have been cut off, by another process.
      const text = `\n${[...added.values()].map(lineOf).join("")}`;
      const size = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
      const bytes = size + Buffer.byteLength(text);
      // It is smaller when somebody has removed it.
      if (size < this.#bytes || bytes > this.#compactAt) {
        const all = this.#read();
        addNewer(all, this.#kept.values());
        addNewer(all, added.values());
        this.#rewrite(all);
        return true;
      }
      write(this.#path, "a", text);
      this.#bytes = bytes;
      addNewer(this.#kept, added.values());
      return true;
    } catch (error) {
      const reason = messageOf(error);
      this.#log.error({ path: this.#path, reason }, "a revocation could not be kept on the disk");
      return false;
    }
  }

  /**
   * Exchanges the file for one with only these, of them those that end last, without any for which one of
   * every token stands.
   */
  #rewrite(facts: ReadonlyMap<string, Fact>): void {
    const every = facts.get(EVERY_TOKEN);
    const said = (fact: Fact) => revocationOf(fact as RevocationFact);
    const by = every && said(every);
    const others = [...facts.values()].filter(
      (fact) => fact !== every && !isCovered(said(fact), by),
    );
    others.sort((a, b) => (b.untilMs as number) - (a.untilMs as number));
    const byEnd = [...(every ? [every] : []), ...others];
    const kept = byEnd.slice(0, this.#most).reverse();
    const text = kept.map(lineOf).join("");
    const bytes = Buffer.byteLength(text);
    if (bytes > MAX_BYTES) throw new Error(`${kept.length} revocations have ${bytes} bytes`);
    const temporary = `${this.#path}.${process.pid}`;
    rmSync(temporary, { force: true });
    write(temporary, "wx", text);
    renameSync(temporary, this.#path);
    write(this.#directory, "r", "");
    this.#kept = new Map(kept.map((fact) => [fact.key, fact]));
    this.#bytes = bytes;
    this.#compactAt = Math.min(MAX_BYTES, Math.max(COMPACT_BYTES, 2 * bytes));
  }

  #read(): Map<string, Fact> {
    const facts = new Map<string, Fact>();
    let content: Buffer;
    try {
      const { size } = statSync(this.#path);
      if (size > MAX_BYTES) {
        throw new Error(`it has ${size} bytes, more than ${MAX_BYTES}; ${WAY_OUT}`);
      }
      content = readFileSync(this.#path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return facts;
      throw this.#unusable("read", error);
    }
    const end = content.lastIndexOf(NEWLINE) + 1;
    const last = content.subarray(end).toString();
    const lines = content.subarray(0, end).toString().split("\n");
    if (last !== "" && factOf(last)) lines.push(last);
    else if (last !== "") this.#cut(end);
    for (const [index, text] of lines.entries()) {
      if (text === "") continue;
      const fact = factOf(text);
      if (!fact) {
        const what = `line ${index + 1} is no revocation of this version`;
        throw this.#unusable("read", `${what}; ${WAY_OUT}`);
      }
      addNewer(facts, [fact]);
    }
    return facts;
  }

  #cut(end: number): void {
    this.#log.warn({ path: this.#path }, "the last line was cut off by a crash and is left out");
    try {
      truncateSync(this.#path, end);
    } catch (error) {
      throw this.#unusable("write", error);
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
