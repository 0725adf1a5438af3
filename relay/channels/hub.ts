/**
 * Channels, their subscribers, and the path of a message from the publisher to the wires. All
 * messages of one turn of the event loop leave together: one write per connection.
 */
import { randomUUID } from "node:crypto";
import type { RelayConfig } from "../config.ts";
import { type Message, nameProblem } from "../contract/message.ts";
import { matchesAny, matchesPattern } from "../contract/patterns.ts";
import type { Since } from "../contract/protocol.ts";
import type { PublishResult, Source } from "../contract/publisher.ts";
import { textBytes } from "../wire/frame.ts";
import { Bundle } from "./bundle.ts";
import { DuplicateWindow } from "./duplicates.ts";
import { channelPrefix, encodeMessage } from "./encode.ts";
import { type ChannelLog, type Entry, History, type Recovery } from "./history.ts";
import type { KillReason, Outlet, Subscription } from "./outlet.ts";
import { Slab } from "./slab.ts";
import type { Stats } from "./stats.ts";

/** A channel's pending messages leave before the end of the turn when they are more than this. */
const EAGER_FLUSH_BYTES = 256 * 1024;
/** How often connections that wait for their client are looked at, ms (drain events come first). */
const POLL_MS = 50;
/** Names that were found valid are remembered up to this number. */
const KNOWN_NAMES = 10_000;

export type Policy = "disconnect" | "latest";

export interface Channel {
  readonly name: string;
  readonly prefix: string;
  readonly policy: Policy;
  readonly isPublic: boolean;
  readonly log: ChannelLog;
  readonly slab: Slab;
  /** Subscriptions that get each bundle (states `live` and `latest`). */
  readonly live: Set<Subscription>;
  /** All subscriptions. */
  subscribers: number;
  /** Accepted in this turn, not yet offered. */
  pending: Entry[];
  pendingBytes: number;
}

export interface HubLimits {
  readonly connectionBytes: number;
  readonly totalBytes: number;
  readonly messageBytes: number;
}

/** The monotonic clock, ms. */
export type Clock = () => number;

export class Hub {
  readonly limits: HubLimits;
  readonly stats: Stats;
  readonly channels = new Map<string, Channel>();
  /** Called when a connection is dropped for the bytes it holds. */
  onKill: (reason: KillReason) => void = () => {};
  /** Counts flushes, so that a burst can be told from a client that lags. */
  turn = 1;
  epoch: string;
  history: History;
  duplicates: DuplicateWindow;
  readonly #config: RelayConfig;
  readonly #clock: Clock;
  readonly #firehose = new Set<Outlet>();
  readonly #knownNames = new Set<string>();
  readonly #congested = new Set<Outlet>();
  readonly #waiting = new Set<Outlet>();
  #dirty: Channel[] = [];
  #flushing: NodeJS.Immediate | undefined;
  #polling: NodeJS.Timeout | undefined;
  #held = 0;

  constructor(config: RelayConfig, stats: Stats, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
    this.stats = stats;
    this.limits = {
      connectionBytes: config.slowClients.connectionBytes,
      totalBytes: config.slowClients.totalBytes,
      messageBytes: config.limits.messageBytes,
    };
    this.epoch = randomUUID();
    this.history = new History(config.history, clock());
    this.duplicates = new DuplicateWindow(config.duplicates);
  }

  /** Unsent bytes held for all connections, as of their last writes. */
  get held(): number {
    return this.#held;
  }

