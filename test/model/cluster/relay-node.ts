/** A relay node: a cursor in the log, a history per channel, and the pages on it. */
import type { Mark, ModelEngine, ModelEntry } from "./engine.ts";
import type { Page } from "./page.ts";
import type { Placed, World } from "./world.ts";

/** Steps without the log after which a node closes its pages. */
export const GRACE = 8;
/** Added to the age a page names, steps. */
const MARGIN = 1;
/** Steps a message is kept. */
const AGE = 40;

interface Kept extends Placed {
  readonly at: number;
}

interface ChannelState {
  seq: number;
  kept: Kept[];
  evictedAt: number;
}

export interface Subscription {
  readonly page: Page;
  readonly node: RelayNode;
  /** The next number to send. */
  cursor: number;
  /** A replay is under way. */
  behind: boolean;
}

export class RelayNode {
  readonly name: string;
  readonly subscriptions = new Set<Subscription>();
  /** Steps for which the engine is out of reach. */
  cut = 0;
  #world: World;
  readonly #engine: ModelEngine;
  readonly #count: number;
  epoch: string | undefined;
  generation = 0;
  cursor = 0;
  #token = 0;
  #followed = 0;
  #channels = new Map<string, ChannelState>();
  #connectedTo: number | undefined;
  #ready = false;
  #headsRead = false;
  #forgotten = 0;
  #since = 0;
  #acknowledged: Mark[] = [];

  constructor(name: string, world: World, engine: ModelEngine) {
    this.name = name;
    this.#world = world;
    this.#engine = engine;
    this.#count = world.random.pick([4, 12, 40]);
  }

  /** As after kill -9. */
  restart(): void {
    for (const { page } of [...this.subscriptions]) page.leave();
    this.epoch = undefined;
    this.generation = 0;
    this.cursor = 0;
    this.#token = 0;
    this.#channels = new Map();
    this.#connectedTo = undefined;
    this.cut = 0;
    this.#ready = false;
    this.#headsRead = false;
    this.#forgotten = 0;
    this.#acknowledged = [];
  }

  acknowledged(mark: Mark): void {
    if (this.#world.rules.on("acked")) this.#acknowledged.push(mark);
  }

  get ready(): boolean {
    return this.#ready;
  }

  get attacher() {
    const newest = this.#acknowledged
      .filter(({ epoch, n }) => epoch === this.epoch && n > this.cursor)
      .at(-1);
    const own = this.epoch && { epoch: this.epoch, n: this.cursor, token: this.#token };
    return {
      name: `node ${this.name}`,
      generation: this.generation,
      witness: newest ?? (own || undefined),
    };
  }

  #channel(name: string): ChannelState {
    let channel = this.#channels.get(name);
    if (!channel) {
      channel = { seq: this.#forgotten, kept: [], evictedAt: this.#since };
      this.#channels.set(name, channel);
    }
    return channel;
  }

  #reset(epoch: string, generation: number, why: string): void {
    const { rules, now } = this.#world;
    this.#world.say(`node ${this.name} begins anew (${why}): ${this.epoch} -> ${epoch}`);
    this.epoch = epoch;
    this.#followed = generation;
    this.generation = rules.on("gen") ? Math.max(this.generation, generation) : generation;
    this.#channels = new Map();
    this.#forgotten = 0;
    this.#since = now;
    for (const [name, seq] of this.#engine.state.seqs) {
      this.#channels.set(name, { seq, kept: [], evictedAt: now });
    }
    this.#headsRead = true;
    if (rules.on("snap")) this.#load();
    else this.#ready = false;
    for (const subscription of this.subscriptions) {
      if (!rules.on("replay") && subscription.behind) continue;
      const { seq } = this.#channel(subscription.page.channel);
      subscription.cursor = seq + 1;
      subscription.behind = false;
      subscription.page.subscribed(epoch, seq, false);
    }
  }

  /** Fills the history from what the log still has. */
  #load(): void {
    const { state } = this.#engine;
    const { rules, now } = this.#world;
    const mine = state.log.filter(({ generation }) => generation === this.#followed);
    for (const { messages } of mine) {
      for (const message of messages) {
        const channel = this.#channel(message.channel);
        if (rules.on("snap")) {
          // The head was of the same moment: the run below it is history.
          if (channel.kept.length > 0 || message.seq <= channel.seq) {
            channel.kept.push({ ...message, at: now });
          }
        } else if (message.seq <= channel.seq + 1 || channel.kept.length > 0) {
          channel.kept.push({ ...message, at: now });
        } else {
          channel.seq = message.seq - 1;
          channel.kept.push({ ...message, at: now });
        }
        channel.seq = Math.max(channel.seq, message.seq);
        this.#evict(channel);
      }
    }
    this.cursor = mine.at(-1)?.n ?? state.n;
    this.#token = state.token;
    this.#ready = true;
    this.#headsRead = false;
    if (rules.on("snap")) this.#since = now;
  }

  #evict(channel: ChannelState): void {
    while (channel.kept.length > this.#count) {
      channel.evictedAt = (channel.kept.shift() as Kept).at;
    }
  }

