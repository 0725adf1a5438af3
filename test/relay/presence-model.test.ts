/**
 * Random histories of nodes on one ordered log, with pauses, kills, trims, false deaths, lost answers and
 * notes that come twice, the second time late:
 * at rest every node, and everybody who watches, sees exactly who is there.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RateLimitedLog } from "../../common/logger.ts";
import type { Grant } from "../../relay/access/claims.ts";
import type { Hub } from "../../relay/channels/hub.ts";
import type { Outlet, Subscription } from "../../relay/channels/outlet.ts";
import { MESSAGE } from "../../relay/channels/view.ts";
import { type Fact, FactTables, type Notice } from "../../relay/log/fact.ts";
import type { Noted } from "../../relay/log/log.ts";
import type { Seat } from "../../relay/presence/locals.ts";
import { Presence } from "../../relay/presence/presence.ts";
import { frameText } from "../../relay/wire/frame.ts";
import { log as logger, testConfig } from "./support.ts";

const ROUNDS = Number(process.env.RTM_TEST_ROUNDS ?? 100);
const SEED = Number(process.env.RTM_TEST_SEED ?? 1);
const USERS = ["a", "b", "c", "__proto__"];
const CHANNELS = ["room:1", "room:2"];
const GRACE_MS = 1000;

/** Numbers below `n`, the same for the same seed. */
function randomly(seed: number): (n: number) => number {
  let state = (seed * 2_654_435_761) >>> 0;
  return (n) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 8) % n;
  };
}

class Engine {
  readonly tables = new FactTables();
  readonly log: Fact[] = [];
  base = 0;

  get end(): number {
    return this.base + this.log.length;
  }

  note(batch: readonly Notice[]): Noted[] {
    return batch.map((notice) => {
      const fact = notice as Fact;
      if (this.tables.apply(fact) === "refused") return { status: "refused", message: "gone" };
      this.log.push(fact);
      return { status: "accepted" };
    });
  }
}

/** A client that keeps a list, as a page does. */
class Watching {
  readonly members = new Map<string, unknown>();
  busy = false;
  readonly subscription: Subscription;

  constructor(channel: string) {
    const outlet = {
      dead: false,
      view: MESSAGE,
      controls: (frames: { frames: readonly Buffer[] }) => {
        for (const frame of frames.frames) this.#take(JSON.parse(frameText(frame).toString()));
      },
    };
    Object.defineProperty(outlet, "held", { get: () => (this.busy ? 100_000 : 0) });
    this.subscription = {
      channel: { name: channel },
      outlet: outlet as unknown as Outlet,
      view: MESSAGE,
      state: "live",
      cursor: 0,
    } as unknown as Subscription;
  }

  #take(frame: Record<string, unknown>): void {
    if (frame.op === "members") {
      this.members.clear();
      for (const entry of frame.members as { user: string }[]) this.members.set(entry.user, entry);
      return;
    }
    for (const user of frame.left as string[]) {
      if (!this.members.delete(user)) throw new Error(`${user} left who was not there`);
    }
    for (const entry of frame.joined as { user: string }[]) this.members.set(entry.user, entry);
  }
}

const GRANT = {
  issuedAt: 0,
  endsAt: Number.POSITIVE_INFINITY,
  presence: { join: ["*"], watch: ["*"], info: undefined },
} as unknown as Grant;

class SimNode {
  readonly #engine: Engine;
  readonly #random: (n: number) => number;
  presence!: Presence;
  seats: Seat[] = [];
  watching: Watching[] = [];
  paused = false;
  /** Answers of the log are lost for now. */
  deaf = false;
  /** What it said while no answer came, and what a connection that it has given up may still bring. */
  stalled: (readonly Notice[])[] = [];
  #cursor = 0;

  constructor(engine: Engine, random: (n: number) => number) {
    this.#engine = engine;
    this.#random = random;
    this.start();
  }

  start(): void {
    this.seats = [];
    this.paused = false;
    this.presence = new Presence({
      config: testConfig({ presence: { rules: [{ channels: "*" }], grace: `${GRACE_MS}ms` } }),
      hub: { flush: () => {}, connectionBytes: 1_000_000 } as unknown as Hub,
      messageLog: {
        note: async (batch) => this.#note(batch),
        caughtUp: async () => {
          this.read(Number.POSITIVE_INFINITY);
          return true;
        },
      },
      log: logger,
      warnings: new RateLimitedLog(logger),
      clock: () => performance.now(),
      shared: true,
    });
    this.#attach("start");
    this.presence.current(true);
    this.watching = CHANNELS.map((channel) => new Watching(channel));
    for (const each of this.watching) this.presence.watch(each);
  }

