/**
 * The way out of one connection: what it is sent, in which order, and how much of it this process
 * may hold. Live messages go straight to the wire. A client that cannot take them is, by the
 * channel's policy, disconnected or given only the latest; a replay waits in the history.
 *
 * It never acts on anything but itself: what became of a write it says in its outcome.
 */

import type { ServerFrame } from "../contract/protocol.ts";
import type { Stats } from "../node/stats.ts";
import { type Frames, oneFrame } from "../wire/frame.ts";
import type { Wire } from "../wire/wire.ts";
import { Bundle } from "./bundle.ts";
import type { Channel } from "./channel.ts";
import type { Chosen, Entry } from "./channel-history.ts";
import { controlFrame } from "./encode.ts";
import { Latest } from "./latest.ts";
import type { Turn } from "./turn.ts";
import type { View } from "./view.ts";

/** How much of a replay is written at once, bytes. */
const CHUNK_BYTES = 64 * 1024;
/** A replay goes on while less than this is pending, bytes. */
const REPLAY_PENDING_BYTES = 128 * 1024;

/** One channel of one connection. */
export interface Subscription {
  readonly channel: Channel;
  readonly outlet: Outlet;
  /** What it gets of each message; its format is that of the outlet. */
  view: View;
  /**
   * `live`: gets each bundle; `behind`: is fed from the history at the client's pace;
   * `latest`: only the newest message per event is kept for it.
   */
  state: "live" | "behind" | "latest";
  /** While not live: `seq` of the first message that was not written. */
  cursor: number;
  /** While behind: messages to be written before that one, in this order. */
  before?: readonly Chosen[] | undefined;
}

/** Stands for the subscription of an outlet that gets every public channel (the firehose). */
export const EVERYTHING = Symbol("everything");

interface Offer {
  readonly bundle: Bundle;
  readonly to: Subscription | typeof EVERYTHING;
}

/**
 * What became of a write. `taken`: it is on the wire, or not for this client any more; `behind`: some
 * of it waits until the wire drains; `too_slow`: no more may be held for the client, so it has to go.
 */
export type WriteOutcome = "taken" | "behind" | "too_slow";

/** What an outlet needs of the hub it belongs to. */
export interface OutletHost {
  readonly stats: Stats;
  readonly turn: Turn;
  /** Unsent bytes that may be held for one connection. */
  readonly connectionBytes: number;
  /** Acts on the outcome of a write that did not come from the hub itself. */
  actOn(outlet: Outlet, outcome: WriteOutcome): void;
}

/** Whose outlet it is. */
export interface OutletOwner {
  /** The log began anew; the subscription goes on behind `seq`, what was before is not recovered. */
  restarted(subscription: Subscription, seq: number): void;
  /** The subscription, which has a filter, has all that it was behind with and is live again. */
  caughtUp(subscription: Subscription): void;
}

/**
 * One connection's way out. Its owner writes control frames into it, the hub offers it bundles and
 * feeds it from the history. It holds at most `connectionBytes` (`held`); when that is not enough
 * it says `too_slow`, and the hub ends it. Once `dead`, every call does nothing.
 */
export class Outlet {
  readonly wire: Wire;
  /** Of everything that has no subscription of its own; its format is that of control frames too. */
  readonly view: View;
  readonly owner: OutletOwner;
  /** What it held when the hub last looked, bytes. */
  accounted = 0;
  /** Nothing is written any more: closing or gone. */
  dead = false;
  readonly #host: OutletHost;
  /** What this flush brings: nearly always one bundle, so the first one needs no list. */
  #bundle: Bundle | undefined;
  #to: Subscription | typeof EVERYTHING = EVERYTHING;
  #more: Offer[] | undefined;
  /** The turn in which pending bytes did not drain any more; 0 while they do. */
  #congestedTurn = 0;
  #behind: Subscription[] | undefined;
  /** Undefined while nothing is kept there. */
  #latest: Latest | undefined;
  #listening = false;

  constructor(host: OutletHost, wire: Wire, view: View, owner: OutletOwner) {
    this.#host = host;
    this.wire = wire;
    this.view = view;
    this.owner = owner;
  }

