/**
 * Channels, their subscriptions, and the path of a message from the log to the wires. All messages of
 * one turn of the event loop leave together: one write per connection.
 */
import type { RelayConfig } from "../config/config.ts";
import { matchesAny, matchesPattern } from "../contract/patterns.ts";
import type { Last, Since } from "../contract/protocol.ts";
import type { Numbered, Snapshot } from "../log/log.ts";
import type { RetainedBounds } from "../log/retained-value.ts";
import type { Stats } from "../node/stats.ts";
import { Bundle } from "./bundle.ts";
import { Channel } from "./channel.ts";
import type { ChannelHistory, Entry } from "./channel-history.ts";
import { encodeMessage } from "./encode.ts";
import { Held } from "./held.ts";
import { History, type Recovery } from "./history.ts";
import {
  EVERYTHING,
  type Outlet,
  type OutletHost,
  type Subscription,
  type WriteOutcome,
} from "./outlet.ts";
import { Retained } from "./retained.ts";
import { Turn } from "./turn.ts";
import type { View } from "./view.ts";

/** A channel's pending messages leave before the end of the turn when they are more than this. */
const EAGER_FLUSH_BYTES = 256 * 1024;

/** So many channels without messages are looked at before the next regular sweep. */
const SWEEP_EMPTIED = 10_000;

/** Why a connection was dropped for what it holds. */
export type DropReason = "slow_client" | "total_cap";

/** The monotonic clock, ms. */
export type Clock = () => number;

/** What a subscriber is answered. */
export interface Subscribed {
  readonly subscription: Subscription;
  readonly recovered: boolean;
  readonly seq: number;
  /** Where the newest messages were asked for and nothing else is recovered. */
  readonly last?: Last | undefined;
  /** Starts the replay. Nothing is written before, so that the answer comes first. */
  readonly replay: () => void;
}

/** How somebody subscribes. */
export interface SubscribeOptions {
  readonly since?: Since | undefined;
  /** The subscription that is started anew. */
  readonly old?: Subscription | undefined;
  /** What is wanted of each message; absent: what the outlet gets. */
  readonly view?: View | undefined;
  /** Whether a replay of so many bytes is granted; otherwise nothing is recovered. */
  readonly mayReplay?: (bytes: number) => boolean;
}

const NO_REPLAY = (): void => {};

/** Whether a subscription that is asked for again loses nothing of what it still waits for. */
function goesOn(old: Subscription, view: View): boolean {
  // What is kept of the latest messages was chosen by the view of before.
  return (old.state === "behind" && !old.before) || (old.state === "latest" && old.view === view);
}

/** What the hub needs. `clock` is the one that the history's ages are measured by. */
export interface HubOptions {
  readonly config: RelayConfig;
  readonly stats: Stats;
  readonly clock: Clock;
  /** As `Log.keepsHeads`. */
  readonly keepsHeads: boolean;
}

/**
 * The channels of this node. The log feeds it (`reset`, `apply`), connections subscribe their
 * outlets, and whoever has written into an outlet past it says what became of that (`actOn`). All
 * of it is synchronous; nothing throws because of a client, and what a client cannot take costs
 * that client alone.
 */
export class Hub implements OutletHost {
  readonly stats: Stats;
  readonly connectionBytes: number;
  readonly turn = new Turn(() => this.flush());
  readonly channels = new Map<string, Channel>();
  /** Called when a connection is dropped for what it holds. */
  onDrop: (reason: DropReason) => void = () => {};
  /** Empty before the log has begun. */
  epoch = "";
  history: History;
  /** Messages that outlive it. */
  readonly retained: Retained;
  readonly #config: RelayConfig;
  readonly #clock: Clock;
  readonly #keepsHeads: boolean;
  readonly #held: Held;
  readonly #firehose = new Set<Outlet>();
  #dirty: Channel[] = [];
  #sweptEmptied = 0;

