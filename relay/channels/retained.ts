/**
 * Last values of channels: messages that outlive the history, one for each event (relay/log/retained-value.ts).
 * The log decides what is kept; with a log in this process, which keeps no messages, it is decided here.
 */
import type { Fact } from "../log/fact.ts";
import type { Numbered } from "../log/log.ts";
import type { FactReader } from "../log/notices.ts";
import {
  lastKey,
  type RetainedBounds,
  type RetainedDrop,
  readLast,
} from "../log/retained-value.ts";
import { Tally } from "../node/stats.ts";
import type { Entry } from "./channel-history.ts";
import { channelPrefix, encodeMessage } from "./encode.ts";
import { Ends } from "./ends.ts";

/** The `seq` of a message of an earlier epoch, where its number means nothing. */
const NO_NUMBER = 0;
/** Ends of values that are not here any more, beside twice those that are, before they are thrown out. */
const STALE_ENDS = 1000;

export interface RetainedEntry {
  readonly channel: string;
  /** Its frame has memory of its own. `seq` 0: of an earlier epoch. */
  readonly entry: Entry;
  /** Ms since 1970. */
  readonly untilMs: number;
}

/** What a channel holds. */
export interface RetainedFigures {
  readonly retained: number;
  /** Of the encoded messages. */
  readonly retainedBytes: number;
}

/** The values of one channel. */
interface ChannelValues {
  readonly byEvent: Map<string, RetainedEntry>;
  /** All of them, for whoever asks next: made when asked for, gone when one is set or removed. */
  list?: List | undefined;
}

interface List {
  /** As `Retained.of` gives them. */
  readonly entries: readonly Entry[];
  /** When the first of them ends, ms since 1970. */
  readonly endsMs: number;
}

function listOf(values: Iterable<RetainedEntry>, now: number): List {
  const entries: Entry[] = [];
  let endsMs = Number.POSITIVE_INFINITY;
  for (const { entry, untilMs } of values) {
    if (untilMs <= now) continue;
    entries.push(entry);
    endsMs = Math.min(endsMs, untilMs);
  }
  return { entries: entries.sort((a, b) => a.seq - b.seq), endsMs };
}

export interface RetainedOptions {
  /** Undefined: the log bounds its table itself, and tells what it removes. */
  readonly bounds: RetainedBounds | undefined;
  readonly epoch: () => string;
}

/**
 * The last values that this node knows: those of the table `last`, or with a log in this process
 * what was heard of messages. A value whose end has come is not given any more, and is dropped by
 * `expire`.
 */
export class Retained implements FactReader {
  bytes = 0;
  /** Values that were dropped here. */
  readonly dropped = new Tally();
  /** Told of each of them. */
  onDrop: (reason: RetainedDrop) => void = () => {};
  readonly #options: RetainedOptions;
  /** By `lastKey`, in the order in which they were set. */
  readonly #all = new Map<string, RetainedEntry>();
  readonly #channels = new Map<string, ChannelValues>();
  /** Keys of all, and of some that are not here any more. */
  readonly #ends = new Ends<string>();

  constructor(options: RetainedOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#all.size;
  }

  /** In the order in which they were set. */
  all(): Iterable<RetainedEntry> {
    return this.#all.values();
  }

  /** Names of the channels that hold one. */
  channels(): Iterable<string> {
    return this.#channels.keys();
  }

  /** Counts a channel's values, those that have ended since the last `expire` among them. */
  figuresOf(channel: string): RetainedFigures {
    const values = this.#channels.get(channel)?.byEvent;
    let retainedBytes = 0;
    for (const { entry } of values?.values() ?? []) retainedBytes += entry.frame.length;
    return { retained: values?.size ?? 0, retainedBytes };
  }

