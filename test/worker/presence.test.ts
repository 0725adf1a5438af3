/** Who is present, on its way into the database. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseConfig } from "../../common/config.ts";
import { OraError, type RtmSchemaOptions } from "../../emulator/index.ts";
import type { PresenceFeed, PresentMember } from "../../relay/contract/presence-feed.ts";
import { workerConfig } from "../../worker/config.ts";
import { reportParts } from "../../worker/presence-report.ts";
import type { WorkerOptions } from "../../worker/worker.ts";
import { until } from "../support/until.ts";
import { World } from "./support.ts";

const member = (channel: string, user: string, connections = 1, info?: string): PresentMember => ({
  channel,
  user,
  connections,
  info,
  sinceMs: 1_795_333_000_123,
});

/** A relay's list: what a test says has changed is told once. */
class Feed implements PresenceFeed {
  settled = true;
  readonly reads: { full: boolean; told: number | undefined }[] = [];
  readonly #members = new Map<string, PresentMember>();
  #changed = new Set<string>();

  change(...members: PresentMember[]): void {
    for (const each of members) {
      const key = `${each.channel} ${each.user}`;
      this.#members.set(key, each);
      this.#changed.add(key);
    }
  }

  read(full: boolean): readonly PresentMember[] | undefined {
    if (!this.settled) {
      this.reads.push({ full, told: undefined });
      return undefined;
    }
    const told = full
      ? [...this.#members.values()].filter(({ connections }) => connections > 0)
      : [...this.#changed].map((key) => this.#members.get(key)!);
    this.#changed = new Set();
    this.reads.push({ full, told: told.length });
    return told;
  }
}

describe("presence", () => {
  let world: World;
  let feed: Feed;

  const start = async (schema: RtmSchemaOptions = {}) => {
    world = await World.start({}, schema);
    feed = new Feed();
  };
  beforeEach(() => start());
  afterEach(async () => {
    await world[Symbol.asyncDispose]();
    expect(world.emulator.connections).toBe(0);
  });

  const startWorker = (raw: object = {}, options: Partial<WorkerOptions> = {}) =>
    world.startWorker(raw, {
      presence: feed,
      // Below what the configuration allows, to keep the tests short.
      worker: { ...parseConfig(workerConfig, raw), presenceInterval: 5 },
      ...options,
    });
  const shown = () =>
    world.schema.presence.members.map(
      ({ channel, user, connections }) => `${channel} ${user} ${connections}`,
    );
  const untilShown = (...rows: string[]) =>
    until(`the database shows ${rows}, not ${shown()}`, () => String(shown()) === String(rows));
  /** Of reads that begin from now on. */
  const reads = (count: number) => {
    const from = feed.reads.length;
    return until(`${count} more reads`, () => feed.reads.length >= from + count);
  };

  it("is told in full at first, then by what has changed", async () => {
    feed.change(member("room", "SCOTT", 2, '{"name":"Scott"}'), member("room", "KING"));
    startWorker();
    await untilShown("room KING 1", "room SCOTT 2");
    expect(world.schema.presence.members[1]).toMatchObject({
      info: '{"name":"Scott"}',
      sinceMs: 1_795_333_000_123,
    });
    expect(world.schema.presence.members[0]!.info).toBeNull();
    feed.change(member("room", "KING", 0), member("hall", "ÄDÄMS 😀"), member("room", "SCOTT", 1));
    await untilShown("hall ÄDÄMS 😀 1", "room SCOTT 1");
    expect(feed.reads.map(({ full }) => full)).toEqual([
      true,
      ...feed.reads.slice(1).map(() => false),
    ]);
  });

  it("is kept alive when nothing changes, and gone 15 seconds after the worker is", async () => {
    feed.change(member("room", "SCOTT"));
    const worker = startWorker();
    await untilShown("room SCOTT 1");
    world.schema.clockOffsetMs += 14_000;
    await reads(2);
    world.schema.clockOffsetMs += 14_000;
    expect(shown()).toEqual(["room SCOTT 1"]);
    await worker.stop();
    world.schema.clockOffsetMs += 15_001;
    expect(shown()).toEqual([]);
  });

  it("shows nobody when nobody is there, and no member of the empty list", async () => {
    startWorker();
    await until("the source is known", () => world.schema.presence.sources.size === 1);
    await reads(2);
    expect(shown()).toEqual([]);
    expect(feed.reads[0]).toEqual({ full: true, told: 0 });
  });

  it("is not told while it settles, since all would leave and come back", async () => {
    feed.change(member("room", "SCOTT"));
    startWorker();
    await untilShown("room SCOTT 1");
    feed.settled = false;
    feed.change(member("room", "SCOTT", 0));
    await reads(3);
    expect(shown()).toEqual(["room SCOTT 1"]);
    expect(feed.reads.at(-1)).toEqual({ full: true, told: undefined });
    feed.change(member("room", "SCOTT", 1), member("room", "KING", 1));
    feed.settled = true;
    await untilShown("room KING 1", "room SCOTT 1");
  });

  it("is told in full again after an error", async () => {
    feed.change(member("room", "SCOTT"));
    startWorker();
    await untilShown("room SCOTT 1");
    world.schema.failures.set("presence", new OraError(1653, "unable to extend table"));
    feed.change(member("room", "KING"));
    await untilShown("room KING 1", "room SCOTT 1");
    expect(feed.reads.filter(({ full }) => full)).toHaveLength(2);
  });

  it("is told in full again after the session was lost", async () => {
    feed.change(member("room", "SCOTT"));
    startWorker();
    await untilShown("room SCOTT 1");
    const [session] = world.emulator.sessions().filter(({ action }) => action === "presence");
    world.emulator.faults.kill(session!);
    await until("in full", () => feed.reads.filter(({ full }) => full).length === 2);
    await untilShown("room SCOTT 1");
  });

  it("is told in full at once when the database has forgotten the worker", async () => {
    feed.change(member("room", "SCOTT"));
    startWorker();
    await untilShown("room SCOTT 1");
    world.schema.presence.sources.clear();
    await untilShown("room SCOTT 1");
  });

  it("is told by the worker that leads, and by the other one when it takes over", async () => {
    feed.change(member("room", "SCOTT"));
    const first = startWorker({ standby: true });
    await untilShown("room SCOTT 1");
    const other = new Feed();
    other.change(member("room", "SCOTT"), member("room", "KING"));
    const second = startWorker({ standby: true }, { presence: other });
    await until("it waits", () => second.status()[0]!.state === "standby");
    expect(other.reads).toEqual([]);
    await first.stop();
    await untilShown("room KING 1", "room SCOTT 1");
    expect(other.reads[0]!.full).toBe(true);
    // The one before is forgotten when its time is over.
    world.schema.clockOffsetMs += 15_001;
    await until("one source is left", () => world.schema.presence.sources.size === 1);
    expect(shown()).toEqual(["room KING 1", "room SCOTT 1"]);
  });

  it("is left out where the package is older, and messages are delivered as ever", async () => {
    await world[Symbol.asyncDispose]();
    await start({ apiVersion: 1 });
    feed.change(member("room", "SCOTT"));
    startWorker();
    await world.publish(1);
    await world.delivered(1, 1);
    expect(feed.reads).toEqual([]);
  });
});

describe("a report", () => {
  const list = (count: number) =>
    Array.from({ length: count }, (_, i) => member("room", `user ${i}`));
  const passes = (count: number, full: boolean) =>
    [...reportParts(list(count), full, 10)].map(({ pass, members }) => [pass, members.length]);

  it("of everybody says which part is the first and which the last", () => {
    expect(passes(0, true)).toEqual([[1, 0]]);
    expect(passes(10, true)).toEqual([[1, 10]]);
    expect(passes(11, true)).toEqual([
      [2, 10],
      [4, 1],
    ]);
    expect(passes(30, true)).toEqual([
      [2, 10],
      [3, 10],
      [4, 10],
    ]);
  });

  it("of changes is as many calls as it takes", () => {
    expect(passes(0, false)).toEqual([[0, 0]]);
    expect(passes(25, false)).toEqual([
      [0, 10],
      [0, 10],
      [0, 5],
    ]);
  });
});
