/** Who is here, on nodes that share a log in a real engine. */
import { describe, expect, it, onTestFinished } from "vitest";
import { ENGINE_MISSING, RedisServer } from "../support/redis-server.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { afterTicks, presenceRelay, ROOM, Visitor } from "./presence-support.ts";
import { until } from "./support.ts";

/** Nodes take each other for dead soon. */
const presenceTimes = { beatMs: 100, goneMs: 1000 };

describe.skipIf(ENGINE_MISSING !== "")(`presence on a shared log${ENGINE_MISSING}`, () => {
  const node = (url: string, presence: object = {}) =>
    presenceRelay({ log: { kind: "valkey", url, grace: "60s" }, presence }, { presenceTimes });

  it("a user on two nodes is one member, seen on both, and leaves with the last page", async () => {
    const { url } = await RedisServer.start();
    const [a, b] = [await node(url), await node(url)];
    const [onA, onB] = [await Visitor.enter(a, "SCOTT"), await Visitor.enter(b, "KING")];
    await onA.sees("KING", "SCOTT");
    await onB.sees("KING", "SCOTT");
    const second = await Visitor.enter(b, "SCOTT");
    await second.sees("KING", "SCOTT");
    onB.news();
    onA.client.send({ op: "unsubscribe", channels: [ROOM] });
    await afterTicks();
    expect(onB.news()).toEqual([]);
    second.client.send({ op: "unsubscribe", channels: [ROOM] });
    await onB.sees("KING");
    expect(onB.news()).toEqual([
      { op: "presence", channel: ROOM, count: 1, left: ["SCOTT"], joined: [] },
    ]);
  });

  it("a node that was killed takes along who was only there; who has moved never left", async () => {
    const { url } = await RedisServer.start();
    const [a, b] = [await node(url), await node(url)];
    const watcher = await Visitor.enter(b, "KING");
    await Visitor.enter(a, "SCOTT");
    await Visitor.enter(a, "ADAMS");
    await watcher.sees("ADAMS", "KING", "SCOTT");
    watcher.news();
    await a.close();
    await Visitor.enter(b, "SCOTT");
    await watcher.sees("KING", "SCOTT");
    expect(watcher.news()).toEqual([
      { op: "presence", channel: ROOM, count: 2, left: ["ADAMS"], joined: [] },
    ]);
    expect(await b.registry.metrics()).toMatch(/^rtm_relay_nodes_gone_total 1$/m);
  });

  it("a node that is cut off is taken for dead; when it is back nobody is missing, and no ghost is left", async () => {
    const engine = await RedisServer.start();
    const proxy = await TcpProxy.to(engine.port);
    onTestFinished(() => proxy.close());
    const a = await node(`redis://127.0.0.1:${proxy.port}`);
    const b = await node(engine.url);
    const watcher = await Visitor.enter(b, "KING");
    const stays = await Visitor.enter(a, "SCOTT");
    const goes = await Visitor.enter(a, "ADAMS");
    await watcher.sees("ADAMS", "KING", "SCOTT");
    proxy.cut();
    await watcher.sees("KING");
    goes.client.send({ op: "unsubscribe", channels: [ROOM] });
    const comes = await Visitor.enter(a, "BLAKE");
    await afterTicks();
    proxy.restore();
    await watcher.sees("BLAKE", "KING", "SCOTT");
    for (const page of [stays, comes]) await page.sees("BLAKE", "KING", "SCOTT");
    await afterTicks();
    watcher.read();
    expect(watcher.names).toBe("BLAKE,KING,SCOTT");
    expect(await engine.command("HLEN", "{rtm}:t:node")).toBe(2);
  });

  it("after the engine has lost everything all are there again", async () => {
    const engine = await RedisServer.start();
    const [a, b] = [await node(engine.url), await node(engine.url)];
    const onA = await Visitor.enter(a, "SCOTT");
    const onB = await Visitor.enter(b, "KING");
    await onA.sees("KING", "SCOTT");
    await onB.sees("KING", "SCOTT");
    onA.news();
    await engine.command("FLUSHALL");
    await until("a list that may be incomplete", () => {
      onA.read();
      return onA.frames.some(({ op, settleMs }) => op === "members" && settleMs !== undefined);
    });
    await onA.sees("KING", "SCOTT");
    await onB.sees("KING", "SCOTT");
  });

  it("a node that starts late lists all, with what they show", async () => {
    const { url } = await RedisServer.start();
    const a = await node(url);
    await (await Visitor.enter(a, "SCOTT", { info: { name: "Scott" } })).sees("SCOTT");
    const late = await Visitor.enter(await node(url), "KING");
    await late.sees("KING", "SCOTT");
    expect(late.members?.get("SCOTT")).toEqual({
      user: "SCOTT",
      info: { name: "Scott" },
      connections: 1,
    });
  });
});