  /** What has no answer may have been taken or not. */
  #note(batch: readonly Notice[]): readonly Noted[] {
    const lost = batch.map(() => ({ status: "unavailable", message: "lost" }) as const);
    if (this.deaf) this.stalled.push(batch);
    if (this.deaf && this.#random(2) === 0) return lost;
    const answers = this.#engine.note(batch);
    return this.deaf ? lost : answers;
  }

  /** All or one of what has stalled arrives, in its order. */
  arrive(): void {
    for (const batch of this.stalled.splice(0, 1 + this.#random(10))) this.#engine.note(batch);
  }

  #attach(reason: "start" | "behind" | "lost"): void {
    this.#cursor = this.#engine.end;
    this.presence.reset([...this.#engine.tables.all()], reason);
  }

  lost(): void {
    this.#attach("lost");
  }

  read(limit: number): void {
    if (this.#cursor < this.#engine.base) this.#attach("behind");
    for (let left = limit; left > 0 && this.#cursor < this.#engine.end; left--) {
      this.presence.apply(this.#engine.log[this.#cursor++ - this.#engine.base] as Fact);
    }
  }

  kill(): void {
    this.presence.stop();
    this.start();
  }

  enter(channel: string, user: string): void {
    const seat: Seat = { channel, user, grant: GRANT };
    this.seats.push(seat);
    this.presence.join(seat);
  }

  leave(at: number, graceMs: number): void {
    const [seat] = this.seats.splice(at, 1);
    if (seat) this.presence.locals.leave(seat, graceMs);
  }
}

async function history(seed: number): Promise<void> {
  const random = randomly(seed);
  const engine = new Engine();
  const nodes = [1, 2, 3].map(() => new SimNode(engine, random));
  const any = <T>(from: readonly T[]): T => from[random(from.length)] as T;
  const pass = async (ms: number) => {
    for (let at = 0; at < ms; at += 250) {
      await vi.advanceTimersByTimeAsync(250);
      for (const node of nodes) if (!node.paused) node.read(1 + random(6));
    }
  };
  for (let step = 0; step < 60; step++) {
    const node = any(nodes);
    switch (random(12)) {
      case 0:
      case 1:
      case 2:
        node.enter(any(CHANNELS), any(USERS));
        break;
      case 3:
      case 4:
        node.leave(random(4), random(2) * GRACE_MS);
        break;
      case 5:
        // Its timers go on: it speaks before it has read.
        node.paused = !node.paused;
        break;
      case 6:
        if (random(3) === 0) node.kill();
        break;
      case 7: {
        const victim = any([...engine.tables.of("node")].map(({ key }) => key));
        if (victim !== undefined) engine.note([{ table: "node", key: victim, value: null }]);
        break;
      }
      case 8: {
        const cut = random(engine.log.length + 1);
        engine.log.splice(0, cut);
        engine.base += cut;
        if (random(4) === 0) {
          engine.tables.dropNodes();
          engine.base = engine.end;
          engine.log.length = 0;
          for (const each of nodes) each.lost();
        }
        break;
      }
      case 9:
        node.deaf = !node.deaf;
        break;
      case 10:
        any(node.watching).busy = random(2) === 0;
        break;
      case 11:
        node.arrive();
    }
    await pass(random(5) * 250);
  }
  for (const node of nodes) {
    node.paused = false;
    node.deaf = false;
    for (const each of node.watching) each.busy = false;
  }
  await pass(5000);
  // The last ones when all is quiet: nothing else would be said that could mend it.
  for (const node of nodes) while (node.stalled.length > 0) node.arrive();
  // Long enough also for a name that came to life again to be taken for dead.
  await pass(40_000);
  for (const node of nodes) node.read(Number.POSITIVE_INFINITY);
  await pass(1000);
  for (const [at, channel] of CHANNELS.entries()) {
    const there = nodes.flatMap(({ seats }) => seats.filter((seat) => seat.channel === channel));
    const truth = [...new Set(there.map(({ user }) => user))].sort();
    const where = `seed ${seed}, ${channel}`;
    for (const { presence, watching } of nodes) {
      const members = [...presence.roster.members(channel)];
      expect([where, members.map(({ user }) => user).sort()]).toEqual([where, truth]);
      for (const { user, connections } of members) {
        const count = there.filter((seat) => seat.user === user).length;
        expect([where, user, connections]).toEqual([where, user, count]);
      }
      expect([where, [...(watching[at] as Watching).members.keys()].sort()]).toEqual([
        where,
        truth,
      ]);
    }
  }
  for (const { presence } of nodes) presence.stop();
}

describe("presence in random histories", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it(`equals who is there, at rest (${ROUNDS} from seed ${SEED})`, {
    timeout: 600_000,
  }, async () => {
    for (let round = 0; round < ROUNDS; round++) await history(SEED + round);
  });
});
