/** Several relays on one log in a real engine: every node serves, and a page can move to any. */
import { describe, expect, it, onTestFinished } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import { ENGINE_MISSING, RedisServer } from "../support/redis-server.ts";
import { Client, type Frame, message, post, SOURCE, startTestRelay, until } from "./support.ts";

describe.skipIf(ENGINE_MISSING !== "")(`relays on a shared log${ENGINE_MISSING}`, () => {
  async function node(engine: RedisServer, log: object = {}): Promise<Relay> {
    const relay = await startTestRelay({
      insecure: true,
      history: { ageMargin: "0ms" },
      log: { kind: "valkey", url: engine.url, grace: "60s", ...log },
    });
    onTestFinished(() => relay.close());
    return relay;
  }

  async function subscribe(relay: Relay, channel: string, since?: object) {
    const client = await Client.connect(relay, {
      subscribe: [since === undefined ? { channel } : { channel, since }],
    });
    await client.next();
    return { client, answer: (await client.next()) as Frame & { epoch: string; seq: number } };
  }

  const publish = (relay: Relay, channel: string, ...payloads: unknown[]) =>
    relay.publisher.publish(
      payloads.map((payload) => message(channel, payload)),
      SOURCE,
    );

  it("delivers on every node what any node was given, in one order, with one epoch", async () => {
    const engine = await RedisServer.start();
    const [a, b] = [await node(engine), await node(engine)];
    const [onA, onB] = [await subscribe(a, "sales"), await subscribe(b, "sales")];
    expect(onA.answer.epoch).toBe(onB.answer.epoch);
    expect(await publish(a, "sales", 1, 2)).toMatchObject([
      { status: "accepted", recipients: 1 },
      { status: "accepted" },
    ]);
    const { body } = await post(b, [{ channel: "sales", payload: 3 }, { channel: "other" }]);
    expect(body).toMatchObject({
      ok: true,
      results: [
        { ok: true, recipients: 1 },
        { ok: true, recipients: 0 },
      ],
    });
    for (const { client } of [onA, onB]) {
      const frames = await client.nextN(3);
      expect(frames.map(({ payload, seq }) => [payload, seq])).toEqual([
        [1, 1],
        [2, 2],
        [3, 3],
      ]);
    }
  });

  it("a page moves with its position, also to a node that started later", async () => {
    const engine = await RedisServer.start();
    const a = await node(engine);
    const { client, answer } = await subscribe(a, "sales");
    await publish(a, "sales", 1, 2);
    await client.nextN(2);
    await a.drain();
    expect((await client.end()).code).toBe(4000);
    const b = await node(engine);
    await publish(b, "sales", 3);
    const moved = await subscribe(b, "sales", { epoch: answer.epoch, seq: 1 });
    expect(moved.answer).toMatchObject({ recovered: true, epoch: answer.epoch });
    expect((await moved.client.nextN(2)).map(({ payload }) => payload)).toEqual([2, 3]);
  });

  it("an id that one node took is a duplicate on the other, and the lease closes nobody", async () => {
    const engine = await RedisServer.start();
    const [a, b] = [await node(engine), await node(engine)];
    const { client } = await subscribe(b, "sales");
    const sent = message("sales", 1);
    await a.publisher.publish([sent], SOURCE);
    a.setServing(false);
    b.setServing(true, { takeover: true });
    expect(await b.publisher.publish([sent, message("sales", 2)], SOURCE)).toMatchObject([
      { status: "accepted", duplicate: true },
      { status: "accepted" },
    ]);
    expect((await client.nextN(2)).map(({ payload }) => payload)).toEqual([1, 2]);
    expect([a, b].map((relay) => relay.readiness())).toMatchObject([
      [{ code: "insecure" }],
      [{ code: "insecure" }],
    ]);
  });

  it("a page that is ahead of this node is judged only after it has caught up", async () => {
    const engine = await RedisServer.start();
    const [a, b] = [await node(engine), await node(engine)];
    const { answer } = await subscribe(a, "sales");
    for (let n = 1; n <= 20; n++) {
      await publish(a, "sales", n);
      // Frames behind the one that waits keep their order.
      const client = await Client.open(b, "/ws", { protocol: "rtm.v1" });
      client.send({
        op: "connect",
        subscribe: [{ channel: "sales", since: { epoch: answer.epoch, seq: n } }],
      });
      client.send({ op: "unsubscribe", channels: ["sales"] });
      expect((await client.nextN(3)).slice(1)).toMatchObject([
        { op: "subscribed", seq: n, recovered: true },
        { op: "unsubscribed" },
      ]);
      client.terminate();
    }
    const foreign = await subscribe(b, "sales", { epoch: "of-another-life", seq: 1 });
    expect(foreign.answer).toMatchObject({ recovered: false, seq: 20 });
  });

  it("where a node cannot know it closes with 4000: rtm.v1 and plain URL", async () => {
    const engine = await RedisServer.start();
    const a = await node(engine);
    await publish(a, "sales", 1);
    const { answer } = await subscribe(a, "sales");
    engine.signal("SIGSTOP");
    onTestFinished(() => engine.signal("SIGCONT"));
    const { epoch } = answer;
    const known = await subscribe(a, "sales", { epoch, seq: 0 });
    expect(known.answer).toMatchObject({ recovered: true, seq: 1 });
    const ahead = await Client.connect(a, {
      subscribe: [{ channel: "sales", since: { epoch, seq: 2 } }],
    });
    const plain = await Client.open(a, `/ws?channel=sales&since=${epoch}:2`);
    expect((await ahead.end()).code).toBe(4000);
    expect((await plain.end()).code).toBe(4000);
  });

  it("a node that does not hear the log closes its pages with 4000 after the grace, and says so", async () => {
    const engine = await RedisServer.start();
    const a = await node(engine, { grace: "2s" });
    const { client, answer } = await subscribe(a, "sales");
    const reader = await fetch(`http://127.0.0.1:${a.port}/sse?channel=sales`);
    await publish(a, "sales", 1);
    await client.next();
    await engine.kill();
    expect((await client.end()).code).toBe(4000);
    expect(await reader.text()).toMatch(/event: rtm\ndata: \{"op":"close","code":4000,.*\n\n$/);
    expect(a.readiness()).toMatchObject([{ code: "log_lost", blocking: true }, {}]);
    expect((await fetch(`http://127.0.0.1:${a.port}/readyz`)).status).toBe(503);
    expect(await publish(a, "sales", 2)).toMatchObject([{ status: "unavailable" }]);
    expect((await post(a, { channel: "sales" })).status).toBe(503);
    // A load balancer passes a 503 on; an accepted connection would count as a success.
    const status = (path: string, init: RequestInit) =>
      fetch(`http://127.0.0.1:${a.port}${path}`, init).then(
        ({ status: code, headers }) => [code, headers.get("retry-after")] as const,
      );
    for (let n = 0; n < 100; n++) {
      await expect(Client.open(a, "/ws", { protocol: "rtm.v1" })).rejects.toThrow("503");
    }
    for (const path of ["/stream", "/poll"]) {
      expect(await status(path, { method: "POST", body: '{"op":"connect"}' })).toEqual([503, "1"]);
    }
    expect(await status("/sse?channel=sales", {})).toEqual([503, "1"]);
    await engine.restart();
    // A page comes back until it is taken; one that named the old epoch is told to refresh.
    let back: Awaited<ReturnType<typeof subscribe>> | undefined;
    await until("the page to be back", async () => {
      const since = { epoch: answer.epoch, seq: 1 };
      back = await subscribe(a, "sales", since).catch(() => undefined);
      return back !== undefined;
    });
    expect(back?.answer.recovered).toBe(false);
    expect(back?.answer.epoch).not.toBe(answer.epoch);
    await publish(a, "sales", 3);
    expect(await back?.client.next()).toMatchObject({ payload: 3 });
  });

  it("an engine that comes back within the grace closes nobody: pages are told, unasked", async () => {
    const engine = await RedisServer.start();
    const [a, b] = [await node(engine), await node(engine)];
    const all = [await subscribe(a, "sales"), await subscribe(b, "sales")];
    await publish(a, "sales", 1);
    for (const { client } of all) await client.next();
    await engine.kill();
    await engine.restart();
    for (const { client, answer } of all) {
      const told = await client.next();
      expect(told).toMatchObject({ op: "subscribed", recovered: false, spreadMs: 10_000, seq: 0 });
      expect(told.epoch).not.toBe(answer.epoch);
    }
    await until("it takes messages", async () => {
      const [result] = await publish(a, "sales", "again");
      return result?.status === "accepted";
    });
    for (const { client } of all) expect(await client.next()).toMatchObject({ payload: "again" });
  });
});
