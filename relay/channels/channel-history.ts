/** What is remembered of one channel. Pure: times come from the caller. */
import { Wanted } from "./newest.ts";

/** An accepted message in its encoded form. */
export interface Entry {
  readonly seq: number;
  /** When the relay accepted it, ms of the monotonic clock. */
  readonly at: number;
  readonly eventName: string;
  /** The WebSocket frame that all subscribers get. */
  readonly frame: Buffer;
  /** Where the payload's JSON text lies in `frame`, bytes. */
  readonly payloadStart: number;
  readonly payloadEnd: number;
}

/** A remembered entry, linked with its neighbours by age across all channels. */
export interface LinkedEntry {
  readonly entry: Entry;
  readonly history: ChannelHistory;
  older: LinkedEntry | undefined;
  newer: LinkedEntry | undefined;
}

/** A message by its number, or one that is not in the history. */
export type Chosen = number | Entry;

/** The newest messages of a channel. */
export interface Newest {
  /** In the channel's order. */
  readonly chosen: readonly Chosen[];
  /** As `Last.complete`. */
  readonly complete: boolean;
}

/** The messages of one channel that are still remembered: a run of `seq` without gaps. */
export class ChannelHistory {
  /** `seq` of the channel's last message; a new channel starts above all forgotten ones. */
  seq: number;
  /** `seq` of the last message that is no longer remembered. */
  evictedSeq: number;
  /** When that message had been accepted. */
  evictedAt: number;
  bytes = 0;
  #kept: (LinkedEntry | undefined)[] = [];
  #head = 0;

  constructor(seq: number, evictedAt: number) {
    this.seq = seq;
    this.evictedSeq = seq;
    this.evictedAt = evictedAt;
  }

  /** How many messages are remembered. */
  get size(): number {
    return this.#kept.length - this.#head;
  }

  /** The message `seq`; undefined when it is not remembered. */
  get(seq: number): Entry | undefined {
    return seq > this.evictedSeq
      ? this.#kept[this.#head + seq - this.evictedSeq - 1]?.entry
      : undefined;
  }

  *entries(): Generator<Entry> {
    for (let index = this.#head; index < this.#kept.length; index++) {
      yield (this.#kept[index] as LinkedEntry).entry;
    }
  }

  /** Messages `seq` to `last`, until they exceed `maxBytes`; one at least when there is one. */
  slice(seq: number, last: number, maxBytes: number): Entry[] {
    const result: Entry[] = [];
    let bytes = 0;
    for (let next = seq; next <= last; next++) {
      const entry = this.get(next);
      if (!entry || (result.length > 0 && bytes + entry.frame.length > maxBytes)) break;
      result.push(entry);
      bytes += entry.frame.length;
    }
    return result;
  }

  /** The first of the messages `chosen`, until they exceed `maxBytes` or one is not remembered. */
  pick(chosen: readonly Chosen[], maxBytes: number): Entry[] {
    const result: Entry[] = [];
    let bytes = 0;
    for (const one of chosen) {
      const entry = typeof one === "number" ? this.get(one) : one;
      if (!entry || (result.length > 0 && bytes + entry.frame.length > maxBytes)) break;
      result.push(entry);
      bytes += entry.frame.length;
    }
    return result;
  }

  /** Bytes of their frames. */
  bytesOf(chosen: readonly Chosen[]): number {
    let bytes = 0;
    for (const one of chosen) {
      bytes += (typeof one === "number" ? this.get(one) : one)?.frame.length ?? 0;
    }
    return bytes;
  }

  /** Bytes of the frames from `seq` on. */
  bytesFrom(seq: number): number {
    if (seq <= this.evictedSeq + 1) return this.bytes;
    let bytes = 0;
    for (let next = seq; next <= this.seq; next++) bytes += this.get(next)?.frame.length ?? 0;
    return bytes;
  }

  /**
   * The newest `count` messages of each event, as far as they are remembered.
   * @param events of these only; undefined: of all
   * @param kept beside the history: of an event the newest one, if it is not of an earlier epoch; in the
   * order of their numbers, 0 of an earlier epoch
   */
  newest(
    count: number,
    events: ReadonlySet<string> | undefined,
    kept: readonly Entry[] = [],
  ): Newest {
    const wanted = new Wanted(count, events);
    const seqs: number[] = [];
    for (let seq = this.seq; seq > this.evictedSeq && wanted.missing > 0; seq--) {
      if (wanted.take((this.get(seq) as Entry).eventName)) seqs.push(seq);
    }
    // The history has the newest of an event, or none of it.
    const older = wanted.isUntouched
      ? kept
      : kept.filter(({ eventName }) => wanted.hasNone(eventName));
    if (events) for (const { eventName, seq } of older) if (seq !== 0) wanted.take(eventName);
    // Nothing of this epoch was evicted, or what was is older than all that is wanted.
    const whole = this.evictedSeq === 0 || wanted.missing === 0;
    const complete = whole && !wanted.lacksAnEvent && older[0]?.seq !== 0;
    const chosen = [...older, ...seqs.reverse()];
    return { chosen, complete };
  }

  /** `seq` of the first message accepted at `at` or later; the next one when there is none. */
  firstSince(at: number): number {
    let low = this.evictedSeq + 1;
    let high = this.seq + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((this.get(middle) as Entry).at < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** @internal Called by `History` only. */
  push(kept: LinkedEntry): void {
    this.#kept.push(kept);
    this.bytes += kept.entry.frame.length;
  }

  /** @internal Called by `History` only. */
  shift(): LinkedEntry | undefined {
    const kept = this.#kept[this.#head];
    if (!kept) return undefined;
    this.#kept[this.#head++] = undefined;
    this.bytes -= kept.entry.frame.length;
    this.evictedSeq = kept.entry.seq;
    this.evictedAt = kept.entry.at;
    if (this.#head > 32 && this.#head * 2 > this.#kept.length) {
      this.#kept = this.#kept.slice(this.#head);
      this.#head = 0;
    }
    return kept;
  }
}
