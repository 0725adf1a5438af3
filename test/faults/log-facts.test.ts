/** Facts when the engine is hurt: what it lost can be said again, and no node speaks from before. */
import { describe, expect, it } from "vitest";
import type { Fact } from "../../relay/log/fact.ts";
import { ENGINE_MISSING, RedisServer } from "../support/redis-server.ts";
import { until } from "../support/until.ts";
import { type LogNode, logNode, PATIENCE, untilReset, untilSettled } from "./log-support.ts";

const revoked: Fact = { table: "revoked", key: "sub:S", value: "{}", rank: 5, untilMs: 9 };
const join = (key: string): Fact => ({ table: "node", key, value: "{}" });
const here = (owner: string): Fact => ({ table: "here", owner, key: "c", value: "1" });

/** Says it again until it is taken. */
async function say({ log }: LogNode, ...facts: Fact[]): Promise<void> {
  await until(
    "facts to be taken",
    async () => (await log.note(facts)).every(({ status }) => status === "accepted"),
    PATIENCE,
  );
}

describe.skipIf(ENGINE_MISSING !== "")(`facts and faults${ENGINE_MISSING}`, () => {
  it("log-flushed: the tables are empty, and what is said again is there on every node", async () => {
    const server = await RedisServer.start();
    const [a, b] = [await logNode(server.url), await logNode(server.url)];
    const { epoch } = a.log;
    await say(a, revoked, join("a"), here("a"));
    await untilSettled(a, b);
    await server.command("FLUSHALL");
    for (const node of [a, b]) await untilReset(node, epoch);
    expect([a.reader.facts, b.reader.facts]).toEqual([[], []]);
    expect(await a.log.note([here("a")])).toMatchObject([{ status: "refused" }]);
    await say(a, revoked, join("a2"), here("a2"));
    await untilSettled(a, b);
    expect(b.reader.facts).toEqual([here("a2"), join("a2"), revoked]);
  });

  it("log-engine-restarted: with its file; nodes join again, revocations are still there", async () => {
    const server = await RedisServer.start("--appendonly", "yes", "--appendfsync", "always");
    const a = await logNode(server.url);
    const { epoch } = a.log;
    await say(a, revoked, join("a"), here("a"));
    await server.kill();
    await server.restart();
    await untilReset(a, epoch);
    expect(a.reader.facts).toEqual([revoked]);
    expect(await server.command("KEYS", "{rtm}:t:*")).toEqual(["{rtm}:t:revoked"]);
    await say(a, join("a2"), here("a2"));
    await untilSettled(a);
    expect(a.reader.facts).toEqual([here("a2"), join("a2"), revoked]);
  });

  it("log-full: a fact that the engine has no room for is not taken, and what is there stays", async () => {
    const server = await RedisServer.start("--maxmemory-policy", "noeviction");
    const a = await logNode(server.url);
    await say(a, revoked);
    await server.command("CONFIG", "SET", "maxmemory", "1");
    expect(await a.log.note([{ ...revoked, value: "2", rank: 6 }])).toMatchObject([
      { status: "unavailable" },
    ]);
    await server.command("CONFIG", "SET", "maxmemory", "0");
    await say(a, join("a"));
    await untilSettled(a);
    expect(a.reader.facts).toEqual([join("a"), revoked]);
  });
});
