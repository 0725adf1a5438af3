/** What the relay has accepted, and what it must remember of it. */
import { now } from "./clock.ts";

/** Added to an age that is asked for, ms (`history.ageMargin`). */
export const AGE_MARGIN_MS = 10;

export interface Accepted {
  readonly seq: number;
  readonly event: string;
  readonly id: string;
  readonly n: number;
  /** Until when its sender wants it kept beside the history; undefined: it does not. Ms of the clock. */
  readonly keptUntil: number | undefined;
  /** Its place among everything that was published and controlled. */
  readonly order: number;
  /** The relay took it after `before` and ahead of `after`, ms of the clock. */
  readonly before: number;
  after: number;
}

/** A `forget` of a last value: it was in force from its answer on, and not before it was asked for. */
interface Forgotten {
  readonly channel: string;
  readonly event: string;
  readonly asked: number;
  answered: number;
}

/** Who asks for the newest messages of a channel. */
export interface NewestAsked {
  /** Of each event. */
  readonly count: number;
  readonly events: ReadonlySet<string> | undefined;
  /** Number of the newest message when it was answered. */
  readonly head: number;
  /** When it was asked: ms of the clock, and place in the order of everything. */
  readonly sentAt: number;
  readonly order: number;
}

/** What an answer to `last` must be. */
export interface Newest {
  readonly seqs: readonly number[];
  readonly complete: boolean;
}

export class ModelLog {
  epoch = "";
  /** Nothing that was accepted before is remembered, ms; of the epoch, and of the process. */
  epochBegan = 0;
  processBegan = 0;
  /** Messages kept per channel. */
  readonly count: number;
  readonly #epochs = new Map<string, Map<string, Accepted[]>>();
  #forgotten: Forgotten[] = [];

  constructor(count: number) {
    this.count = count;
  }

  /** @param began when the process was asked to start */
  started(epoch: string, began: number): void {
    this.processBegan = now();
    if (this.epoch === epoch) return;
    this.epoch = epoch;
    this.epochBegan = began;
    this.#epochs.set(epoch, new Map());
    this.#forgotten = [];
  }

  accept(channel: string, message: Omit<Accepted, "seq" | "before" | "after">): Accepted {
    const entries = this.of(this.epoch, channel);
    const times = { before: now(), after: Number.POSITIVE_INFINITY };
    const accepted = { ...message, ...times, seq: entries.length + 1 };
    entries.push(accepted);
    return accepted;
  }

  of(epoch: string, channel: string): Accepted[] {
    const channels = this.#epochs.get(epoch) ?? new Map<string, Accepted[]>();
    const entries = channels.get(channel) ?? [];
    channels.set(channel, entries);
    return entries;
  }

  head(channel: string): number {
    return this.of(this.epoch, channel).length;
  }

  /** Number of the last message that is forgotten when `head` is the newest one. */
  evicted(head: number): number {
    return Math.max(0, head - this.count);
  }

  forget(channel: string, event: string, asked: number): Forgotten {
    const forgotten = { channel, event, asked, answered: Number.POSITIVE_INFINITY };
    this.#forgotten.push(forgotten);
    return forgotten;
  }

  /** How many epochs there were. */
  get epochs(): number {
    return this.#epochs.size;
  }

  /** Channels and events of which only a last value is left. */
  outlived(): { readonly channel: string; readonly event: string }[] {
    const channels = this.#epochs.get(this.epoch) ?? new Map<string, Accepted[]>();
    return [...channels].flatMap(([channel, entries]) => {
      const newest = new Map(entries.map((each) => [each.event, each]));
      const evicted = this.evicted(entries.length);
      return [...newest.values()]
        .filter(({ keptUntil = 0, seq }) => keptUntil > now() && seq <= evicted)
        .map(({ event }) => ({ channel, event }));
    });
  }

  /** What may be answered to who asked for the newest messages: it depends on when the relay looked. */
  newest(channel: string, asked: NewestAsked): Newest[] {
    const entries = this.of(this.epoch, channel);
    const ends = entries.flatMap(({ keptUntil = 0 }) =>
      keptUntil > asked.sentAt ? keptUntil : [],
    );
    const moments = [asked.sentAt, now(), ...ends.filter((end) => end < now())];
    return moments.flatMap((at) =>
      [true, false].map((late) => this.#newest(channel, asked, { at, late })),
    );
  }

  /** @param seen when the relay looked; `late`: after all that was forgotten since it was asked */
  #newest(
    channel: string,
    { count, events, head, order }: NewestAsked,
    seen: { readonly at: number; readonly late: boolean },
  ): Newest {
    const all = this.of(this.epoch, channel).slice(0, head);
    const evicted = this.evicted(head);
    const names = events ?? new Set(all.map(({ event }) => event));
    const seqs: number[] = [];
    let complete = true;
    for (const name of names) {
      const ofEvent = all.filter(({ event }) => event === name);
      const due = ofEvent.slice(-count);
      const inHistory = due.filter(({ seq }) => seq > evicted);
      const newest = ofEvent.at(-1);
      // What came after a retained message, retained or not, has taken its place.
      const { keptUntil = 0 } = newest ?? {};
      const isKept =
        newest && keptUntil > seen.at && !this.#isForgotten(channel, newest, order, seen.late);
      const given = inHistory.length > 0 ? inHistory : isKept ? [newest] : [];
      seqs.push(...given.map(({ seq }) => seq));
      const whole = evicted === 0 || (events !== undefined && given.length === count);
      if (!whole || (events && given.length === 0)) complete = false;
    }
    // Without a filter the relay does not know which events there were that were evicted.
    if (!events && evicted > 0) complete = false;
    return { seqs: seqs.sort((a, b) => a - b), complete };
  }

  #isForgotten(channel: string, { event, order }: Accepted, asked: number, late: boolean): boolean {
    return this.#forgotten.some(
      (each) =>
        each.channel === channel &&
        each.event === event &&
        each.asked > order &&
        (each.answered <= asked || late),
    );
  }
}
