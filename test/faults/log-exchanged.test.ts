/** The engine's process lives, and its data is gone or another's. A read alone would notice nothing. */
import { describe, expect, it } from "vitest";
import { message } from "../log-contract/support.ts";
import { ENGINE_MISSING, RedisServer } from "../support/redis-server.ts";
import { until } from "../support/until.ts";
import {
  expectWhole,
  ids,
  logNode,
  PATIENCE,
  proxyTo,
  publish,
  publishMany,
  seen,
  untilReset,
  untilSettled,
  urlOf,
} from "./log-support.ts";

async function replicaOf(master: RedisServer): Promise<RedisServer> {
  const replica = await RedisServer.start("--replicaof", "127.0.0.1", `${master.port}`);
  await until(
    "the replica is in step",
    async () => `${await replica.command("INFO", "replication")}`.includes("link_status:up"),
    PATIENCE,
  );
  return replica;
}

describe.skipIf(ENGINE_MISSING !== "")(`the log's data is exchanged${ENGINE_MISSING}`, () => {
  it("log-flushed: FLUSHALL under open connections begins a new epoch, also while idle", async () => {
    const server = await RedisServer.start();
    const [publisher, follower] = [await logNode(server.url), await logNode(server.url)];
    await publishMany(publisher, "before", 20);
    await untilSettled(publisher, follower);
    const { epoch } = follower.log;
    await server.command("FLUSHALL");
    await untilReset(follower, epoch);
    await expectWhole("before", 100, publisher, follower);
    expect(seen(follower, "before")).toEqual(ids("before", 100));
    // A generation is never used again, so no entry of the new epoch passes for one of the old.
    const [entry] = (await server.command(
      "XRANGE",
      "{rtm}:log",
      "-",
      "+",
      "COUNT",
      1,
    )) as string[][];
    expect(entry?.[0]).toBe("2-1");
  });

  it("log-key-deleted: without the state a new epoch; without the stream it is only trimmed", async () => {
    const server = await RedisServer.start();
    const [publisher, follower] = [await logNode(server.url), await logNode(server.url)];
    await publishMany(publisher, "before", 20);
    await untilSettled(publisher, follower);
    const { epoch } = follower.log;
    await server.command("DEL", "{rtm}:log");
    await publishMany(publisher, "trimmed", 20);
    await untilSettled(publisher, follower);
    expect(seen(follower, "trimmed")).toEqual(ids("trimmed", 100));
    expect(follower.log.epoch).toBe(epoch);
    await server.command("DEL", "{rtm}:state");
    await publishMany(publisher, "after", 20);
    await untilReset(follower, epoch);
    await expectWhole("after", 100, publisher, follower);
  });

  for (const [what, ...write] of [
    [
      "an entry of a later generation",
      "XADD",
      "{rtm}:log",
      "99-1",
      ..."p x t y s 1 b".split(" "),
      "",
    ],
    ["an entry with other fields", "XADD", "{rtm}:log", "*", "foo", "bar"],
    ["another type", "SET", "{rtm}:log", "x"],
  ] as const) {
    it(`log-foreign: ${what}, written by somebody else, begins a new epoch`, async () => {
      const server = await RedisServer.start();
      const [publisher, follower] = [await logNode(server.url), await logNode(server.url)];
      await publishMany(publisher, "before", 20);
      await untilSettled(publisher, follower);
      const { epoch } = follower.log;
      await server.command(...(write as [string, ...string[]]));
      await untilReset(follower, epoch);
      await untilReset(publisher, epoch);
      await expectWhole("before", 100, publisher, follower);
      await publishMany(publisher, "after", 20);
      await untilSettled(publisher, follower);
      expect(seen(follower, "after")).toEqual(ids("after", 100));
    });
  }

  it("log-foreign-gone: an entry of somebody else that was deleted again does not stop appends", async () => {
    const server = await RedisServer.start();
    const [publisher, follower] = [await logNode(server.url), await logNode(server.url)];
    await publishMany(publisher, "before", 20);
    await untilSettled(publisher, follower);
    const { epoch } = follower.log;
    // In one step, so that no probe sees the entry: what stays is the stream's last id.
    const both =
      "redis.call('XADD', KEYS[1], '99-1', 'a', 'b') redis.call('XDEL', KEYS[1], '99-1')";
    await server.command("EVAL", both, 1, "{rtm}:log");
    await publishMany(publisher, "after", 20);
    await untilReset(follower, epoch);
    await expectWhole("after", 100, publisher, follower);
  });

  it("log-failover: a replica that had lost the tail is promoted", async () => {
    const master = await RedisServer.start();
    const replica = await replicaOf(master);
    const proxy = await proxyTo(master.port);
    const [publisher, follower] = [await logNode(urlOf(proxy)), await logNode(urlOf(proxy))];
    await publishMany(publisher, "both", 20);
    await untilSettled(publisher, follower);
    const { epoch } = follower.log;
    // Its link is cut, so it misses what is acknowledged now.
    await replica.command("REPLICAOF", "127.0.0.1", 1);
    await publishMany(publisher, "tail", 20);
    await untilSettled(publisher, follower);
    proxy.cut();
    await master.kill();
    await replica.command("REPLICAOF", "NO", "ONE");
    proxy.retarget(replica.port);
    proxy.restore();
    await publishMany(publisher, "after", 20);
    await untilReset(follower, epoch);
    await expectWhole("after", 100, publisher, follower);
    expect(seen(follower, "tail")).toEqual(ids("tail", 100));
  });

  it("log-there-and-back: a failover taken back leaves the run id and exchanges the data", async () => {
    const a = await RedisServer.start();
    const b = await replicaOf(a);
    const [publisher, follower] = [await logNode(a.url), await logNode(a.url)];
    await publishMany(publisher, "both", 20);
    await untilSettled(publisher, follower);
    const { epoch } = follower.log;
    await b.command("REPLICAOF", "127.0.0.1", 1);
    await publishMany(publisher, "tail", 20);
    await untilSettled(publisher, follower);
    await b.command("REPLICAOF", "NO", "ONE");
    await a.command("REPLICAOF", "127.0.0.1", b.port);
    await until(
      "A has B's data",
      async () => `${await a.command("INFO", "replication")}`.includes("link_status:up"),
      PATIENCE,
    );
    await a.command("REPLICAOF", "NO", "ONE");
    await publishMany(publisher, "after", 20);
    await untilReset(follower, epoch);
    await expectWhole("after", 100, publisher, follower);
    expect(seen(follower, "tail")).toEqual(ids("tail", 100));
  });

  it("log-split-brain: a publisher left on the old primary is not followed, and is fenced out", async () => {
    const master = await RedisServer.start();
    const replica = await replicaOf(master);
    const forFollower = await proxyTo(master.port);
    const forOld = await proxyTo(master.port);
    const follower = await logNode(urlOf(forFollower));
    const old = await logNode(urlOf(forOld));
    await publishMany(old, "both", 10);
    await untilSettled(old, follower);
    const { epoch } = follower.log;
    await replica.command("REPLICAOF", "NO", "ONE");
    forFollower.retarget(replica.port);
    forFollower.cut();
    forFollower.restore();
    await untilReset(follower, epoch);
    // The old primary still takes what its publisher gives; that publisher's worker had no lease any
    // more, and its queue gives the same again to the new one.
    await publishMany(old, "lost", 5);
    await publishMany(follower, "new", 5);
    forOld.retarget(replica.port);
    forOld.cut();
    forOld.restore();
    await untilReset(old, epoch);
    await expectWhole("new", 25, old, follower);
    expect(seen(follower, "lost")).toEqual([]);
  });

  it("log-demoted: a primary that became a replica makes nobody current", async () => {
    const other = await RedisServer.start();
    const server = await RedisServer.start();
    const node = await logNode(server.url);
    await server.command("REPLICAOF", "127.0.0.1", other.port);
    await until("the pages are closed", () => !node.reader.isCurrent, PATIENCE);
    expect(node.reader.detail).toContain("replica");
    expect(await node.log.append([message(1)], { source: { name: "key:x" } })).toMatchObject([
      { status: "unavailable" },
    ]);
    expect(await node.log.caughtUp(100)).toBe(false);
    await server.command("REPLICAOF", "NO", "ONE");
    await until("current again", () => node.reader.isCurrent, PATIENCE);
    await publish(node, [message(1)]);
    await untilSettled(node);
  });

  it("log-restored-backup: the same process with an older copy of the log", async () => {
    const server = await RedisServer.start();
    const [publisher, follower] = [await logNode(server.url), await logNode(server.url)];
    await publishMany(publisher, "old", 10);
    await untilSettled(publisher, follower);
    const keys = ["{rtm}:state", "{rtm}:log"];
    for (const key of keys) await server.command("COPY", key, `saved${key}`);
    await publishMany(publisher, "gone", 10);
    await untilSettled(publisher, follower);
    const { epoch } = follower.log;
    // Run id and replication id stay; only the chain and the witnesses know better.
    for (const key of keys) await server.command("COPY", `saved${key}`, key, "REPLACE");
    await publishMany(publisher, "after", 20);
    await untilReset(follower, epoch);
    await expectWhole("after", 100, publisher, follower);
    expect(seen(follower, "gone")).toEqual(ids("gone", 50));
  });
});
