/** Where a page stands in a channel, and whether what comes next is what must come next. */
import { now } from "./clock.ts";
import { type Accepted, AGE_MARGIN_MS, type Newest } from "./model-log.ts";
import type { Kind, World } from "./world.ts";

export type Since =
  | undefined
  | { readonly epoch: string; readonly seq: number; readonly last?: number }
  | { readonly ageMs: number }
  | { readonly last: number };

/** An entry of `subscribe` that was sent. */
export interface Ask {
  readonly channel: string;
  readonly since: Since;
  readonly events: ReadonlySet<string> | undefined;
  /** When: ms of the clock, place in the order of everything, epoch and newest message of the channel. */
  readonly sentAt: number;
  readonly order: number;
  readonly epoch: string;
  readonly head: number;
}

export interface Answer {
  readonly epoch: string;
  readonly seq: number;
  readonly recovered: boolean;
  readonly last?: { readonly sent: number; readonly complete: boolean };
}

export class Place {
  readonly #world: World;
  readonly #channel: string;
  readonly #who: string;
  epoch = "";
  /** It has everything up to a message from `#low` to `#high`; after an age that is not known better. */
  #low = 0;
  #high = 0;
  /** Numbers of newest messages that must come first: one of these lists. */
  #newest: (readonly number[])[] = [];
  #events: ReadonlySet<string> | undefined;

  constructor(world: World, channel: string, who: string) {
    this.#world = world;
    this.#channel = channel;
    this.#who = who;
  }

  /** As `since`; undefined while no message of an age that was asked for has come. */
  get position(): { readonly epoch: string; readonly seq: number } | undefined {
    return this.#low === this.#high ? { epoch: this.epoch, seq: this.#low } : undefined;
  }

  /** Whether it is known that nothing newer was published. What is older may be due, or just not. */
  get isAtHead(): boolean {
    const { log } = this.#world;
    return this.epoch === log.epoch && this.#high === log.head(this.#channel);
  }

  /** Whether nothing is to come any more. */
  get isComplete(): boolean {
    const { log } = this.#world;
    if (this.epoch !== log.epoch || this.#newest.some(({ length }) => length > 0)) return false;
    return this.#wanted(this.#high, log.head(this.#channel)).length === 0;
  }

  #report(kind: Kind, what: string): void {
    this.#world.report(kind, `${this.#who}, ${this.#channel}: ${what}`);
  }

