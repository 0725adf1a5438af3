/**
 * The way out of one connection: what it is sent, in which order, and how much of it this process
 * may hold. Live messages go straight to the wire. A client that cannot take them is, by the
 * channel's policy, disconnected or given only the latest; a replay waits in the history.
 */

import type { ServerFrame } from "../contract/protocol.ts";
import { oneFrame, textFrame } from "../wire/frame.ts";
import type { Wire } from "../wire/wire.ts";
import { Bundle, type Format } from "./bundle.ts";
import type { Entry } from "./history.ts";
import type { Channel, Hub } from "./hub.ts";

/** How much of a replay is written at once, bytes. */
const CHUNK_BYTES = 64 * 1024;
/** A replay goes on while less than this is pending, bytes. */
const REPLAY_PENDING_BYTES = 128 * 1024;

/** One channel of one connection. */
export interface Subscription {
  readonly channel: Channel;
  readonly outlet: Outlet;
  /**
   * `live`: gets each bundle; `behind`: is fed from the history at the client's pace;
   * `latest`: only the newest message per event is kept for it.
   */
  state: "live" | "behind" | "latest";
  /** While not live: `seq` of the first message that was not written. */
  cursor: number;
}

interface Offer {
  readonly bundle: Bundle;
  /** Undefined for a client of everything (the firehose). */
  readonly subscription: Subscription | undefined;
}

export type KillReason = "slow_client" | "total_cap";

export class Outlet {
  readonly wire: Wire;
  readonly format: Format;
  /** User-space bytes of this connection as of the last look. */
  accounted = 0;
  /** Nothing is written any more: closing or gone. */
  dead = false;
  readonly #hub: Hub;
  /** What this flush brings: nearly always one bundle, so the first one needs no list. */
  #bundle: Bundle | undefined;
  #subscription: Subscription | undefined;
  #more: Offer[] | undefined;
  /** The turn in which pending bytes did not drain any more; 0 while they do. */
  #congestedTurn = 0;
  #behind: Subscription[] | undefined;
  #latest: Map<string, { entry: Entry; subscription: Subscription }> | undefined;
  #latestBytes = 0;
  #listening = false;

  constructor(hub: Hub, wire: Wire, format: Format) {
    this.#hub = hub;
    this.wire = wire;
    this.format = format;
  }

  /** Unsent bytes held in this process for this connection. */
  get held(): number {
    return this.wire.pending + this.#latestBytes;
  }

