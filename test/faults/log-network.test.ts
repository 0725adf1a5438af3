/** What lies between a node and the engine fails. */
import { describe, expect, it } from "vitest";
import { message, messages } from "../log-contract/support.ts";
import { ENGINE_MISSING, RedisServer } from "../support/redis-server.ts";
import { until } from "../support/until.ts";
import {
  ids,
  logNode,
  PATIENCE,
  proxyTo,
  publishMany,
  SOURCE,
  seen,
  untilSettled,
  urlOf,
} from "./log-support.ts";

describe.skipIf(ENGINE_MISSING !== "")(`the way to the log fails${ENGINE_MISSING}`, () => {
  it("log-half-open: a silent connection makes the node deaf for no longer than the grace", async () => {
    const server = await RedisServer.start();
    const proxy = await proxyTo(server.port);
    const publisher = await logNode(server.url);
    const node = await logNode(urlOf(proxy));
    await publishMany(publisher, "before", 5);
    await untilSettled(node);
    proxy.swallow();
    await publishMany(publisher, "unheard", 5);
    await until("the pages are closed", () => !node.reader.isCurrent, PATIENCE);
    expect(await node.log.append([message(1)], { source: { name: "key:x" } })).toMatchObject([
      { status: "unavailable" },
    ]);
    proxy.cut();
    proxy.restore();
    await until("current again", () => node.reader.isCurrent, PATIENCE);
    await untilSettled(node);
    expect(seen(node, "unheard")).toEqual(ids("unheard", 25));
    // Nothing was lost, so nobody was told to refresh.
    expect(node.reader.resets).toHaveLength(1);
  });

  it("log-answer-lost: a batch whose answer was swallowed is appended once", async () => {
    const server = await RedisServer.start();
    const proxy = await proxyTo(server.port);
    const follower = await logNode(server.url);
    const node = await logNode(urlOf(proxy));
    await publishMany(node, "before", 2);
    proxy.blockAnswers();
    const lost = await node.log.append(messages(1, 3), SOURCE);
    expect(lost.map(({ status }) => status)).toEqual(Array(3).fill("unavailable"));
    await until("it was appended all the same", () => seen(follower, "id").length === 3, PATIENCE);
    proxy.cut();
    proxy.restore();
    await until(
      "the repetition is known",
      async () =>
        (await node.log.append(messages(1, 3), SOURCE)).every(
          (each) => each.status === "accepted" && each.duplicate,
        ),
      PATIENCE,
    );
    await untilSettled(node, follower);
    expect(seen(follower, "id")).toEqual(["id-1", "id-2", "id-3"]);
    expect(node.reader.messages).toEqual(follower.reader.messages);
  });

  it("log-cut: a node that was away comes back where it was", async () => {
    const server = await RedisServer.start();
    const proxy = await proxyTo(server.port);
    const publisher = await logNode(server.url);
    const node = await logNode(urlOf(proxy));
    for (let round = 0; round < 5; round++) {
      proxy.cut();
      await publishMany(publisher, `r${round}`, 3);
      proxy.restore();
      await untilSettled(node);
      expect(seen(node, `r${round}`)).toEqual(ids(`r${round}`, 15));
    }
    expect(node.reader.resets).toHaveLength(1);
  });

  it("log-script-flushed: an engine that forgot the scripts is given them again", async () => {
    const server = await RedisServer.start();
    const node = await logNode(server.url);
    await publishMany(node, "before", 2);
    await server.command("SCRIPT", "FLUSH");
    await publishMany(node, "after", 2);
    await untilSettled(node);
    expect(seen(node, "after")).toEqual(ids("after", 10));
    expect(node.log.stats.appended.unavailable).toBe(0);
  });

  it("log-not-there-yet: a node waits for its engine, and is ready when it comes", async () => {
    const server = await RedisServer.start();
    await server.kill();
    const node = await logNode(server.url);
    expect(node.reader.resets).toEqual([]);
    expect(await node.log.append([message(1)], SOURCE)).toMatchObject([{ status: "unavailable" }]);
    expect(await node.log.caughtUp(100)).toBe(false);
    await server.restart();
    await until("current", () => node.reader.isCurrent, PATIENCE);
    await publishMany(node, "m", 1);
  });

  it("log-asked-while-asking: a question is never answered by one that is under way", async () => {
    const server = await RedisServer.start();
    const [node, other] = [await logNode(server.url), await logNode(server.url)];
    for (let n = 0; n < 20; n++) {
      const early = [node.log.caughtUp(5000), node.log.caughtUp(5000)];
      await publishMany(other, `n${n}`, 1);
      const late = [node.log.caughtUp(5000), node.log.caughtUp(5000)];
      expect(await Promise.all(late)).toEqual([true, true]);
      expect(seen(node, `n${n}`)).toHaveLength(5);
      expect(await Promise.all(early)).toEqual([true, true]);
    }
  });
});