  /** Messages after `low` and up to `high` that the filter lets through. */
  #wanted(low: number, high: number): Accepted[] {
    const events = this.#events;
    const all = this.#world.log.of(this.epoch, this.#channel).slice(low, high);
    return events ? all.filter(({ event }) => events.has(event)) : all;
  }

  /** @param again whether the connection read the channel already */
  subscribed(ask: Ask, answer: Answer, again: boolean): void {
    const { epoch, seq, recovered } = answer;
    const { log } = this.#world;
    const { since } = ask;
    if (epoch !== log.epoch) this.#report("recovery", `epoch ${epoch}, not ${log.epoch}`);
    // A request may have been under way while the relay started anew.
    const least = ask.epoch === epoch ? ask.head : 0;
    if (seq < least || seq > log.head(this.#channel)) {
      this.#report("recovery", `answered at ${seq}, not from ${least} on`);
    }
    if (again && since === undefined && !this.#isOpen) this.#passed(seq, "subscribed again");
    this.#newest = [];
    this.#events = ask.events;
    this.epoch = epoch;
    this.#low = seq;
    this.#high = seq;
    if (since === undefined) {
      if (recovered) this.#report("recovery", "recovered without since");
    } else if ("ageMs" in since) this.#recoveredAge(ask, since.ageMs, answer);
    else if ("epoch" in since) this.#recoveredPosition(since, answer);
    else if (recovered) this.#report("recovery", "recovered what was no position");
    const count = since !== undefined && "last" in since ? since.last : undefined;
    const due = count !== undefined && !recovered;
    if (due !== (answer.last !== undefined)) this.#report("last", "is there, or not, wrongly");
    if (due && answer.last) this.#given(ask, count, answer.seq, answer.last);
  }

  /** Not known exactly, or with newest messages that are still to come. */
  get #isOpen(): boolean {
    return this.#low !== this.#high || this.#newest.length > 0;
  }

  #recoveredPosition(since: { readonly epoch: string; readonly seq: number }, answer: Answer) {
    const { log } = this.#world;
    const due =
      since.epoch === log.epoch && since.seq <= answer.seq && since.seq >= log.evicted(answer.seq);
    if (due !== answer.recovered) {
      const { epoch, seq } = since;
      this.#report("recovery", `${answer.recovered} for ${epoch}:${seq} at ${answer.seq}`);
    }
    if (!answer.recovered) return;
    this.#low = since.seq;
    this.#high = since.seq;
  }

  #recoveredAge(ask: Ask, ageMs: number, { seq, recovered }: Answer): void {
    const { log } = this.#world;
    // The relay looked at its clock between these two.
    const earliest = ask.sentAt - ageMs - AGE_MARGIN_MS;
    const latest = now() - ageMs - AGE_MARGIN_MS;
    if (!recovered) {
      const provable = log.evicted(seq) === 0 && log.processBegan < earliest;
      if (provable) this.#report("recovery", `false for ${ageMs} ms, which is remembered`);
      return;
    }
    if (latest < log.epochBegan) {
      this.#report("recovery", `true for ${ageMs} ms, before which another epoch was`);
    }
    const entries = log.of(this.epoch, this.#channel).slice(0, seq);
    const may = entries.findIndex(({ after }) => after >= earliest);
    const must = entries.findIndex(({ before }) => before > latest);
    this.#low = may < 0 ? seq : may;
    this.#high = must < 0 ? seq : must;
  }

  #given(ask: Ask, count: number, head: number, last: { sent: number; complete: boolean }): void {
    const { channel, events, sentAt, order } = ask;
    const asked = { count, events, head, sentAt, order };
    const may: Newest[] = this.#world.log.newest(channel, asked);
    const fits = may.filter(
      ({ seqs, complete }) => seqs.length === last.sent && complete === last.complete,
    );
    if (fits.length === 0) {
      const expected = may.map(({ seqs, complete }) => `${seqs} (${complete})`).join(" or ");
      this.#report("last", `${last.sent} (${last.complete}) instead of ${expected}`);
    }
    this.#newest = last.sent === 0 ? [] : fits.map(({ seqs }) => seqs);
  }

  /** @returns the message, when it is one of those that were accepted */
  message(frame: {
    readonly seq: number;
    readonly id: string;
    readonly eventName: string;
    readonly payload: unknown;
  }): Accepted | undefined {
    const { seq, id, eventName, payload } = frame;
    const accepted = this.#world.log.of(this.epoch, this.#channel)[seq - 1];
    if (!accepted || accepted.id !== id || accepted.event !== eventName || accepted.n !== payload) {
      this.#report("unknown", JSON.stringify(frame));
      return undefined;
    }
    if (this.#events && !this.#events.has(eventName)) this.#report("filter", `${seq} ${eventName}`);
    if (this.#newest.length > 0) {
      const left = this.#newest.filter(([first]) => first === seq);
      if (left.length === 0) this.#report("last", `${seq} instead of ${this.#newest.join(" or ")}`);
      this.#newest = left.map((seqs) => seqs.slice(1)).filter(({ length }) => length > 0);
      return accepted;
    }
    if (seq <= this.#low) this.#report("twice", `${seq} after ${this.#low}`);
    else this.#passed(seq - 1, `${seq} came`);
    this.#low = seq;
    this.#high = seq;
    return accepted;
  }

  /** The page is told that it has everything up to `seq`. */
  moved(seq: number): void {
    if (seq < this.#low) this.#report("protocol", `position ${seq} after ${this.#low}`);
    this.#passed(seq, `position ${seq}`);
    this.#low = seq;
    this.#high = seq;
  }

  /** Nothing that was wanted up to `seq` may be missing. */
  #passed(seq: number, why: string): void {
    const missed = this.#wanted(this.#high, seq).map((each) => each.seq);
    if (missed.length > 0) this.#report("gap", `${why} after ${this.#high} without ${missed}`);
  }
}