  /** Whether it waits for the wire to drain. */
  get waiting(): boolean {
    return !this.dead && (this.#behind !== undefined || this.#latest !== undefined);
  }

  /** Writes a control frame at once. */
  control(frame: ServerFrame): void {
    this.controlText(JSON.stringify(frame));
  }

  controlText(text: string): void {
    if (this.dead) return;
    const frame = textFrame(text);
    if (!this.makeRoom(frame.length)) return;
    this.wire.write(oneFrame(frame));
    this.account();
  }

  /** False, and the connection is gone, when `bytes` more would exceed its cap. */
  makeRoom(bytes: number): boolean {
    if (this.dead) return false;
    if (this.held + bytes <= this.#hub.limits.connectionBytes) return true;
    this.kill("slow_client");
    return false;
  }

  /** Takes a bundle for the end of this flush. True when it was the first one. */
  offer(bundle: Bundle, subscription: Subscription | undefined): boolean {
    if (this.#bundle) {
      this.#more ??= [];
      this.#more.push({ bundle, subscription });
      return false;
    }
    this.#bundle = bundle;
    this.#subscription = subscription;
    return true;
  }

  /** Writes what was offered, all channels in one write where possible. */
  writeOffers(): void {
    const bundle = this.#bundle;
    const subscription = this.#subscription;
    const more = this.#more;
    this.#forgetOffers();
    if (!bundle || this.dead) return;
    if (!more) this.#writeLive(bundle, subscription);
    else this.#writeAll([{ bundle, subscription }, ...more]);
    this.account();
  }

  #writeAll(offers: readonly Offer[]): void {
    const bytes = offers.reduce(
      (sum, { bundle }) => sum + bundle.frames(this.format).joined.length,
      0,
    );
    // Corked bytes count as pending: joined is only what fits under every policy anyway.
    const joined = this.held + bytes <= Math.min(CHUNK_BYTES, this.#hub.limits.connectionBytes / 2);
    if (joined) this.wire.cork();
    for (const { bundle, subscription } of offers) this.#writeLive(bundle, subscription);
    if (joined) this.wire.uncork();
  }

  #forgetOffers(): void {
    this.#bundle = undefined;
    this.#subscription = undefined;
    this.#more = undefined;
  }

  #writeLive(bundle: Bundle, subscription: Subscription | undefined): void {
    if (this.dead || (subscription !== undefined && subscription.state === "behind")) return;
    const frames = bundle.frames(this.format);
    const bytes = frames.joined.length;
    const pending = this.wire.pending;
    if (pending === 0) this.#congestedTurn = 0;
    const policy = subscription?.channel.policy;
    const cap = this.#hub.limits.connectionBytes;
    // A client under `latest` fills half of the cap; the other half is for its latest messages.
    const room = policy === "latest" ? Math.floor(cap / 2) : cap - this.#latestBytes;
    if (subscription?.state !== "latest" && pending + bytes <= room) {
      this.wire.write(frames);
      this.#hub.stats.delivered(bundle.entries.length, bytes);
      if (this.#congestedTurn === 0 && this.wire.pending > 0) {
        this.#congestedTurn = this.#hub.turn;
      }
    } else if (subscription && policy === "latest") {
      this.#keepLatest(subscription, bundle);
    } else if (
      subscription &&
      (this.#congestedTurn === 0 || this.#congestedTurn === this.#hub.turn)
    ) {
      // The burst of a single turn is no sign of a slow client: nothing could drain meanwhile.
      this.startBehind(subscription, (bundle.entries[0] as Entry).seq);
    } else {
      this.kill("slow_client");
    }
  }

  /** Feeds the subscription from the history, beginning with message `from`. */
  startBehind(subscription: Subscription, from: number): void {
    this.#hub.setState(subscription, "behind");
    subscription.cursor = from;
    this.#behind ??= [];
    if (!this.#behind.includes(subscription)) this.#behind.push(subscription);
    this.#wait();
    this.resume();
  }

  /** The subscription ends or starts anew: what is kept for it goes. */
  forget(subscription: Subscription): void {
    if (this.#behind) {
      this.#behind = this.#behind.filter((other) => other !== subscription);
      if (this.#behind.length === 0) this.#behind = undefined;
    }
    if (this.#latest) {
      for (const [key, kept] of this.#latest) {
        if (kept.subscription !== subscription) continue;
        this.#latest.delete(key);
        this.#latestBytes -= this.#bytesOf(kept.entry);
      }
      if (this.#latest.size === 0) this.#latest = undefined;
      this.account();
    }
  }

  /** Goes on with what waits, as far as the wire takes it. */
  resume(): void {
    if (this.dead) return;
    if (this.wire.pending === 0) this.#congestedTurn = 0;
    if (this.#latest) this.#resumeLatest();
    this.#resumeBehind();
    this.account();
  }

  #resumeBehind(): void {
    while (this.#behind && !this.dead) {
      const subscription = this.#behind[0] as Subscription;
      const { channel } = subscription;
      if (subscription.cursor > channel.log.seq) {
        // What the channel's other subscribers were not given yet, this one has from the history.
        this.#hub.flushChannel(channel);
        this.#behind.shift();
        if (this.#behind.length === 0) this.#behind = undefined;
        this.#hub.setState(subscription, "live");
        continue;
      }
      if (subscription.cursor <= channel.log.evictedSeq) {
        this.kill("slow_client");
        return;
      }
      const pending = this.held;
      if (pending >= REPLAY_PENDING_BYTES) return;
      const entries = channel.log.slice(subscription.cursor, CHUNK_BYTES);
      const frames = new Bundle(entries).frames(this.format);
      if (pending + frames.joined.length > this.#hub.limits.connectionBytes) return;
      this.wire.write(frames);
      subscription.cursor = (entries.at(-1) as Entry).seq + 1;
      this.#hub.stats.delivered(entries.length, frames.joined.length);
    }
  }

  #keepLatest(subscription: Subscription, bundle: Bundle): void {
    this.#latest ??= new Map();
    if (subscription.state !== "latest") {
      this.#hub.setState(subscription, "latest");
      subscription.cursor = (bundle.entries[0] as Entry).seq;
    }
    for (const entry of bundle.entries) {
      const key = `${subscription.channel.name}\0${entry.eventName}`;
      const older = this.#latest.get(key);
      if (older) {
        this.#latestBytes -= this.#bytesOf(older.entry);
        this.#hub.stats.conflated();
        // Deleted first, so that the map stays in the order of the messages.
        this.#latest.delete(key);
      }
      this.#latest.set(key, { entry, subscription });
      this.#latestBytes += this.#bytesOf(entry);
    }
    if (this.held > this.#hub.limits.connectionBytes) this.kill("slow_client");
    else this.#wait();
  }

  #resumeLatest(): void {
    // At half the room under which it began, so that it does not begin again at once.
    if (!this.#latest || this.wire.pending > this.#hub.limits.connectionBytes / 4) return;
    const kept = [...this.#latest.values()];
    this.#latest = undefined;
    this.#latestBytes = 0;
    for (const { entry, subscription } of kept) {
      this.#hub.setState(subscription, "live");
      const frames = new Bundle([entry]).frames(this.format);
      this.wire.write(frames);
      this.#hub.stats.delivered(1, frames.joined.length);
    }
  }

  #bytesOf(entry: Entry): number {
    return this.format === "message"
      ? entry.frame.length
      : entry.payloadEnd - entry.payloadStart + 10;
  }

  #wait(): void {
    this.#hub.wait(this);
    if (this.#listening) return;
    this.#listening = true;
    this.wire.onDrain(() => this.resume());
  }

  /** Tells the hub how much this connection holds now. */
  account(): void {
    const held = this.dead ? 0 : this.held;
    if (held !== this.accounted) this.#hub.account(this, held);
  }

  /** Drops the connection and what it holds: its client is too slow. */
  kill(reason: KillReason): void {
    if (this.dead) return;
    this.#end();
    this.#hub.stats.killed(reason);
    this.#hub.onKill(reason);
    this.wire.destroy();
  }

  /** Writes what is pending for this connection, then a close frame; nothing follows it. */
  close(code: number, reason: string): void {
    if (this.dead) return;
    this.#hub.flush();
    if (this.dead) return;
    for (const { entry } of this.#latest?.values() ?? []) {
      this.wire.write(new Bundle([entry]).frames(this.format));
    }
    this.#end();
    this.wire.close(code, reason);
  }

  /** The connection is gone. */
  ended(): void {
    this.#end();
  }

  #end(): void {
    this.dead = true;
    this.#forgetOffers();
    this.#behind = undefined;
    this.#latest = undefined;
    this.#latestBytes = 0;
    this.account();
  }
}
