/** One history: a relay, six pages, and everything that can happen to them; then all is at rest. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vi } from "vitest";
import type { Carrier } from "./carriers.ts";
import { hurry, pass, startClock, stopClock } from "./clock.ts";
import { Database } from "./database.ts";
import { type Fault, make } from "./faults.ts";
import { TYPING } from "./model-talk.ts";
import { Page, type Wish } from "./page.ts";
import { Rest } from "./rest.ts";
import { Service } from "./service.ts";
import { CHANNELS, EVENTS, type Found, ROOM, SESSIONS, USERS, World } from "./world.ts";

export interface HistoryOptions {
  readonly seed: number;
  readonly fault?: Fault;
  readonly steps?: number;
}

const WEIGHTS = {
  publish: 90,
  "publish again": 6,
  hurry: 30,
  settle: 15,
  wait: 8,
  cut: 8,
  move: 10,
  load: 12,
  filter: 12,
  subscribe: 8,
  join: 8,
  "leave or return": 8,
  type: 10,
  renew: 10,
  revoke: 8,
  unsubscribe: 5,
  disconnect: 4,
  forget: 8,
  restart: 3,
  "restart without its state": 2,
  crash: 2,
} as const;

type Step = keyof typeof WEIGHTS;

const CARRIERS: readonly Carrier[] = ["websocket", "stream", "poll"];
const LIVES = ["websocket", "websocket", "websocket", "stream", "stream", "poll"] as const;

/**
 * Plays alone in its process, whose clock it stops.
 * @returns what broke a promise, and all that happened
 */
export async function playHistory(
  options: HistoryOptions,
): Promise<{ readonly found: readonly Found[]; readonly trace: readonly string[] }> {
  const directory = await mkdtemp(join(tmpdir(), "rtm-relay-model-"));
  stopClock();
  const world = new World(options.seed, options.fault);
  const chance = vi.spyOn(Math, "random").mockImplementation(() => world.random.next());
  const broken = make(options.fault);
  const history = new History(world, directory);
  try {
    await history.play(options.steps ?? 120);
  } catch (error) {
    world.report("protocol", `${(error as Error).stack}`);
  } finally {
    await history.end();
    broken?.mockRestore();
    chance.mockRestore();
    startClock();
    await rm(directory, { recursive: true, force: true });
  }
  return { found: world.found, trace: world.trace };
}

class History {
  readonly #world: World;
  readonly #service: Service;
  readonly #database: Database;
  readonly #pages: Page[] = [];

  constructor(world: World, directory: string) {
    this.#world = world;
    this.#service = new Service(world, directory);
    this.#database = new Database(world, this.#service);
  }

  async play(steps: number): Promise<void> {
    const { random } = this.#world;
    await this.#service.start();
    for (const [index, carrier] of LIVES.entries()) {
      const user = USERS[index % USERS.length] as string;
      const page = new Page(this.#world, `page ${index}`, user, carrier);
      this.#pages.push(page);
      for (const channel of CHANNELS)
        page.wishes.set(channel, { events: undefined, first: undefined });
      page.tokens = [await this.#token(page)];
      page.connect();
    }
    for (let step = 0; step < steps && !this.#world.isOver; step++) {
      await this.#step(random.weighted(WEIGHTS), random.pick(this.#pages));
      for (const page of this.#pages)
        if (page.needsToken && random.chance(0.3)) await this.#renew(page);
    }
    if (!this.#world.isOver) await this.#rest();
  }

  async end(): Promise<void> {
    for (const page of this.#pages) page.close();
    await this.#service.end();
  }

  #token({ user }: Page, whole = false) {
    const { random, rights } = this.#world;
    const channels = whole ? CHANNELS : CHANNELS.filter(() => random.chance(0.9));
    return rights.issue(user, random.pick(SESSIONS), channels);
  }

  async #renew(page: Page): Promise<void> {
    const { random } = this.#world;
    const granted = await this.#token(page);
    page.needsToken = false;
    const alone = random.chance(0.6);
    page.tokens = alone ? [granted] : [granted, ...page.tokens.slice(0, 1)];
    const connection = random.chance(0.6) ? page.asked : undefined;
    if (!connection) {
      page.connect();
      return;
    }
    connection.refresh(granted);
    for (const channel of page.wishes.keys()) connection.subscribe(channel, false);
  }

  async #step(kind: Step, page: Page): Promise<void> {
    const { random, network } = this.#world;
    this.#world.say(`${kind} (${page.name})`);
    const channel = random.pick(CHANNELS);
    switch (kind) {
      case "publish":
        return this.#database.publish(random.int(1, 3));
      case "publish again":
        return this.#database.repeat();
      case "hurry":
        return hurry(network, random.int(0, 6));
      case "settle":
        return network.quiet();
      case "wait":
        return pass(network, random.pick([50, 300, 700, 1500]));
      case "cut":
        return page.connect();
      case "move":
        page.carrier = random.pick(CARRIERS);
        return page.connect();
      case "load":
        for (const wish of page.wishes.values()) this.#begin(wish);
        page.load();
        return page.connect();
      case "filter":
        (page.wishes.get(channel) as Wish).events = this.#filter();
        return this.#ask(page, channel);
      case "subscribe":
        return this.#ask(page, channel);
      case "join":
        page.joins = !page.joins;
        return this.#ask(page, ROOM);
      case "leave or return":
        page.away = !page.away;
        return page.connect();
      case "type":
        page.asked?.type();
        return;
      case "renew":
        return this.#renew(page);
      case "revoke":
      case "unsubscribe":
      case "disconnect":
        return this.#database.takeAway(kind, this.#pages);
      case "forget":
        return this.#database.forget();
      case "restart":
      case "restart without its state":
      case "crash":
        return this.#service.restart(kind);
    }
  }

  #begin(wish: Wish): void {
    const { random } = this.#world;
    wish.first = random.pick([
      undefined,
      { ageMs: random.int(5, 150) },
      { last: random.int(1, 3) },
      { last: 1 },
    ]);
  }

  #filter(): readonly string[] | undefined {
    const { random } = this.#world;
    const some = [...EVENTS, TYPING].filter(() => random.chance(0.4));
    return random.pick([undefined, some.length > 0 ? some : undefined, [random.pick(EVENTS)]]);
  }

  /** By what it has, or by another connection. */
  #ask(page: Page, channel: string): void {
    const forget = this.#world.random.chance(0.3);
    if (page.asked) page.asked.subscribe(channel, forget);
    else page.connect();
  }

  /** Everybody has all rights again and what they want comes to an end. */
  async #rest(): Promise<void> {
    const { random } = this.#world;
    this.#world.say("rest");
    for (const page of this.#pages) {
      page.tokens = [await this.#token(page, true)];
      if (page.away && random.chance(0.5)) page.away = false;
      page.connect();
    }
    for (const channel of CHANNELS) await this.#database.publish(channel.length);
    await new Rest(this.#world, this.#service, this.#pages).compare();
  }
}
