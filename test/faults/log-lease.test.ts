/** A worker that lost its lease goes on with a batch in hand. */
import { describe, expect, it } from "vitest";
import { messages } from "../log-contract/support.ts";
import { ENGINE_MISSING, RedisServer } from "../support/redis-server.ts";
import { logNode, publish, seen, untilSettled } from "./log-support.ts";

const lease = (fence: number) => ({ name: "queue:RTM_OUT", fence });

describe.skipIf(ENGINE_MISSING !== "")(`two workers on one log${ENGINE_MISSING}`, () => {
  it("log-zombie: the old worker's batch is fenced, also when its ids are forgotten", async () => {
    const server = await RedisServer.start();
    const zombie = await logNode(server.url);
    const leader = await logNode(server.url);
    await publish(zombie, messages(1, 3), lease(1));
    // It dequeued 4-6 and stood still; the next holder was given them and has gone on.
    await publish(leader, messages(4, 6), lease(2));
    await publish(leader, messages(7, 9), lease(2));
    await server.command("DEL", "{rtm}:ids:queue:RTM_OUT:a", "{rtm}:ids:queue:RTM_OUT:b");
    const late = await zombie.log.append(messages(4, 6), { source: lease(1) });
    expect(late.map(({ status }) => status)).toEqual(Array(3).fill("fenced"));
    await untilSettled(zombie, leader);
    expect(seen(leader, "id")).toEqual(messages(1, 9).map(({ id }) => id));
  });

  it("log-takeover: the successor repeats the batch, in the same epoch, and nothing comes twice", async () => {
    const server = await RedisServer.start();
    const first = await logNode(server.url);
    const second = await logNode(server.url);
    const { epoch } = second.log;
    await publish(first, messages(1, 6), lease(1));
    // Killed between append and commit: the queue delivers 4-6 again, with what came since.
    await first.log.close();
    await publish(second, messages(4, 9), lease(2));
    await untilSettled(second);
    expect(second.log.epoch).toBe(epoch);
    expect(seen(second, "id")).toEqual(messages(1, 9).map(({ id }) => id));
  });

  it("log-token-survives: a new epoch does not let an old lease in", async () => {
    const server = await RedisServer.start("--appendonly", "yes", "--appendfsync", "always");
    const node = await logNode(server.url);
    await publish(node, messages(1, 3), lease(5));
    const { epoch } = node.log;
    await server.kill();
    await server.restart();
    await untilSettled(node);
    expect(node.log.epoch).not.toBe(epoch);
    expect(await node.log.append(messages(4, 4), { source: lease(4) })).toMatchObject([
      { status: "fenced" },
    ]);
  });
});