  /** Forgets everything; positions of before are worth nothing. Only while nobody subscribes. */
  startEpoch(): void {
    this.flush();
    this.channels.clear();
    this.epoch = randomUUID();
    this.history = new History(this.#config.history, this.#clock());
    this.duplicates = new DuplicateWindow(this.#config.duplicates);
  }

  channel(name: string): Channel {
    return this.channels.get(name) ?? this.addChannel(name);
  }

  addChannel(name: string, log: ChannelLog = this.history.open()): Channel {
    const policies = this.#config.slowClients.policies;
    const channel: Channel = {
      name,
      prefix: channelPrefix(name),
      policy: policies.find((rule) => matchesPattern(rule.channels, name))?.policy ?? "disconnect",
      isPublic: matchesAny(this.#config.publicChannels, name),
      log,
      slab: new Slab(),
      live: new Set(),
      subscribers: 0,
      pending: [],
      pendingBytes: 0,
    };
    this.channels.set(name, channel);
    return channel;
  }

  /** Accepts one message, or says why it never can be. */
  publish(message: Message, options: { source: Source; ownId: boolean }): PublishResult {
    const known = this.channels.get(message.channel);
    const problem = this.#problemOf(message, known);
    if (problem) {
      this.stats.rejected(problem.code);
      return { status: "rejected", ...problem };
    }
    const now = this.#clock();
    const { name } = options.source;
    if (
      !options.ownId &&
      this.duplicates.find(name, message.channel, message.id, now) !== undefined
    ) {
      this.stats.duplicate();
      const recipients = known ? this.#recipients(known) : 0;
      return { status: "accepted", recipients, duplicate: true };
    }
    const limit = this.limits.messageBytes;
    // Text never has fewer bytes than UTF-16 units: no need to encode what cannot fit.
    if (message.payload.length > limit) return this.#tooLarge(message.payload.length);
    const channel = known ?? this.addChannel(message.channel);
    const { log, slab } = channel;
    const entry = encodeMessage(message, channel.prefix, log.seq + 1, now, (bytes) =>
      slab.allocate(bytes, log.bytes),
    );
    const bytes = textBytes(entry.frame);
    if (bytes > limit) return this.#tooLarge(bytes);
    this.history.append(channel.log, entry);
    const recipients = this.#recipients(channel);
    if (!options.ownId) this.duplicates.add(name, channel.name, message.id, now, entry.seq);
    this.stats.accepted(entry.frame.length, recipients);
    if (channel.pending.length === 0) this.#dirty.push(channel);
    channel.pending.push(entry);
    channel.pendingBytes += entry.frame.length;
    if (channel.pendingBytes > EAGER_FLUSH_BYTES) this.flush();
    this.#flushing ??= setImmediate(this.#endTurn);
    return { status: "accepted", recipients };
  }

  #recipients(channel: Channel): number {
    return channel.subscribers + (channel.isPublic ? this.#firehose.size : 0);
  }

  #tooLarge(bytes: number): PublishResult {
    this.stats.rejected("message_too_large");
    const limit = this.limits.messageBytes;
    return {
      status: "rejected",
      code: "message_too_large",
      message: `the message has ${bytes} bytes or more; limits.messageBytes is ${limit}`,
    };
  }

  #problemOf(
    { channel, eventName, id, ts }: Message,
    known: Channel | undefined,
  ): { code: string; message: string } | undefined {
    if (!known) {
      const problem = nameProblem(channel);
      if (problem) return { code: "bad_channel", message: `channel ${problem}` };
    }
    if (!this.#knownNames.has(eventName)) {
      const problem = nameProblem(eventName);
      if (problem) return { code: "bad_event_name", message: `eventName ${problem}` };
      if (this.#knownNames.size >= KNOWN_NAMES) this.#knownNames.clear();
      this.#knownNames.add(eventName);
    }
    const problem = nameProblem(id);
    if (problem) return { code: "bad_id", message: `id ${problem}` };
    if (!Number.isSafeInteger(ts) || ts < 0) {
      return { code: "bad_ts", message: "ts must be a whole number of milliseconds since 1970" };
    }
    return undefined;
  }

  readonly #endTurn = (): void => {
    this.#flushing = undefined;
    this.flush();
    this.turn++;
  };

  /** Writes all pending messages to the wires. */
  flush(): void {
    if (this.#dirty.length === 0) return;
    const dirty = this.#dirty;
    this.#dirty = [];
    const touched: Outlet[] = [];
    const bundles = dirty.map((channel) => this.#offerPending(channel, touched));
    for (const outlet of touched) outlet.writeOffers();
    const now = this.#clock();
    for (const entries of bundles) this.stats.flushed(entries, now);
  }

  /** Writes the pending messages of one channel. */
  flushChannel(channel: Channel): void {
    if (channel.pending.length > 0) this.flush();
  }

  #offerPending(channel: Channel, touched: Outlet[]): readonly Entry[] {
    const entries = channel.pending;
    channel.pending = [];
    channel.pendingBytes = 0;
    const bundle = new Bundle(entries);
    for (const subscription of channel.live) {
      if (subscription.outlet.offer(bundle, subscription)) touched.push(subscription.outlet);
    }
    if (channel.isPublic) {
      for (const outlet of this.#firehose) {
        if (outlet.offer(bundle, undefined)) touched.push(outlet);
      }
    }
    return entries;
  }

  /**
   * Adds a subscriber, or starts its subscription anew. `answer` is called before any message is
   * written; a replay starts with `replay`.
   */
  subscribe(
    outlet: Outlet,
    name: string,
    since: Since | undefined,
    old: Subscription | undefined,
  ): { subscription: Subscription; recovered: boolean; seq: number; replay: () => void } {
    const channel = this.channel(name);
    // Messages that are pending belong to the subscribers of before; this one starts after them.
    this.flushChannel(channel);
    const recovery = this.recover(channel, since);
    if (old && since === undefined && old.state !== "live") {
      // What it still waits for comes after this answer, so the answer names the point before it.
      return { subscription: old, recovered: false, seq: old.cursor - 1, replay: () => {} };
    }
    let subscription = old;
    if (subscription) {
      outlet.forget(subscription);
      this.setState(subscription, "live");
    } else {
      subscription = { channel, outlet, state: "live", cursor: 0 };
      channel.live.add(subscription);
      channel.subscribers++;
      this.stats.subscriptions++;
    }
    if (since !== undefined) this.stats.recovery(recovery.recovered);
    if (recovery.from > channel.log.seq) {
      return {
        subscription,
        recovered: recovery.recovered,
        seq: channel.log.seq,
        replay: () => {},
      };
    }
    const started = subscription;
    this.setState(started, "behind");
    started.cursor = recovery.from;
    return {
      subscription,
      recovered: true,
      seq: channel.log.seq,
      replay: () => outlet.startBehind(started, started.cursor),
    };
  }

  recover(channel: Channel, since: Since | undefined): Recovery {
    const now = this.#clock();
    this.history.expire(now);
    return this.history.recover(channel.log, since, {
      epoch: this.epoch,
      now,
      marginMs: this.#config.history.ageMargin,
    });
  }

  /** Ends a subscription; what was published before still leaves. */
  unsubscribe(subscription: Subscription): void {
    const { channel, outlet } = subscription;
    if (!outlet.dead) this.flushChannel(channel);
    outlet.forget(subscription);
    channel.live.delete(subscription);
    channel.subscribers--;
    this.stats.subscriptions--;
  }

  addFirehose(outlet: Outlet): void {
    this.flush();
    this.#firehose.add(outlet);
  }

  removeOutlet(outlet: Outlet): void {
    outlet.ended();
    this.#firehose.delete(outlet);
    this.#waiting.delete(outlet);
  }

  setState(subscription: Subscription, state: Subscription["state"]): void {
    subscription.state = state;
    if (state === "behind") subscription.channel.live.delete(subscription);
    else subscription.channel.live.add(subscription);
  }

  /** The outlet waits for its client; it is looked at until it waits no more. */
  wait(outlet: Outlet): void {
    this.#waiting.add(outlet);
    this.#polling ??= setInterval(this.#poll, POLL_MS).unref();
  }

  readonly #poll = (): void => {
    for (const outlet of this.#waiting) {
      outlet.resume();
      if (!outlet.waiting) this.#waiting.delete(outlet);
    }
    if (this.#waiting.size > 0) return;
    clearInterval(this.#polling);
    this.#polling = undefined;
  };

  /** The outlet holds `held` bytes now. Above the total cap the fullest connections go. */
  account(outlet: Outlet, held: number): void {
    this.#held += held - outlet.accounted;
    outlet.accounted = held;
    if (held > 0) this.#congested.add(outlet);
    else this.#congested.delete(outlet);
    if (this.#held > this.limits.totalBytes) this.#shed();
  }

  #shed(): void {
    this.measure();
    if (this.#held <= this.limits.totalBytes) return;
    const fullestFirst = [...this.#congested].sort((a, b) => b.accounted - a.accounted);
    for (const outlet of fullestFirst) {
      if (this.#held <= this.limits.totalBytes) return;
      outlet.kill("total_cap");
    }
  }

  /** Looks at every connection that held something, and says how much they hold now. */
  measure(): number {
    for (const outlet of this.#congested) {
      const held = outlet.dead ? 0 : outlet.held;
      this.#held += held - outlet.accounted;
      outlet.accounted = held;
      if (held === 0) this.#congested.delete(outlet);
    }
    return this.#held;
  }

  /** Evicts what is too old and forgets channels that nobody reads and of which nothing is left. */
  sweep(): void {
    const now = this.#clock();
    this.history.expire(now);
    this.duplicates.expire(now);
    this.measure();
    for (const [name, channel] of this.channels) {
      if (channel.subscribers > 0 || channel.log.size > 0 || channel.pending.length > 0) continue;
      this.history.forget(channel.log);
      this.channels.delete(name);
    }
  }

  stop(): void {
    this.flush();
    clearImmediate(this.#flushing);
    this.#flushing = undefined;
    clearInterval(this.#polling);
    this.#polling = undefined;
  }
}
