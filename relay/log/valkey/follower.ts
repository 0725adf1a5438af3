/**
 * Follows the log: feeds the reader entry by entry, checks the chain, and knows since when it knows.
 *
 * A read proves nothing, least of all an empty one: it works on an engine that was flushed, on a
 * replica, on a copy. So after every empty read, and once a second anyway, the probe asks the same
 * connection whether this is still the engine whose history was applied here, and how long the log
 * is. Once everything up to that length is applied, nothing that was appended before the probe was
 * sent can be missing: that moment is what `grace` is counted from.
 */
import { type Bounds, retryForever, sleep } from "../../../common/backoff.ts";
import { messageOf, RtmError } from "../../../common/errors.ts";
import { type Logger, RateLimitedLog } from "../../../common/logger.ts";
import type { LogReader, ResetReason } from "../log.ts";
import { type Attached, attach } from "./attach.ts";
import { type EngineAddress, EngineConnection } from "./connection.ts";
import { EntryDecoder, type LogEntry, parseEntry } from "./entry.ts";
import { EngineDeniedError, EngineUnreachableError, EngineUnsuitableError } from "./errors.ts";
import type { EngineKeys } from "./keys.ts";
import type { Knowledge } from "./knowledge.ts";
import { needRights } from "./rights.ts";
import type { LogStats } from "./stats.ts";
import { Trimming } from "./trimming.ts";
import { warmUp } from "./warm-up.ts";

/** How long a read waits for the next entry, and how long there is no probe, at most, ms. */
const PROBE_MS = 1000;
/** Entries of one read. */
const READ_ENTRIES = 16;
/** Waits between two connections. */
export const RECONNECT: Bounds = { baseMs: 100, capMs: 2000 };
/** Wait before a view of the log is tried again that was trimmed while it was read, ms. */
const RETRY_VIEW_MS = 50;

export interface FollowerOptions {
  readonly address: EngineAddress;
  readonly keys: EngineKeys;
  readonly knowledge: Knowledge;
  readonly retention: { readonly bytes: number; readonly age: number };
  /** Not known to be current for longer than this: the reader is told, ms. */
  readonly grace: number;
  readonly log: Logger;
  readonly stats: LogStats;
  /** The monotonic clock, ms. */
  readonly clock: () => number;
}