  constructor({ config, stats, clock, keepsHeads }: HubOptions) {
    this.#config = config;
    this.#clock = clock;
    this.#keepsHeads = keepsHeads;
    this.stats = stats;
    this.connectionBytes = config.slowClients.connectionBytes;
    this.#held = new Held({
      totalBytes: config.slowClients.totalBytes,
      resume: (outlet) => this.actOn(outlet, outlet.resume()),
      drop: (outlet) => this.#drop(outlet, "total_cap"),
    });
    this.history = new History(config.history, clock());
    // Who shares a log shares what is kept in it.
    const bounds: RetainedBounds | undefined = keepsHeads ? undefined : config.retained;
    this.retained = new Retained({ bounds, epoch: () => this.epoch });
  }

  /** `seq` of the channel's last message. */
  headOf(name: string): number {
    return this.channels.get(name)?.history.seq ?? this.history.headOf(name);
  }

  /** Channels with subscribers, history or last values. */
  *names(): Generator<string> {
    yield* this.channels.keys();
    for (const name of this.retained.channels()) if (!this.channels.has(name)) yield name;
  }

  /** Connections that get the channel's messages. */
  recipients(name: string): number {
    const channel = this.channels.get(name);
    return channel ? this.#recipients(channel) : 0;
  }

  #recipients(channel: Channel): number {
    return channel.subscriptions.size + (channel.isPublic ? this.#firehose.size : 0);
  }

  /**
   * The next messages of the log; as `LogReader.apply`.
   * @throws {RangeError} a number is not the channel's next one: a defect of the log
   */
  apply(batch: readonly Numbered[]): void {
    const now = this.#clock();
    for (const message of batch) {
      const channel = this.#channel(message.channel);
      const entry = this.#keep(channel, message, now);
      if (message.keptUntil !== undefined || this.retained.size > 0) {
        this.retained.heard(message, entry);
      }
      this.stats.accepted(entry.frame.length, this.#recipients(channel));
      if (channel.wait(entry)) this.#dirty.push(channel);
      if (channel.pendingBytes > EAGER_FLUSH_BYTES) this.flush();
    }
    if (this.history.emptied - this.#sweptEmptied > SWEEP_EMPTIED) this.sweep();
    this.turn.open();
  }

  /**
   * The log begins anew; as `LogReader.reset`. Subscriptions go on behind the head, and are told so.
   * @throws {RangeError} the snapshot has a gap or does not end at its heads: a defect of the log
   */
  reset({ epoch, heads, messages }: Snapshot): void {
    this.flush();
    const now = this.#clock();
    this.epoch = epoch;
    this.history = new History(this.#config.history, now, this.#keepsHeads ? heads : undefined);
    this.#sweptEmptied = 0;
    const subscribed: Channel[] = [];
    for (const channel of this.channels.values()) {
      if (channel.subscriptions.size > 0) subscribed.push(channel);
      for (const subscription of channel.subscriptions) {
        subscription.outlet.forget(subscription);
        subscription.state = "live";
      }
    }
    this.channels.clear();
    for (const channel of subscribed) {
      channel.history = this.history.open(channel.name);
      this.channels.set(channel.name, channel);
    }
    this.#fill(messages, heads, now);
    for (const channel of subscribed) {
      for (const subscription of channel.subscriptions) {
        subscription.outlet.owner.restarted(subscription, channel.history.seq);
        this.actOn(subscription.outlet, "taken");
      }
    }
  }

  /** Puts messages that nobody gets any more into the history. */
  #fill(messages: Iterable<Numbered>, heads: ReadonlyMap<string, number>, now: number): void {
    const filled = new Set<Channel>();
    for (const message of messages) {
      const channel = this.#channel(message.channel);
      if (!filled.has(channel)) channel.history = this.history.openAt(message.seq);
      filled.add(channel);
      this.#keep(channel, message, now);
    }
    for (const { name, history } of filled) {
      if (history.seq !== heads.get(name)) {
        throw new RangeError(
          `a snapshot of the log ends ${name} at ${history.seq}, not at its head`,
        );
      }
    }
  }

  #keep(channel: Channel, message: Numbered, now: number): Entry {
    const { history } = channel;
    if (message.seq !== history.seq + 1) {
      throw new RangeError(`the log gave ${channel.name} ${message.seq} after ${history.seq}`);
    }
    const entry = encodeMessage(message, channel.prefix, message.seq, now, (bytes) =>
      channel.frameMemory(bytes),
    );
    this.history.append(history, entry);
    return entry;
  }

  /** Takes over a channel of an earlier process. */
  addChannel(name: string, history: ChannelHistory = this.history.open(name)): Channel {
    const policies = this.#config.slowClients.policies;
    const channel = new Channel(name, history, {
      policy: policies.find((rule) => matchesPattern(rule.channels, name))?.policy ?? "disconnect",
      isPublic: matchesAny(this.#config.publicChannels, name),
    });
    this.channels.set(name, channel);
    return channel;
  }

  #channel(name: string): Channel {
    return this.channels.get(name) ?? this.addChannel(name);
  }

  /** Writes all pending messages to the wires. */
  flush(): void {
    if (this.#dirty.length === 0) return;
    const dirty = this.#dirty;
    this.#dirty = [];
    const touched: Outlet[] = [];
    const flushed = dirty.map((channel) => this.#offerPending(channel, touched));
    for (const outlet of touched) this.actOn(outlet, outlet.writeOffers());
    const now = this.#clock();
    for (const entries of flushed) this.stats.flushed(entries, now);
  }

  #offerPending(channel: Channel, touched: Outlet[]): readonly Entry[] {
    const entries = channel.takePending();
    const bundle = new Bundle(entries);
    for (const subscription of channel.subscriptions) {
      if (subscription.state === "behind") continue;
      if (subscription.outlet.offer(bundle, subscription)) touched.push(subscription.outlet);
    }
    if (channel.isPublic) {
      for (const outlet of this.#firehose) {
        if (outlet.offer(bundle, EVERYTHING)) touched.push(outlet);
      }
    }
    return entries;
  }

  /**
   * Adds a subscription, or starts it anew. Nothing of the replay is written before the answer is, and
   * whatever is published from now on comes after the answer.
   */
  subscribe(
    outlet: Outlet,
    name: string,
    { since, old, view = outlet.view, mayReplay = () => true }: SubscribeOptions,
  ): Subscribed {
    const channel = this.#channel(name);
    // Messages that are pending belong to the subscriptions of before; this one starts after them.
    if (channel.hasPending) this.flush();
    let recovery = this.recover(channel, since);
    const toReplay = channel.history.bytesFrom(recovery.from);
    if (toReplay > 0 && !mayReplay(toReplay)) {
      recovery = { recovered: false, from: channel.history.seq + 1 };
    }
    if (old && since === undefined && goesOn(old, view)) {
      old.view = view;
      // What it still waits for comes after this answer, so the answer names the point before it.
      return { subscription: old, recovered: false, seq: old.cursor - 1, replay: NO_REPLAY };
    }
    const subscription = old ? this.#restart(old, view) : this.#open(channel, outlet, view);
    const judged = since !== undefined && ("epoch" in since || "ageMs" in since);
    if (judged) this.stats.recovery(recovery.recovered);
    const count = since !== undefined && "last" in since && !recovery.recovered ? since.last : 0;
    if (count) return this.#startLast(subscription, count, mayReplay);
    const { seq } = channel.history;
    if (recovery.from > seq) {
      return { subscription, recovered: recovery.recovered, seq, replay: NO_REPLAY };
    }
    const replay = this.#startBehind(subscription, recovery.from);
    return { subscription, recovered: true, seq, replay };
  }

  #open(channel: Channel, outlet: Outlet, view: View): Subscription {
    const subscription: Subscription = { channel, outlet, view, state: "live", cursor: 0 };
    channel.add(subscription);
    this.stats.subscriptions++;
    return subscription;
  }

  /** It is live again, and gets nothing of what it waited for. */
  #restart(old: Subscription, view: View): Subscription {
    const { outlet } = old;
    outlet.forget(old);
    old.state = "live";
    old.view = view;
    this.actOn(outlet, "taken");
    return old;
  }

  /** From now on it is fed from the history; returns what starts that. */
  #startBehind(subscription: Subscription, from: number): () => void {
    const { outlet } = subscription;
    subscription.state = "behind";
    subscription.cursor = from;
    return () => this.actOn(outlet, outlet.startBehind(subscription, subscription.cursor));
  }

  /** Begins with the newest messages of each event. */
  #startLast(
    subscription: Subscription,
    count: number,
    mayReplay: (bytes: number) => boolean,
  ): Subscribed {
    const { channel, view } = subscription;
    const { history } = channel;
    const kept = this.retained.of(channel.name, Date.now(), view.events);
    const { chosen, complete } = history.newest(count, view.events, kept);
    const bytes = history.bytesOf(chosen);
    const answer = { subscription, recovered: false, seq: history.seq };
    if (bytes > 0 && !mayReplay(bytes)) {
      return { ...answer, last: { sent: 0, complete: false }, replay: NO_REPLAY };
    }
    const last = { sent: chosen.length, complete };
    if (chosen.length === 0) return { ...answer, last, replay: NO_REPLAY };
    subscription.before = chosen;
    return { ...answer, last, replay: this.#startBehind(subscription, history.seq + 1) };
  }

  /**
   * Whether the position may be ahead of what this node has heard, or of an epoch that it has not
   * heard of: then it must catch up with the log before it judges.
   */
  mustCatchUp(name: string, since: Since | undefined): boolean {
    if (!this.#keepsHeads || since === undefined || !("epoch" in since)) return false;
    return since.epoch !== this.epoch || since.seq > this.headOf(name);
  }

  /** From where the history can be replayed, and whether that is proven to be all. */
  recover(channel: Channel, since: Since | undefined): Recovery {
    const now = this.#clock();
    this.history.expire(now);
    return this.history.recover(channel.history, since, {
      epoch: this.epoch,
      now,
      marginMs: this.#config.history.ageMargin,
    });
  }

  /** Ends a subscription; what was published before still leaves. */
  unsubscribe(subscription: Subscription): void {
    const { channel, outlet } = subscription;
    if (!outlet.dead && channel.hasPending) this.flush();
    outlet.forget(subscription);
    this.actOn(outlet, "taken");
    channel.delete(subscription);
    this.stats.subscriptions--;
  }

  /** From now on the outlet gets all messages of `publicChannels`. */
  addFirehose(outlet: Outlet): void {
    this.flush();
    this.#firehose.add(outlet);
  }

  /** Writes what is pending, then a close frame; nothing follows it. */
  close(outlet: Outlet, code: number, reason: string): void {
    this.flush();
    outlet.close(code, reason);
    this.#held.release(outlet);
  }

  /** The connection is gone. */
  remove(outlet: Outlet): void {
    outlet.end();
    this.#firehose.delete(outlet);
    this.#held.release(outlet);
  }

  /** Acts on what became of a write. */
  actOn(outlet: Outlet, outcome: WriteOutcome): void {
    if (outcome === "too_slow") {
      this.#drop(outlet, "slow_client");
      return;
    }
    if (outcome === "behind") this.#held.watch(outlet);
    this.#held.account(outlet);
  }

  #drop(outlet: Outlet, reason: DropReason): void {
    if (outlet.dead) return;
    outlet.end();
    this.#held.release(outlet);
    this.stats.dropped(reason);
    this.onDrop(reason);
    outlet.wire.destroy();
  }

  /** Unsent bytes that all connections hold now. */
  measure(): number {
    return this.#held.measure();
  }

  /** Outlets whose clients have not taken all that was written, as `measure` last found them. */
  get holding(): ReadonlySet<Outlet> {
    return this.#held.holding;
  }

  /** Evicts what is too old and forgets channels without subscribers of which nothing is left. */
  sweep(): void {
    this.history.expire(this.#clock());
    this.retained.expire(Date.now());
    this.measure();
    for (const [name, channel] of this.channels) {
      if (channel.subscriptions.size > 0 || channel.history.size > 0 || channel.hasPending)
        continue;
      this.history.forget(name, channel.history);
      this.channels.delete(name);
    }
    this.#sweptEmptied = this.history.emptied;
  }

  /** Writes what is pending; nothing is written on its own any more. */
  stop(): void {
    this.flush();
    this.turn.stop();
    this.#held.stop();
  }
}