  /**
   * Those of a channel that are to be given at `now` (ms since 1970), in the order of their numbers. A
   * client may ask very often: it costs as much as what it asks for, not as what is kept.
   * @param events of these only; undefined: of all
   */
  of(channel: string, now: number, events?: ReadonlySet<string>): readonly Entry[] {
    const values = this.#channels.get(channel);
    if (!values) return [];
    const { byEvent } = values;
    if (events)
      return listOf(
        [...events].flatMap((name) => byEvent.get(name) ?? []),
        now,
      ).entries;
    if (!values.list || values.list.endsMs <= now) values.list = listOf(byEvent.values(), now);
    return values.list.entries;
  }

  /** The next message of a channel, which ends what was kept of its event. */
  heard({ channel, eventName, keptUntil }: Numbered, entry: Entry): void {
    if (keptUntil !== undefined) {
      const frame = Buffer.from(entry.frame);
      this.set({ channel, entry: { ...entry, frame }, untilMs: keptUntil });
    } else if (this.#channels.get(channel)?.byEvent.has(eventName)) {
      this.#delete(channel, eventName);
    }
  }

  /** Keeps it, in place of the one before. */
  set(value: RetainedEntry): void {
    const { channel, entry, untilMs } = value;
    const { eventName, frame } = entry;
    this.#delete(channel, eventName);
    const { bounds } = this.#options;
    if (bounds && (frame.length > bounds.bytes || bounds.count === 0)) {
      this.#drop(bounds.count === 0 ? "full" : "too_large");
      return;
    }
    const key = lastKey(channel, eventName);
    this.#all.set(key, value);
    const values = this.#channels.get(channel);
    if (values) {
      values.byEvent.set(eventName, value);
      values.list = undefined;
    } else this.#channels.set(channel, { byEvent: new Map([[eventName, value]]) });
    this.bytes += frame.length;
    this.#ends.add(key, untilMs);
    if (this.#ends.size > 2 * this.size + STALE_ENDS) this.#sortEnds();
    if (!bounds) return;
    const fits = () => this.size <= bounds.count && this.bytes <= bounds.bytes;
    if (fits()) return;
    // None that is still to be given goes for one that is over.
    this.expire(Date.now());
    for (const oldest of this.#all.values()) {
      if (fits()) break;
      this.#delete(oldest.channel, oldest.entry.eventName);
      this.#drop("full");
    }
  }

  #sortEnds(): void {
    this.#ends.clear();
    for (const [key, { untilMs }] of this.#all) this.#ends.add(key, untilMs);
  }

  #drop(reason: RetainedDrop): void {
    this.dropped.add(reason);
    this.onDrop(reason);
  }

  #delete(channel: string, eventName: string): void {
    const values = this.#channels.get(channel);
    const value = values?.byEvent.get(eventName);
    if (!values || !value) return;
    values.byEvent.delete(eventName);
    values.list = undefined;
    if (values.byEvent.size === 0) this.#channels.delete(channel);
    this.#all.delete(lastKey(channel, eventName));
    this.bytes -= value.entry.frame.length;
  }

  reset(facts: readonly Fact[]): void {
    this.#all.clear();
    this.#channels.clear();
    this.#ends.clear();
    this.bytes = 0;
    for (const fact of facts) this.apply(fact);
  }

  apply(fact: Fact): void {
    const [channel = "", eventName = ""] = fact.key.split("\0");
    const kept = readLast(fact);
    if (!kept) {
      this.#delete(channel, eventName);
      return;
    }
    const { epoch, message } = kept;
    const seq = epoch === this.#options.epoch() ? message.seq : NO_NUMBER;
    const entry = encodeMessage(message, channelPrefix(channel), seq, 0);
    this.set({ channel, entry, untilMs: message.keptUntil as number });
  }

  /** Drops what has ended at `now` (ms since 1970). */
  expire(now: number): void {
    for (let key = this.#ends.take(now); key !== undefined; key = this.#ends.take(now)) {
      const value = this.#all.get(key);
      // It may be another one meanwhile.
      if (value && value.untilMs <= now) this.#delete(value.channel, value.entry.eventName);
    }
  }
}
