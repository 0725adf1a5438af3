/**
 * What the relay remembers, and the proof that a subscriber can be given everything it missed.
 * Pure: times come from the caller, in ms of a clock that never jumps.
 */
import type { Since } from "../contract/protocol.ts";
import { ChannelHistory, type Entry, type LinkedEntry } from "./channel-history.ts";

/**
 * What a kept message takes in memory beside its frame, and a channel that has some, bytes. Measured on
 * Node 20 (x64) with 200,000 channels of one message and with 20,000 of ten; slabs that are not full
 * are in it.
 */
export const ENTRY_COST = 800;
export const CHANNEL_COST = 700;

export interface HistoryLimits {
  /** Messages per channel; 0 keeps none. */
  readonly count: number;
  /** Bytes of frames per channel. */
  readonly bytes: number;
  /** Ms a message is kept. */
  readonly age: number;
  readonly totalCount: number;
  /** Bytes of memory for all of it: frames, `ENTRY_COST` and `CHANNEL_COST`. */
  readonly totalBytes: number;
}

/** Where a subscription starts. */
export interface Recovery {
  readonly recovered: boolean;
  /** `seq` of the first message to replay; the channel's next one when nothing is replayed. */
  readonly from: number;
}

/** The logs of all channels inside their common limits. */
export class History {
  readonly #limits: HistoryLimits;
  #oldest: LinkedEntry | undefined;
  #newest: LinkedEntry | undefined;
  #count = 0;
  /** As `HistoryLimits.totalBytes` counts them. */
  #bytes = 0;
  #emptied = 0;
  /** Where channels go on that are not known; undefined: above all numbers that were forgotten. */
  readonly #heads: Map<string, number> | undefined;
  #forgottenSeq = 0;
  #forgottenAt: number;
  #provableSince: number;

  /**
   * @param startedAt ms of the monotonic clock. Of what was accepted before it nothing is known,
   *   so no age that reaches behind it can be recovered.
   * @param heads `seq` of the last message of channels that have some, when numbers go on exactly
   */
  constructor(
    limits: HistoryLimits,
    startedAt: number,
    heads?: ReadonlyMap<string, number> | undefined,
  ) {
    this.#limits = limits;
    this.#heads = heads && new Map(heads);
    this.#forgottenAt = startedAt;
    this.#provableSince = startedAt;
  }

  get count(): number {
    return this.#count;
  }

  /** Memory that it takes, bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How often a channel has lost its last message. */
  get emptied(): number {
    return this.#emptied;
  }

  /** `seq` of the last message of a channel that was never seen, or was forgotten. */
  headOf(channel: string): number {
    return this.#heads ? (this.#heads.get(channel) ?? 0) : this.#forgottenSeq;
  }

  /** The history of a channel that was never seen, or was forgotten. */
  open(channel: string): ChannelHistory {
    return new ChannelHistory(this.headOf(channel), this.#forgottenAt);
  }

  /** The history of a channel whose messages from `seq` on are appended next. */
  openAt(seq: number): ChannelHistory {
    return new ChannelHistory(seq - 1, this.#forgottenAt);
  }

  /** Remembers that `history` existed: its numbers are never given out again. */
  forget(channel: string, history: ChannelHistory): void {
    while (this.#evict(history));
    if (this.#heads) this.#heads.set(channel, history.seq);
    else this.#forgottenSeq = Math.max(this.#forgottenSeq, history.seq);
    this.#forgottenAt = Math.max(this.#forgottenAt, history.evictedAt);
  }

  /** Appends the channel's next message and evicts what no longer fits. */
  append(history: ChannelHistory, entry: Entry): void {
    history.seq = entry.seq;
    const kept: LinkedEntry = { entry, history, older: this.#newest, newer: undefined };
    if (this.#newest) this.#newest.newer = kept;
    else this.#oldest = kept;
    this.#newest = kept;
    if (history.size === 0) this.#bytes += CHANNEL_COST;
    history.push(kept);
    this.#count++;
    this.#bytes += entry.frame.length + ENTRY_COST;
    const { count, bytes, totalCount, totalBytes } = this.#limits;
    while (history.size > count || history.bytes > bytes) this.#evict(history);
    while (this.#oldest && (this.#count > totalCount || this.#bytes > totalBytes)) {
      this.#evict(this.#oldest.history);
    }
  }

  /** Evicts what is too old at `now`. */
  expire(now: number): void {
    while (this.#oldest && this.#oldest.entry.at < now - this.#limits.age) {
      this.#evict(this.#oldest.history);
    }
  }

  /**
   * All or nothing: `recovered` only when everything after `since` is remembered.
   * @param epoch the epoch of the positions in `history`
   * @param marginMs how much older than said an age may be
   */
  recover(
    history: ChannelHistory,
    since: Since | undefined,
    { epoch, now, marginMs }: { epoch: string; now: number; marginMs: number },
  ): Recovery {
    const nothing: Recovery = { recovered: false, from: history.seq + 1 };
    if (since === undefined) return nothing;
    if ("ageMs" in since) {
      const point = now - since.ageMs - marginMs;
      return point > history.evictedAt && point > this.#provableSince
        ? { recovered: true, from: history.firstSince(point) }
        : nothing;
    }
    if (!("epoch" in since)) return nothing;
    const { seq } = since;
    return since.epoch === epoch && seq <= history.seq && seq >= history.evictedSeq
      ? { recovered: true, from: seq + 1 }
      : nothing;
  }

  /**
   * Takes over what an earlier process knew.
   * @param provableSince ms of the monotonic clock; ages that reach behind it are not recovered
   */
  resume(forgottenSeq: number, forgottenAt: number, provableSince: number): void {
    this.#forgottenSeq = forgottenSeq;
    this.#forgottenAt = forgottenAt;
    this.#provableSince = provableSince;
  }

  /** What `resume` needs. */
  get floor(): { forgottenSeq: number; forgottenAt: number; provableSince: number } {
    return {
      forgottenSeq: this.#forgottenSeq,
      forgottenAt: this.#forgottenAt,
      provableSince: this.#provableSince,
    };
  }

  #evict(history: ChannelHistory): boolean {
    const kept = history.shift();
    if (!kept) return false;
    if (kept.older) kept.older.newer = kept.newer;
    else this.#oldest = kept.newer;
    if (kept.newer) kept.newer.older = kept.older;
    else this.#newest = kept.older;
    this.#count--;
    this.#bytes -= kept.entry.frame.length + ENTRY_COST;
    if (history.size === 0) {
      this.#bytes -= CHANNEL_COST;
      this.#emptied++;
    }
    return true;
  }
}
