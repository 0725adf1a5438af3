/** Where the listeners of a channel stand together: what is asked of the relay, and what is recovered. Pure. */
import {
  type Last,
  MAX_EVENTS,
  type MessageFrame,
  type PresenceWish,
  type Since,
} from "../../relay/contract/protocol.ts";
import { type Listener, lets, type Position } from "./listener.ts";
import type { Members } from "./members.ts";
import type { TokenSource } from "./token.ts";

export interface AnswerOptions {
  /** The filter that is in force; undefined: none. */
  readonly events?: readonly string[] | undefined;
  /** What of the newest messages follows. */
  readonly last?: Last | undefined;
  /** Tells a listener that it has missed something, now or later. */
  readonly lose?: (listener: Listener, tell: () => void) => void;
}

export class Channel {
  readonly name: string;
  /** On the present socket: not asked for, asked for, answered, refused. */
  state: "new" | "asked" | "live" | "denied" = "new";
  /** Replaced as a whole: who is told something may add others meanwhile, or remove some. */
  listeners: readonly Listener[] = [];
  /** Token sources (undefined: none) under which the present socket was asked. */
  readonly tried = new Set<TokenSource | undefined>();
  /** The relay has refused presence here. */
  presenceRefused = false;
  /** Under which id the page's user is seen here. */
  user: string | undefined;
  /** Once somebody watches. */
  members: Members | undefined;
  readonly #before: Position | undefined;
  #epoch = "";
  #seq = 0;
  #since: Since | undefined;
  /** So many of the newest messages are still to come for these; the others come after `#seq`. */
  #newest = 0;
  #takers: Listener[] = [];
  /** What others want is asked for when these are in. */
  #others = false;
  /** The relay does not know `last`. */
  #plain = false;

  /** `before`: where an earlier page of this tab stood. What it saw is older than this page. */
  constructor(name: string, before?: Position) {
    this.name = name;
    this.#before = before;
  }

  /** What all listeners together want, who share one place; undefined when none wants any. */
  get presence(): PresenceWish | undefined {
    let join = false;
    let watch = false;
    for (const { presence } of this.listeners) {
      join ||= !!presence.join;
      watch ||= !!presence.watch;
    }
    return join || watch ? { join, watch } : undefined;
  }

  /**
   * The events that all listeners together want; undefined: all, or more than the relay takes as a
   * filter. Listeners drop what only others want.
   */
  get events(): readonly string[] | undefined {
    const all = new Set<string>();
    for (const { events } of this.listeners) {
      if (!events) return undefined;
      for (const name of events) all.add(name);
    }
    return all.size > 0 && all.size <= MAX_EVENTS ? [...all] : undefined;
  }

  /** The newest message that a listener has had. */
  get position(): Position | undefined {
    let newest: Position | undefined;
    for (const { position } of this.listeners) {
      if (position && (position.epoch !== newest?.epoch || position.seq > newest.seq)) {
        newest = position;
      }
    }
    return newest;
  }

  /** The socket is gone: everything has to be asked for again. */
  reset(): void {
    this.state = "new";
    this.tried.clear();
    this.#plain = false;
  }

  /** The relay does not understand `since`; true when it is asked again without `last`. */
  bare(): boolean {
    const { last } = (this.#since ?? {}) as { readonly last?: number | undefined };
    if (!last || this.state !== "asked") return false;
    this.reset();
    this.#plain = true;
    return true;
  }

  /**
   * The earliest point any listener needs. The page's age wins over positions: it is what a
   * listener that has received nothing needs, and `accept` drops what the others have seen. Who is to
   * begin with the newest messages is served before them.
   */
  since(pageAgeMs: number): Since | undefined {
    let earliest: Position | undefined;
    let last: number | undefined;
    const all = this.listeners;
    if (!this.#plain) for (const one of all) last = Math.max(last ?? 0, one.last ?? 0) || undefined;
    if (last && all.some((one) => one.last && !one.position)) return { last };
    for (const listener of all) {
      if (listener.wantsPage) return { ageMs: pageAgeMs };
      const at = listener.position;
      if (at && (!earliest || (at.epoch === earliest.epoch && at.seq < earliest.seq))) {
        earliest = at;
      }
    }
    return earliest && { ...earliest, last };
  }

  /** Note that `since` was sent with the subscription. */
  asked(source: TokenSource | undefined, since: Since | undefined): void {
    this.state = "asked";
    this.tried.add(source);
    this.#since = since;
  }

  /** The relay's answer: `seq` is the newest message, `recovered` promises a replay up to it. */
  subscribed(
    epoch: string,
    seq: number,
    recovered: boolean,
    { events, last, lose = (_listener, tell) => tell() }: AnswerOptions = {},
  ): void {
    this.state = "live";
    this.#epoch = epoch;
    this.#seq = seq;
    this.#newest = last?.sent ?? 0;
    this.#takers = [];
    this.#others = false;
    const asked = this.#since ?? {};
    const newestOnly = last && !("epoch" in asked);
    for (const listener of this.listeners) {
      // It came while others were asked for; its own answer follows.
      if (!listener.answered && !lets(events, listener.events)) continue;
      const at = listener.position;
      const behind = listener.wantsReplay && !(at?.epoch === epoch && at.seq === seq);
      const takes = behind && !!last && !!listener.last && !(newestOnly && at);
      listener.answered = takes || !newestOnly || !behind;
      if (!listener.answered) {
        this.#others = true;
        continue;
      }
      let lost = behind;
      if (takes) {
        this.#takers.push(listener);
        lost = !last.complete;
      } else if (behind && recovered && ("ageMs" in asked || at?.epoch === epoch)) {
        lost = false;
        // Another epoch answered by age: take all of it, the ids drop what was seen.
        if (at && at.epoch !== epoch) listener.position = { epoch, seq: 0 };
        const before = this.#before;
        if (!at && before?.epoch === epoch && before.seq <= seq) listener.position = before;
      } else listener.position = { epoch, seq };
      const tell = () => listener.on.onSubscribed?.(this.name, !lost);
      if (lost) lose(listener, tell);
      else tell();
    }
    if (this.#newest === 0) this.#newestIn();
  }

  /** All of the newest messages are in: who asked for them stands where the answer says. */
  #newestIn(): void {
    for (const listener of this.#takers) {
      listener.position = { epoch: this.#epoch, seq: this.#seq };
    }
    if (this.#others && this.state === "live") this.reset();
    this.#others = false;
  }

  /** Nothing that any listener wants is missing up to `seq`, though messages were left out. */
  moved(seq: number): void {
    // While it is asked for anew the relay speaks of what was asked for before.
    if (this.state !== "live" || this.#newest > 0) return;
    for (const listener of this.listeners) {
      const at = listener.position;
      if (!listener.answered || (at && (at.epoch !== this.#epoch || at.seq >= seq))) continue;
      listener.position = { epoch: this.#epoch, seq };
    }
  }

  /** The listeners that want `frame`. */
  accept(frame: MessageFrame): Listener[] {
    if (this.#newest > 0) {
      // One that is removed hears nothing.
      const takers = this.#takers.filter((listener) => listener.take(frame));
      if (--this.#newest === 0) this.#newestIn();
      return takers;
    }
    return this.listeners.filter(
      (listener) => listener.answered && listener.accept(this.#epoch, frame),
    );
  }
}
