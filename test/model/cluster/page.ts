/** A page: what it was given, what it was told, and what it may say about it at the end. */
import type { Subscription } from "./relay-node.ts";
import type { Placed, World } from "./world.ts";
import { CHANNELS } from "./world.ts";

export class Page {
  readonly name: string;
  readonly channel: string;
  readonly #world: World;
  subscription: Subscription | undefined;
  /** Where it is; undefined until it was subscribed. */
  position: { epoch: string; seq: number } | undefined;
  loadedAt = 0;
  refreshes = 0;
  /** Ids that it was given, and those that it saw in the database when it loaded or refreshed. */
  #got = new Set<string>();
  #knows = new Set<string>();
  #inEpoch = new Set<string>();
  #lastOfSession = new Map<string, number>();

  constructor(name: string, world: World) {
    this.name = name;
    this.#world = world;
    this.channel = world.random.pick(CHANNELS);
    this.load();
  }

  load(): void {
    this.leave();
    this.position = undefined;
    this.loadedAt = this.#world.now;
    this.#got = new Set();
    this.#inEpoch = new Set();
    this.#lastOfSession = new Map();
    this.#knows = new Set(this.#world.database.keys());
    this.#world.say(`page ${this.name} loads (${this.channel})`);
  }

  leave(): void {
    this.subscription?.node.subscriptions.delete(this.subscription);
    this.subscription = undefined;
  }

  subscribed(epoch: string, seq: number, recovered: boolean): void {
    this.position = { epoch, seq };
    this.#world.say(`page ${this.name} at ${epoch}:${seq} recovered=${recovered}`);
    if (recovered) return;
    this.refreshes++;
    this.#knows = new Set(this.#world.database.keys());
  }

  got(epoch: string, { id, seq, session, index }: Placed): void {
    this.#world.say(`page ${this.name} gets ${epoch}:${this.channel}${seq}=${id}`);
    const before = this.position?.seq ?? 0;
    if (seq !== before + 1) this.#world.report("gap", this.name, `${before} -> ${seq}`);
    this.position = { epoch, seq };
    const once = `${epoch}/${id}`;
    if (this.#inEpoch.has(once)) this.#world.report("twice", this.name, once);
    this.#inEpoch.add(once);
    const line = `${epoch}/${session}`;
    const last = this.#lastOfSession.get(line) ?? 0;
    if (last > index) this.#world.report("order", this.name, `${id} after ${last}`);
    else this.#lastOfSession.set(line, index);
    this.#got.add(id);
  }

  /** At rest: every message of its channel was given, or seen when it was told to refresh. */
  check(): void {
    const lost = [...this.#world.database.values()]
      .filter(({ id, channel }) => channel === this.channel && !this.#got.has(id))
      .filter(({ id }) => !this.#knows.has(id));
    if (lost.length > 0) {
      this.#world.report("lost", this.name, lost.map(({ id }) => id).join(" "));
    }
  }
}
