/**
 * The engine's process dies, with and without its data. Whatever it may have lost, no follower goes on
 * as if nothing had happened, and what is published afterwards arrives everywhere, once and in order.
 */
import { describe, expect, it } from "vitest";
import { ENGINE_MISSING, RedisServer } from "../support/redis-server.ts";
import {
  expectWhole,
  ids,
  logNode,
  publishMany,
  seen,
  untilReset,
  untilSettled,
} from "./log-support.ts";

const AOF = ["--appendonly", "yes", "--appendfsync"];

describe.skipIf(ENGINE_MISSING !== "")(`the log's engine is killed${ENGINE_MISSING}`, () => {
  const cases = [
    { name: "log-killed-everysec", args: [...AOF, "everysec"] },
    { name: "log-killed-always", args: [...AOF, "always"] },
    { name: "log-killed-without-file", args: ["--appendonly", "no"] },
    { name: "log-tail-cut", args: [...AOF, "everysec"], cut: 20_000 },
  ];
  it.each(cases)("$name", async ({ args, cut }) => {
    const server = await RedisServer.start(...args);
    const publisher = await logNode(server.url);
    const follower = await logNode(server.url);
    await publishMany(publisher, "before", 60);
    await untilSettled(publisher, follower);
    const { epoch } = follower.log;

    const holding = publishMany(publisher, "during", 60);
    await server.kill();
    if (cut !== undefined) server.cutTail(cut);
    await server.restart();
    await holding;
    await untilReset(follower, epoch);
    await expectWhole("during", 300, publisher, follower);
    expect(follower.reader.resets.map(({ reason }) => reason)).toEqual(["start", "lost"]);
    expect(seen(follower, "before")).toEqual(ids("before", 300));
  });

  it("log-restarted-empty-under-readers-only: followers learn of it without any append", async () => {
    const server = await RedisServer.start();
    const follower = await logNode(server.url);
    const { epoch } = follower.log;
    await server.kill();
    await server.restart();
    await untilReset(follower, epoch);
    await untilSettled(follower);
  });
});