  /** Unsent bytes held in this process for this connection. */
  get held(): number {
    return this.wire.pending + (this.#latest?.bytes ?? 0);
  }

  /** Whether it waits for the wire to drain. */
  get waiting(): boolean {
    return !this.dead && (this.#behind !== undefined || this.#latest !== undefined);
  }

  /** Writes a control frame at once. */
  control(frame: ServerFrame): void {
    this.controlText(JSON.stringify(frame));
  }

  /** The same with its JSON text. */
  controlText(text: string): void {
    if (!this.dead) this.controlFrame(controlFrame(text, this.view.format));
  }

  /** The same with a finished frame. */
  controlFrame(frame: Buffer): void {
    this.controls(oneFrame(frame));
  }

  /** The same with several, which clients may share. */
  controls(frames: Frames): void {
    if (!this.makeRoom(frames.joined.length)) return;
    this.wire.write(frames);
    this.#host.actOn(this, "taken");
  }

  /** False, and the connection is gone, when `bytes` more would exceed its cap. */
  makeRoom(bytes: number): boolean {
    if (this.dead) return false;
    if (this.held + bytes <= this.#host.connectionBytes) return true;
    this.#host.actOn(this, "too_slow");
    return false;
  }

  /** Takes a bundle for the end of this flush. True when it was the first one. */
  offer(bundle: Bundle, to: Subscription | typeof EVERYTHING): boolean {
    if (this.#bundle) {
      this.#more ??= [];
      this.#more.push({ bundle, to });
      return false;
    }
    this.#bundle = bundle;
    this.#to = to;
    return true;
  }

  /** Writes what was offered, all channels in one write where possible. */
  writeOffers(): WriteOutcome {
    const bundle = this.#bundle;
    const to = this.#to;
    const more = this.#more;
    this.#forgetOffers();
    if (!bundle || this.dead) return "taken";
    return more ? this.#writeAll([{ bundle, to }, ...more]) : this.#writeLive(bundle, to);
  }

  #writeAll(offers: readonly Offer[]): WriteOutcome {
    const bytes = offers.reduce(
      (sum, { bundle, to }) => sum + bundle.frames(this.#viewOf(to)).joined.length,
      0,
    );
    // Corked bytes count as pending: joined is only what fits under every policy anyway.
    const joined = this.held + bytes <= Math.min(CHUNK_BYTES, this.#host.connectionBytes / 2);
    if (joined) this.wire.cork();
    let outcome: WriteOutcome = "taken";
    for (const { bundle, to } of offers) {
      const one = this.#writeLive(bundle, to);
      if (one !== "taken") outcome = one;
      if (one === "too_slow") break;
    }
    if (joined) this.wire.uncork();
    return outcome;
  }

  #viewOf(to: Subscription | typeof EVERYTHING): View {
    return to === EVERYTHING ? this.view : to.view;
  }

  #forgetOffers(): void {
    this.#bundle = undefined;
    this.#more = undefined;
  }

  #writeLive(bundle: Bundle, to: Subscription | typeof EVERYTHING): WriteOutcome {
    const subscription = to === EVERYTHING ? undefined : to;
    // It fell behind in this flush, and has the bundle from the history.
    if (subscription?.state === "behind") return "taken";
    const frames = bundle.frames(this.#viewOf(to));
    const bytes = frames.joined.length;
    if (bytes === 0) return "taken";
    const pending = this.wire.pending;
    if (pending === 0) this.#congestedTurn = 0;
    const latest = subscription?.channel.policy === "latest";
    const cap = this.#host.connectionBytes;
    // A client under `latest` fills half of the cap; the other half is for its latest messages.
    const room = latest ? Math.floor(cap / 2) : cap - (this.#latest?.bytes ?? 0);
    const turn = this.#host.turn.number;
    if (subscription?.state !== "latest" && pending + bytes <= room) {
      this.wire.write(frames);
      this.#host.stats.delivered(frames.frames.length, bytes);
      if (this.#congestedTurn === 0 && this.wire.pending > 0) this.#congestedTurn = turn;
      return "taken";
    }
    if (subscription && latest) return this.#keepLatest(subscription, bundle);
    // The burst of a single turn is no sign of a slow client: nothing could drain meanwhile.
    if (subscription && (this.#congestedTurn === 0 || this.#congestedTurn === turn)) {
      return this.startBehind(subscription, (bundle.entries[0] as Entry).seq);
    }
    return "too_slow";
  }

  /** Feeds the subscription from the history, beginning with message `from`. */
  startBehind(subscription: Subscription, from: number): WriteOutcome {
    subscription.state = "behind";
    subscription.cursor = from;
    this.#behind ??= [];
    if (!this.#behind.includes(subscription)) this.#behind.push(subscription);
    this.#listen();
    return this.resume();
  }

  /** The subscription ends or starts anew: what is kept for it goes. */
  forget(subscription: Subscription): void {
    if (subscription.before) subscription.before = undefined;
    if (this.#behind) {
      this.#behind = this.#behind.filter((other) => other !== subscription);
      if (this.#behind.length === 0) this.#behind = undefined;
    }
    this.#latest?.forget(subscription);
    if (this.#latest?.isEmpty) this.#latest = undefined;
  }

  /** Goes on with what waits, as far as the wire takes it. */
  resume(): WriteOutcome {
    if (this.dead) return "taken";
    if (this.wire.pending === 0) this.#congestedTurn = 0;
    if (this.#latest) this.#resumeLatest();
    return this.#resumeBehind() ? this.#waits() : "too_slow";
  }

  #waits(): WriteOutcome {
    return this.waiting ? "behind" : "taken";
  }

  /** False when a message that the client was promised is not remembered any more. */
  #resumeBehind(): boolean {
    while (this.#behind) {
      const subscription = this.#behind[0] as Subscription;
      const { before, channel } = subscription;
      const { history, offeredSeq } = channel;
      if (!before && subscription.cursor > offeredSeq) {
        // What waits for the end of the turn is offered to it like to all others.
        this.#behind.shift();
        if (this.#behind.length === 0) this.#behind = undefined;
        subscription.state = "live";
        if (subscription.view.events) this.owner.caughtUp(subscription);
        continue;
      }
      const pending = this.held;
      if (pending >= REPLAY_PENDING_BYTES) return true;
      const entries = before
        ? history.pick(before, CHUNK_BYTES)
        : history.slice(subscription.cursor, offeredSeq, CHUNK_BYTES);
      const last = entries.at(-1);
      if (!last) return false;
      const frames = new Bundle(entries).frames(subscription.view);
      if (pending + frames.joined.length > this.#host.connectionBytes) return true;
      if (!before) subscription.cursor = last.seq + 1;
      else {
        const rest = before.slice(entries.length);
        subscription.before = rest.length > 0 ? rest : undefined;
      }
      if (frames.joined.length === 0) continue;
      this.wire.write(frames);
      this.#host.stats.delivered(frames.frames.length, frames.joined.length);
    }
    return true;
  }

  #keepLatest(subscription: Subscription, bundle: Bundle): WriteOutcome {
    this.#latest ??= new Latest(this.view.format);
    if (subscription.state !== "latest") {
      subscription.state = "latest";
      subscription.cursor = (bundle.entries[0] as Entry).seq;
    }
    const { events } = subscription.view;
    for (const entry of bundle.entries) {
      if (events && !events.has(entry.eventName)) continue;
      if (this.#latest.keep(subscription, entry)) this.#host.stats.conflated();
    }
    if (this.held > this.#host.connectionBytes) return "too_slow";
    this.#listen();
    return "behind";
  }

  #resumeLatest(): void {
    // At half the room under which it began, so that it does not begin again at once.
    if (!this.#latest || this.wire.pending > this.#host.connectionBytes / 4) return;
    const latest = this.#latest;
    this.#latest = undefined;
    for (const { entry, subscription } of latest.all) {
      subscription.state = "live";
      const frames = new Bundle([entry]).frames(subscription.view);
      this.wire.write(frames);
      this.#host.stats.delivered(1, frames.joined.length);
    }
  }

  #listen(): void {
    if (this.#listening) return;
    this.#listening = true;
    this.wire.onDrain(() => this.#host.actOn(this, this.resume()));
  }

  /** Writes what is kept for the client, then a close frame; nothing follows it. */
  close(code: number, reason: string): void {
    if (this.dead) return;
    for (const { entry, subscription } of this.#latest?.all ?? []) {
      this.wire.write(new Bundle([entry]).frames(subscription.view));
    }
    this.end();
    this.wire.close(code, reason);
  }

  /** Nothing is written any more, and what is kept goes. */
  end(): void {
    this.dead = true;
    this.#forgetOffers();
    this.#behind = undefined;
    this.#latest = undefined;
  }
}
