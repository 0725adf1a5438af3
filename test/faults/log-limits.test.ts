/** The log is trimmed, full, or evicted. */
import { describe, expect, it } from "vitest";
import { message, messages } from "../log-contract/support.ts";
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
  SOURCE,
  seen,
  untilReset,
  untilSettled,
  urlOf,
} from "./log-support.ts";

const KIB = 1024;
const filler = (n: number, bytes = 8 * KIB) =>
  message(n, { id: `f-${n}`, payload: JSON.stringify("x".repeat(bytes)) });

describe.skipIf(ENGINE_MISSING !== "")(`the log's limits${ENGINE_MISSING}`, () => {
  it("log-slow-node: who falls out of the log is told, in the same epoch, and goes on", async () => {
    const server = await RedisServer.start();
    const proxy = await proxyTo(server.port);
    const limits = { bytes: 256 * KIB };
    const publisher = await logNode(server.url, limits);
    const slow = await logNode(urlOf(proxy), limits);
    await publishMany(publisher, "before", 3);
    await untilSettled(publisher, slow);
    const { epoch } = slow.log;
    proxy.cut();
    for (let n = 0; n < 200; n++) await publish(publisher, [filler(n)]);
    proxy.restore();
    await untilSettled(publisher, slow);
    expect(slow.reader.resets).toEqual([
      { reason: "start", epoch },
      { reason: "behind", epoch },
    ]);
    await publishMany(publisher, "after", 3);
    await untilSettled(publisher, slow);
    expect(seen(slow, "after")).toEqual(ids("after", 15));
    expect(slow.reader.heads).toEqual(publisher.reader.heads);
  });

  it("log-trimmed-to-nothing: an empty log with entries above the cursor is no empty log", async () => {
    const server = await RedisServer.start();
    const proxy = await proxyTo(server.port);
    const publisher = await logNode(server.url);
    const node = await logNode(urlOf(proxy));
    const { epoch } = node.log;
    proxy.cut();
    await publishMany(publisher, "unheard", 4);
    await server.command("XTRIM", "{rtm}:log", "MAXLEN", 0);
    proxy.restore();
    await untilSettled(node);
    expect(node.reader.resets.at(-1)).toEqual({ reason: "behind", epoch });
    expect([...node.reader.heads.values()]).toEqual([8, 8, 4]);
    await publishMany(publisher, "after", 2);
    await untilSettled(node);
    expect(seen(node, "after")).toEqual(ids("after", 10));
  });

  it("log-trim: keeps what its limits say, by bytes while messages come", async () => {
    const server = await RedisServer.start();
    const node = await logNode(server.url, { bytes: 256 * KIB });
    for (let n = 0; n < 300; n++) await publish(node, [filler(n)]);
    const kept = (await server.command("XLEN", "{rtm}:log")) as number;
    // At least the limit; a trim that is not exact leaves up to one node of the stream more.
    expect(kept * 8).toBeGreaterThanOrEqual(256);
    expect(kept * 8).toBeLessThanOrEqual(256 + 128);
  });

  it("log-age: trims what is too old while nobody publishes", async () => {
    const server = await RedisServer.start();
    const node = await logNode(server.url, { age: 1000 });
    await publishMany(node, "old", 5);
    await until(
      "what is too old is gone",
      async () => (await server.command("XLEN", "{rtm}:log")) === 0,
      PATIENCE,
    );
    const late = await logNode(server.url);
    expect(late.reader.messages).toEqual([]);
    expect(late.reader.heads).toEqual(node.reader.heads);
    await publishMany(node, "new", 1);
    await untilSettled(node, late);
    expect(seen(late, "new")).toEqual(ids("new", 5));
  });

  it("log-nobody-trims: the script itself bounds the log when its appender cannot read", async () => {
    const server = await RedisServer.start();
    const proxy = await proxyTo(server.port);
    // The first connection is the follower's; it stands still, so nothing is named for trimming.
    let connections = 0;
    const address = { url: () => (connections++ === 0 ? urlOf(proxy) : server.url) };
    const node = await logNode(server.url, { address, bytes: 128 * KIB });
    proxy.swallow();
    const before = node.reader.live.length;
    for (let n = 0; n < 200; n++) await publish(node, [filler(n)]);
    expect(node.reader.live.length).toBe(before);
    const kept = (await server.command("XLEN", "{rtm}:log")) as number;
    expect(kept * 8).toBeLessThanOrEqual(256 + 16 * 8);
  });

  it("log-oom: a full engine holds the batch and keeps its numbers without a hole", async () => {
    const server = await RedisServer.start();
    const [node, follower] = [await logNode(server.url), await logNode(server.url)];
    await publishMany(node, "before", 2);
    await server.command("CONFIG", "SET", "maxmemory", "1mb");
    const refused = await node.log.append(messages(1, 3), SOURCE);
    expect(refused).toMatchObject(Array(3).fill({ status: "unavailable" }));
    expect(refused[0]).toMatchObject({ message: expect.stringContaining("OOM") });
    await server.command("CONFIG", "SET", "maxmemory", "0");
    await publish(node, messages(1, 3));
    await publishMany(node, "after", 2);
    await untilSettled(node, follower);
    expect(seen(follower, "id")).toEqual(["id-1", "id-2", "id-3"]);
    expect(seen(follower, "after")).toEqual(ids("after", 10));
    expect(follower.reader.resets).toHaveLength(1);
  });

  it("log-evicted: when its state is evicted all the same, nobody goes on with old positions", async () => {
    const server = await RedisServer.start();
    const [node, follower] = [await logNode(server.url), await logNode(server.url)];
    await publishMany(node, "before", 4);
    await untilSettled(node, follower);
    const { epoch } = follower.log;
    await server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-random");
    await server.command("CONFIG", "SET", "maxmemory", "1mb");
    await server.command("SET", "other", "1").catch(() => {});
    expect(await server.command("EXISTS", "{rtm}:state")).toBe(0);
    await server.command("CONFIG", "SET", "maxmemory", "0");
    await server.command("CONFIG", "SET", "maxmemory-policy", "noeviction");
    await publishMany(node, "after", 2);
    await untilReset(follower, epoch);
    await expectWhole("after", 10, node, follower);
  });
});