export class Follower {
  readonly #options: FollowerOptions;
  readonly #warnings: RateLimitedLog;
  readonly #decoder = new EntryDecoder();
  readonly #trimming: Trimming;
  readonly #waiting = new Set<() => void>();
  #reader: LogReader | undefined;
  /** The epoch last told to the reader; empty before the first. */
  epoch = "";
  /** The engine's process on which that was learned. */
  runId = "";
  #generation = 0;
  /** The reader must begin anew although the epoch may be the same. */
  #broken = false;
  /** Everything appended before this moment has been applied, ms of the clock. */
  #provenAt = Number.NEGATIVE_INFINITY;
  #unproven: { readonly sentAt: number; readonly n: number } | undefined;
  #current = false;
  #detail = "the log has not been reached yet";
  #onBegun: (() => void) | undefined;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#trimming = new Trimming(options.retention);
    this.#warnings = new RateLimitedLog(options.log, 60_000);
  }

  get current(): boolean {
    return this.#current;
  }

  /** Entries that exist and are not applied yet, as far as is known. */
  get lag(): number {
    return Math.max(0, (this.#unproven?.n ?? 0) - this.#options.knowledge.cursor.n);
  }

  get engineBytes(): number {
    return this.#trimming.bytes;
  }

  /** The first entry to keep in `epoch`; 0 when this follower cannot say. */
  keepFrom(epoch: string): number {
    return epoch === this.epoch ? this.#trimming.keepFrom(this.#options.clock()) : 0;
  }

  /**
   * Follows until the signal; `onBegun` is called once, when the reader is current for the first time
   * or the first attempt has failed. Rejects only when that attempt finds the engine unsuitable, or
   * for a defect of ours.
   */
  async run(reader: LogReader, signal: AbortSignal, onBegun: () => void): Promise<void> {
    this.#reader = reader;
    const { grace, stats } = this.#options;
    const watch = setInterval(() => this.#watch(), Math.min(1000, grace / 4)).unref();
    let started = false;
    this.#onBegun = () => {
      started = true;
      onBegun();
    };
    let progress = false;
    try {
      await retryForever(
        async () => {
          progress = false;
          await this.#connection(signal, () => {
            progress = true;
          });
        },
        {
          bounds: RECONNECT,
          signal,
          madeProgress: () => progress,
          shouldRetry: (error) =>
            started ||
            !(error instanceof EngineUnsuitableError || error instanceof EngineDeniedError),
          onRetry: ({ error, delayMs }) => {
            this.#onBegun?.();
            stats.reconnects++;
            this.#detail = messageOf(error);
            this.#warnings.warn(
              (error as { code?: string }).code ?? "defect",
              { err: error, delayMs },
              "the log is not heard",
            );
          },
        },
      );
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      clearInterval(watch);
    }
  }

  /**
   * Resolves to true once everything up to entry `n` of that generation, or anything of a later one,
   * is applied, as learned on the engine's process `runId`.
   */
  reached({ runId, epoch, generation, n }: Attached, ms: number): Promise<boolean> {
    const holds = () =>
      this.runId === runId &&
      (this.epoch === epoch
        ? this.#options.knowledge.cursor.n >= n
        : this.#generation > generation);
    if (holds()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const check = () => {
        if (holds()) end(true);
      };
      const end = (result: boolean) => {
        clearTimeout(timer);
        this.#waiting.delete(check);
        resolve(result);
      };
      const timer = setTimeout(() => end(false), ms);
      this.#waiting.add(check);
    });
  }

  async #connection(signal: AbortSignal, onProgress: () => void): Promise<void> {
    const connection = await EngineConnection.open(this.#options.address, signal);
    const onAbort = () => connection.destroy(new EngineUnreachableError("the node is stopping"));
    signal.addEventListener("abort", onAbort);
    try {
      await needRights(connection, this.#options.keys);
      await this.#follow(connection, onProgress);
    } catch (error) {
      // Half an entry may have been applied; nobody can tell which half.
      if (!(error instanceof RtmError)) this.#broken = true;
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
      connection.destroy(new EngineUnreachableError("the connection was given up"));
    }
  }

  async #follow(connection: EngineConnection, onProgress: () => void): Promise<never> {
    const { clock, grace, knowledge } = this.#options;
    const probeMs = Math.min(PROBE_MS, grace / 4);
    let probedAt = Number.NEGATIVE_INFINITY;
    /** Number of the last entry that must exist. */
    let expected = 0;
    for (;;) {
      if (clock() - probedAt >= probeMs) {
        probedAt = clock();
        const last = await this.#probe(connection, probedAt);
        onProgress();
        // The view took a while; only a probe after it tells whether it is current.
        if (last === undefined) {
          probedAt = Number.NEGATIVE_INFINITY;
          continue;
        }
        expected = last;
      }
      // Without waiting when there must be something: an empty answer then says that it is trimmed.
      const waits = knowledge.cursor.n >= expected;
      const entries = await this.#read(connection, waits ? probeMs : undefined);
      if (entries.length > 0) {
        if (!this.#take(entries)) probedAt = Number.NEGATIVE_INFINITY;
        continue;
      }
      if (!waits) this.#broken = true;
      probedAt = Number.NEGATIVE_INFINITY;
    }
  }

  /** Number of the last entry; undefined when everything began anew. */
  async #probe(connection: EngineConnection, sentAt: number): Promise<number | undefined> {
    const { keys, knowledge } = this.#options;
    const attached = await attach(connection, keys, knowledge, this.keepFrom(this.epoch));
    if (attached.epoch !== this.epoch || this.#broken) {
      await this.#restart(connection, attached);
      return undefined;
    }
    this.runId = attached.runId;
    this.#unproven = { sentAt, n: attached.n };
    this.#progressed();
    return attached.n;
  }

  /** Everything anew, from one view of the log. */
  async #restart(connection: EngineConnection, attached: Attached): Promise<void> {
    const { keys, knowledge, clock, log, stats } = this.#options;
    let begun = attached;
    let view = await warmUp(connection, keys, knowledge, begun);
    while (!view) {
      await sleep(RETRY_VIEW_MS);
      begun = await attach(connection, keys, knowledge);
      view = await warmUp(connection, keys, knowledge, begun);
    }
    const reason: ResetReason =
      this.epoch === "" ? "start" : this.epoch === begun.epoch ? "behind" : "lost";
    const why = attached.why || begun.why;
    this.epoch = begun.epoch;
    this.#generation = view.generation;
    this.runId = begun.runId;
    this.#broken = false;
    this.#unproven = undefined;
    knowledge.restart(view.end);
    this.#trimming.clear();
    for (const { n, total } of view.entries) this.#trimming.add(n, total, clock());
    stats.reset(reason);
    log[reason === "start" ? "info" : "warn"](
      { epoch: this.epoch, reason, why, entries: view.entries.length, channels: view.heads.size },
      reason === "start" ? "following the log" : "the log begins anew: pages are told to refresh",
    );
    const { heads, messages, facts } = view;
    this.#reader?.reset({ epoch: this.epoch, reason, heads, messages, facts });
    this.#wake();
  }

  async #read(connection: EngineConnection, blockMs: number | undefined): Promise<LogEntry[]> {
    const { keys, knowledge } = this.#options;
    const block = blockMs === undefined ? [] : ["BLOCK", Math.max(1, Math.round(blockMs))];
    const reply = (await connection.call(
      "XREAD",
      [
        "COUNT",
        READ_ENTRIES,
        ...block,
        "STREAMS",
        keys.log,
        `${this.#generation}-${knowledge.cursor.n}`,
      ],
      blockMs,
    )) as readonly [[string, readonly [string, readonly string[]][]]] | null;
    return reply ? reply[0][1].map(parseEntry) : [];
  }

  /** False at the first entry that does not follow: the engine must be asked what this means. */
  #take(entries: readonly LogEntry[]): boolean {
    const { knowledge, clock, stats } = this.#options;
    for (const { generation, n, previous, token, total, body } of entries) {
      if (generation !== this.#generation) return false;
      const { cursor } = knowledge;
      if (n !== cursor.n + 1 || previous !== cursor.token || !knowledge.advance(n, token)) {
        // When the engine says that the epoch is the same, this node fell out of the log.
        this.#broken = true;
        return false;
      }
      const runs = this.#decoder.runs(body);
      this.#trimming.add(n, total, clock());
      stats.entry(runs.reduce((sum, { messages }) => sum + messages.length, 0));
      for (const { messages, notices } of runs) {
        if (messages.length > 0) this.#reader?.apply(messages);
        if (notices.length > 0) this.#reader?.notice(notices);
      }
    }
    this.#progressed();
    return true;
  }

  #progressed(): void {
    const { knowledge } = this.#options;
    if (this.#unproven && knowledge.cursor.n >= this.#unproven.n) {
      this.#provenAt = this.#unproven.sentAt;
      this.#unproven = undefined;
      this.#watch();
    }
    this.#wake();
  }

  #wake(): void {
    for (const check of [...this.#waiting]) check();
  }

  #watch(): void {
    const { clock, grace } = this.#options;
    const current = clock() - this.#provenAt <= grace;
    if (current === this.#current) return;
    this.#current = current;
    this.#reader?.current(current, current ? undefined : this.#detail);
    if (!current) return;
    this.#onBegun?.();
    this.#onBegun = undefined;
  }
}