  #attach(why: string, run?: number): boolean {
    const { epoch, g } = this.#engine.attach(this.attacher, run);
    if (epoch === this.epoch) return false;
    this.#reset(epoch, g, why);
    return true;
  }

  /** One read of the log, at most so many entries. */
  follow(entries: number): void {
    if (this.cut > 0) return;
    const engine = this.#engine;
    const { rules, random } = this.#world;
    if (this.#connectedTo !== engine.run) {
      // Without the rule: the run id may be what another connection had been told.
      const stale =
        !rules.on("attach") && this.#connectedTo !== undefined && random.chance(0.3)
          ? this.#connectedTo
          : undefined;
      this.#connectedTo = engine.run;
      if (this.#attach("connected", stale)) return;
    }
    if (!this.#ready) {
      if (this.#headsRead) this.#load();
      return;
    }
    const { state } = engine;
    const next = state.log.filter(
      ({ generation, n }) =>
        generation > this.#followed || (generation === this.#followed && n > this.cursor),
    );
    if (rules.on("probe") && next.length === 0) {
      const known = this.attacher.witness?.n ?? 0;
      const strange =
        !engine.isBoundTo(this.epoch as string) ||
        state.n < known ||
        (state.n === this.cursor && state.token !== this.#token);
      if (strange && this.#attach("probe")) return;
    }
    if (rules.on("empty") && next.length === 0 && state.n > this.cursor) {
      this.#reset(state.epoch as string, state.generation, "behind");
      return;
    }
    for (const entry of next.slice(0, entries)) if (!this.#take(entry)) return;
  }

  #take(entry: ModelEntry): boolean {
    const { rules, now } = this.#world;
    const { state } = this.#engine;
    if (entry.generation !== this.#followed) {
      const { epoch, g } = this.#engine.attach(this.attacher);
      this.#reset(epoch, g, "generation");
      return false;
    }
    if (entry.n !== this.cursor + 1) {
      if (!this.#attach("gap")) this.#reset(state.epoch as string, state.generation, "behind");
      return false;
    }
    const broken =
      entry.previous !== this.#token ||
      this.#acknowledged.some(
        ({ epoch, n, token }) => epoch === this.epoch && n === entry.n && token !== entry.token,
      );
    if (rules.on("chain") && broken && this.#attach("chain")) return false;
    for (const message of entry.messages) {
      let channel = this.#channels.get(message.channel);
      if (!channel) {
        channel = { seq: this.#forgotten || message.seq - 1, kept: [], evictedAt: this.#since };
        this.#channels.set(message.channel, channel);
      }
      if (message.seq <= channel.seq) continue;
      channel.kept.push({ ...message, at: now });
      channel.seq = message.seq;
      this.#evict(channel);
    }
    this.cursor = entry.n;
    this.#token = entry.token;
    return true;
  }

  /** Evicts what is too old, and forgets quiet channels. */
  sweep(): void {
    const { rules, now } = this.#world;
    for (const [name, channel] of this.#channels) {
      while ((channel.kept[0]?.at ?? now) < now - AGE) {
        channel.evictedAt = (channel.kept.shift() as Kept).at;
      }
      const read = [...this.subscriptions].some(({ page }) => page.channel === name);
      if (rules.on("heads") || read || channel.kept.length > 0) continue;
      this.#forgotten = Math.max(this.#forgotten, channel.seq);
      this.#channels.delete(name);
    }
  }

  #caughtUp(): boolean {
    if (this.cut > 0 || this.#world.random.chance(0.2)) return false;
    for (let read = 0; read < 5; read++) this.follow(Number.POSITIVE_INFINITY);
    return this.#ready;
  }

  /** False: closed, the page asks elsewhere. */
  subscribe(page: Page): boolean {
    if (!this.#ready || this.cut > GRACE) return false;
    const { position } = page;
    let channel = this.#channel(page.channel);
    if (position && (position.epoch !== this.epoch || position.seq > channel.seq)) {
      const certain = this.#caughtUp();
      if ((!certain && this.#world.rules.on("caught")) || !this.#ready) return false;
      channel = this.#channel(page.channel);
    }
    const first = channel.kept[0]?.seq ?? channel.seq + 1;
    let from = channel.seq + 1;
    let recovered: boolean;
    if (position) {
      recovered =
        position.epoch === this.epoch && position.seq <= channel.seq && position.seq >= first - 1;
      if (recovered) from = position.seq + 1;
    } else {
      const point = page.loadedAt - MARGIN;
      recovered = point > channel.evictedAt && point > this.#since;
      if (recovered) from = channel.kept.find(({ at }) => at >= point)?.seq ?? from;
    }
    page.leave();
    const subscription = { page, node: this, cursor: from, behind: from <= channel.seq };
    this.subscriptions.add(subscription);
    page.subscription = subscription;
    page.subscribed(this.epoch as string, recovered ? from - 1 : channel.seq, recovered);
    return true;
  }

  /** Writes at most `count` messages to a subscriber. */
  pump(subscription: Subscription, count: number): void {
    const channel = this.#channel(subscription.page.channel);
    const first = channel.kept[0]?.seq ?? channel.seq + 1;
    if (subscription.cursor <= channel.seq && subscription.cursor < first) {
      subscription.page.leave();
      return;
    }
    let left = count;
    for (const message of channel.kept) {
      if (message.seq < subscription.cursor) continue;
      if (left-- <= 0) break;
      subscription.cursor = message.seq + 1;
      subscription.page.got(this.epoch as string, message);
    }
    subscription.behind = subscription.cursor <= channel.seq;
  }
}
