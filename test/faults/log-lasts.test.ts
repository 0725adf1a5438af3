/** Last values in the engine: when they are over, and when somebody else was at their keys. */
import { describe, expect, it } from "vitest";
import { lastFact } from "../../relay/log/retained-value.ts";
import { message } from "../log-contract/support.ts";
import { ENGINE_MISSING, RedisServer } from "../support/redis-server.ts";
import { until } from "../support/until.ts";
import { type LogNode, logNode, PATIENCE, publish, SOURCE, untilSettled } from "./log-support.ts";

const HOUR = 3_600_000;

/** Puts values there that end at a time. */
async function put({ log }: LogNode, keptUntil: number, ...events: string[]): Promise<void> {
  const facts = events.map((eventName) =>
    lastFact(log.epoch, { ...message(0, { eventName }), seq: 1, keptUntil }),
  );
  for (const { status } of await log.note(facts)) expect(status).toBe("accepted");
}

const kept = (n: number, eventName = `e${n}`) => message(n, { eventName, retain: 60 });
const tableOf = async (server: RedisServer) =>
  ((await server.command("HKEYS", "{rtm}:t:last")) as string[])
    .map((key) => key.split("\0")[1])
    .sort();

describe.skipIf(ENGINE_MISSING !== "")(`last values and faults${ENGINE_MISSING}`, () => {
  it("log-last-over: what is over leaves the engine though nobody publishes, all keys of it", async () => {
    const server = await RedisServer.start();
    const node = await logNode(server.url);
    const many = Array.from({ length: 250 }, (_, n) => `many${n}`);
    await put(node, Date.now() - 1, ...many);
    await until(
      "all that is over is gone",
      async () => (await server.command("EXISTS", "{rtm}:t:last")) === 0,
      PATIENCE,
    );
    for (const key of ["{rtm}:t:last:order", "{rtm}:t:last:until"]) {
      expect(await server.command("EXISTS", key)).toBe(0);
    }
    expect(await server.command("HGET", "{rtm}:t:last:sum", "b")).toBe("0");
    await publish(node, [kept(1)]);
    await untilSettled(node);
    expect(node.reader.lasts).toEqual(["sales e1 id-1"]);
    expect(node.reader.resets).toHaveLength(1);
  });

  it("log-last-wrong-clock: a node whose clock is wrong deletes nothing that is still to be given", async () => {
    const server = await RedisServer.start();
    const ahead = await logNode(server.url, { time: () => Date.now() + 24 * HOUR });
    await put(ahead, Date.now() + HOUR, "living");
    await put(ahead, Date.now() - HOUR, "over");
    await until("it looked", async () => (await tableOf(server)).length === 1, PATIENCE);
    expect(await tableOf(server)).toEqual(["living"]);
    await ahead.log.close();
    // One that is behind leaves it to the others.
    const behind = await logNode(server.url, { time: () => Date.now() - 24 * HOUR });
    await put(behind, Date.now() - HOUR, "over");
    await publish(behind, [kept(1)]);
    await untilSettled(behind);
    expect(await tableOf(server)).toEqual(["e1", "living", "over"]);
    await logNode(server.url);
    await until("another looked", async () => (await tableOf(server)).length === 2, PATIENCE);
  });

  it("log-last-deleted: after somebody deleted the table its bounds hold what is there", async () => {
    const server = await RedisServer.start();
    const node = await logNode(server.url, { retained: { count: 3, bytes: 10_000 } });
    const large = (n: number) => ({ ...kept(n), payload: JSON.stringify("x".repeat(2500)) });
    await publish(node, [large(1), large(2), large(3)]);
    await server.command("DEL", "{rtm}:t:last");
    await publish(node, [large(4)]);
    await publish(node, [large(5), large(6)]);
    await untilSettled(node);
    expect(await tableOf(server)).toEqual(["e4", "e5", "e6"]);
    const stored = (await server.command("HVALS", "{rtm}:t:last")) as string[];
    expect(await server.command("HGET", "{rtm}:t:last:sum", "b")).toBe(
      `${stored.reduce((sum, text) => sum + text.length, 0)}`,
    );
    expect(await server.command("ZCARD", "{rtm}:t:last:order")).toBe(3);
    expect(await server.command("ZCARD", "{rtm}:t:last:until")).toBe(3);
  });

  it.each(["order", "until", "sum"])(
    "log-last-foreign: with another type at :%s nothing is half appended, and all else goes on",
    async (name) => {
      const server = await RedisServer.start();
      const key = `{rtm}:t:last:${name}`;
      const node = await logNode(server.url);
      await server.command("SET", key, "foreign");
      const before = await server.command("XLEN", "{rtm}:log");
      for (let n = 0; n < 3; n++) {
        expect(await node.log.append([kept(1)], SOURCE)).toMatchObject([
          { status: "unavailable", message: expect.stringContaining("WRONGTYPE") },
        ]);
        const { key: place } = lastFact("", { ...message(1), seq: 1 });
        expect(await node.log.note([{ table: "last", key: place, value: null }])).toMatchObject([
          { status: "unavailable", message: expect.stringContaining("WRONGTYPE") },
        ]);
      }
      expect(await server.command("XLEN", "{rtm}:log")).toBe(before);
      // What is no last value, and a node that begins, do not care.
      await publish(node, [message(2)]);
      await untilSettled(node, await logNode(server.url));
      await server.command("DEL", key);
      await publish(node, [kept(1)]);
      await untilSettled(node);
      expect(node.reader.lasts).toEqual(["sales e1 id-1"]);
      expect(node.reader.live.map(({ id }) => id)).toEqual(["id-2", "id-1"]);
    },
  );

  it("log-last-oom: a full engine takes nothing, though something that is over could go", async () => {
    const server = await RedisServer.start();
    // Its clock stands still, so nothing goes by itself.
    let now = 1000;
    const retained = { count: 2, bytes: 10_000 };
    const node = await logNode(server.url, { retained, time: () => now });
    await publish(node, [kept(1)]);
    await put(node, Date.now() - 1, "over");
    await server.command("CONFIG", "SET", "maxmemory", "1mb");
    now = Date.now();
    const before = await server.command("XLEN", "{rtm}:log");
    expect(await node.log.append([kept(2), kept(3)], SOURCE)).toMatchObject([
      { status: "unavailable", message: expect.stringContaining("OOM") },
      { status: "unavailable" },
    ]);
    expect(await server.command("XLEN", "{rtm}:log")).toBe(before);
    await server.command("CONFIG", "SET", "maxmemory", "0");
    await publish(node, [kept(2), kept(3)]);
    await untilSettled(node);
    expect(node.reader.lasts).toEqual(["sales e2 id-2", "sales e3 id-3"]);
  });
});
