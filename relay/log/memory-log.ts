/**
 * The log of a single node, in its memory and synchronous. It keeps no messages of its own: the reader's
 * history is the only copy, so the reader says which number a channel is at. Facts it does keep.
 */
import { randomUUID } from "node:crypto";
import type { Message } from "../contract/message.ts";
import { DuplicateWindow, type WindowLimits } from "./duplicates.ts";
import { type Fact, FactTables, isFact, type Notice } from "./fact.ts";
import type { Appended, AppendOptions, Log, LogReader, Noted, ResetReason } from "./log.ts";
import { keptUntil } from "./retained-value.ts";

/** How often ids that are too old are forgotten, ms. */
const EXPIRE_MS = 5000;

export interface MemoryLogOptions {
  readonly duplicates: WindowLimits;
  /** The monotonic clock, ms. */
  readonly clock: () => number;
}

/**
 * The log of one node. Everything is answered in the same turn; `resume` and the tables take over
 * an earlier process.
 */
export class MemoryLog implements Log {
  readonly keepsHeads = false;
  duplicates: DuplicateWindow;
  /** Facts of an earlier process are put into it before `follow` or `resume`. */
  readonly tables = new FactTables();
  readonly #options: MemoryLogOptions;
  #epoch = "";
  #reader: LogReader | undefined;
  /** The highest fencing token of each source that has one. */
  readonly #fences = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: MemoryLogOptions) {
    this.#options = options;
    this.duplicates = new DuplicateWindow(options.duplicates);
  }

  get epoch(): string {
    return this.#epoch;
  }

  append(batch: readonly Message[], { source, ownIds }: AppendOptions): readonly Appended[] {
    const reader = this.#reader;
    if (!reader) {
      const closed = { status: "unavailable", code: "unavailable" } as const;
      return batch.map(() => ({ ...closed, message: "the log is closed" }));
    }
    const highest = this.#fences.get(source.name) ?? 0;
    if (source.fence !== undefined && source.fence < highest) {
      const message = `the token ${source.fence} is older than ${highest}`;
      return batch.map(() => ({ status: "fenced", code: "fenced", message }));
    }
    if (source.fence !== undefined) this.#fences.set(source.name, source.fence);
    const now = this.#options.clock();
    return batch.map((message) => {
      const { channel, id } = message;
      if (!ownIds) {
        const seen = this.duplicates.find(source.name, channel, id, now);
        if (seen !== undefined) return { status: "accepted", seq: seen, duplicate: true };
      }
      const seq = reader.headOf(channel) + 1;
      if (!ownIds) this.duplicates.add(source.name, channel, id, now, seq);
      const until = keptUntil(message);
      reader.apply([
        until === undefined ? { ...message, seq } : { ...message, seq, keptUntil: until },
      ]);
      return { status: "accepted", seq, duplicate: false };
    });
  }

  note(batch: readonly Notice[]): readonly Noted[] {
    const reader = this.#reader;
    if (!reader) return batch.map(() => ({ status: "unavailable", message: "the log is closed" }));
    const applied: Notice[] = [];
    const answers = batch.map((notice): Noted => {
      const outcome = isFact(notice) ? this.tables.apply(notice) : "applied";
      if (outcome === "refused") {
        return { status: "refused", message: `node ${(notice as Fact).owner} is gone` };
      }
      if (outcome === "applied") applied.push(notice);
      return { status: "accepted" };
    });
    if (applied.length > 0) reader.notice(applied);
    return answers;
  }

  async follow(reader: LogReader): Promise<void> {
    this.#reader = reader;
    this.#timer = setInterval(
      () => this.duplicates.expire(this.#options.clock()),
      EXPIRE_MS,
    ).unref();
    this.#begin(randomUUID(), "start");
    reader.current(true);
  }

  /** Another node may have served meanwhile: positions and ids of before are worth nothing. */
  beginAnew(): void {
    this.duplicates = new DuplicateWindow(this.#options.duplicates);
    this.tables.dropNodes();
    this.#begin(randomUUID(), "lost");
  }

  /**
   * Goes on with the epoch of an earlier process, before anything was appended. What it knew is put
   * into the reader and into `duplicates` by the caller.
   */
  resume(epoch: string): void {
    this.#begin(epoch, "start");
  }

  #begin(epoch: string, reason: ResetReason): void {
    this.#epoch = epoch;
    const facts = this.tables.all();
    this.#reader?.reset({ epoch, reason, heads: new Map(), messages: [], facts });
  }

  /** Whoever appends here has been applied here. */
  async caughtUp(): Promise<boolean> {
    return true;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#reader = undefined;
  }
}
