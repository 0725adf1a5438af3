import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/until.ts";
import { UNAVAILABLE, World } from "./support.ts";

describe.each(["19c", "23ai"] as const)("worker on %s", (profile) => {
  let world: World;

  beforeEach(async () => {
    world = await World.start({ profile });
  });

  afterEach(async () => {
    await world[Symbol.asyncDispose]();
    expect(world.emulator.connections).toBe(0);
  });

  it("hands over what is committed, in order, and nothing of a rollback", async () => {
    const connection = await world.connect();
    world.startWorker();
    for (let n = 1; n <= 5; n++) await world.broadcast(connection, { n });
    await connection.rollback();
    for (let n = 6; n <= 10; n++) await world.broadcast(connection, { n });
    await connection.commit();
    await until("five messages have arrived", () => world.publisher.accepted.length === 5);
    expect(world.publisher.payloads).toEqual([6, 7, 8, 9, 10].map((n) => ({ n })));
    expect(world.publisher.accepted[0]).toMatchObject({ channel: "sales", eventName: "order" });
    expect(world.publisher.accepted[0]!.id).toMatch(/^[0-9a-f]{32}$/);
    await until("settled", () => world.emulator.queue(world.schema.queueName).depth() === 0);
  });

  it("keeps every digit of a payload", async () => {
    const connection = await world.connect();
    world.startWorker();
    await connection.execute(
      "begin websocket_api.broadcast_item(:key, :url, :channel, :event, :payload); end;",
      {
        key: null,
        url: null,
        channel: "c",
        event: "e",
        payload: '{"n":9007199254740993, "n":1e400}',
      },
    );
    await connection.commit();
    await until("the message has arrived", () => world.publisher.accepted.length === 1);
    expect(world.publisher.accepted[0]!.payload).toBe('{"n":9007199254740993, "n":1e400}');
  });

  it("delivers what BROADCAST and BROADCAST_USER send", async () => {
    const connection = await world.connect();
    world.startWorker();
    await connection.execute("begin websocket_api.broadcast(:channel, :event, :payload); end;", {
      channel: "c",
      event: "e",
      payload: "1",
    });
    await connection.execute("begin websocket_api.broadcast_user(:user, :event, :payload); end;", {
      user: " Scott*Ü ",
      event: "e",
      payload: "2",
    });
    await connection.commit();
    await until("both have arrived", () => world.publisher.accepted.length === 2);
    expect(world.publisher.accepted.map(({ channel }) => channel)).toEqual(["c", "user:SCOTT%2AÜ"]);
  });

  it("delivers for how long a message is to be kept, and the call refuses what is out of range", async () => {
    const connection = await world.connect();
    world.startWorker();
    const item = (retain: number) =>
      connection.execute(
        "begin websocket_api.broadcast_item(:k, :u, :c, :e, :p, :on_error, :source, :retain); end;",
        { k: null, u: null, c: "c", e: "e", p: "1", on_error: null, source: "APEX", retain },
      );
    const broadcast = (name: string, retain: number | null) =>
      connection.execute(
        `begin websocket_api.${name}(:c, :e, :p, :on_error, :source, :retain); end;`,
        { c: "c", e: "e", p: "1", on_error: null, source: "PLSQL", retain },
      );
    await item(604_800);
    await broadcast("broadcast", 60);
    await broadcast("broadcast_user", 1);
    await broadcast("broadcast", null);
    for (const bad of [0, 604_801, 1.5]) {
      await expect(broadcast("broadcast", bad)).rejects.toThrow(/ORA-20106.*p_retain_s/);
    }
    await connection.commit();
    await until("all have arrived", () => world.publisher.accepted.length === 4);
    expect(world.publisher.accepted.map(({ retain }) => retain)).toEqual([
      604_800,
      60,
      1,
      undefined,
    ]);
    expect("retain" in world.publisher.accepted[3]!).toBe(false);
  });

  it("fetches a claim check and deletes its row in the same transaction", async () => {
    const connection = await world.connect();
    const text = "ä€😀".repeat(120_000);
    world.emulator.onStatement("begin large_broadcast", ({ session }) => {
      world.schema.broadcast(session, "sales", "order", JSON.stringify({ text }));
    });
    world.startWorker();
    await connection.execute("begin large_broadcast; end;");
    await connection.commit();
    await until("the message has arrived", () => world.publisher.accepted.length === 1);
    expect(world.publisher.payloads).toEqual([{ text }]);
    await until("the claim row is gone", () => world.schema.claims.size === 0);
  });

  it("keeps the whole text of a rejected claim check, in the log and in its row", async () => {
    const connection = await world.connect();
    const text = "ä€😀".repeat(120_000);
    world.emulator.onStatement("begin large_broadcast", ({ session }) => {
      world.schema.broadcast(session, "sales", "order", JSON.stringify({ text }));
    });
    world.publisher.answer = () => ({ status: "rejected", code: "message_too_large", message: "" });
    world.startWorker();
    await connection.execute("begin large_broadcast; end;");
    await connection.commit();
    const rejected = () => world.schema.log.find(({ status }) => status === "REJECTED");
    await until("the message is set aside", () => rejected() !== undefined);
    expect(rejected()!.payload).toBe(JSON.stringify({ text }));
    const [claimId] = [...world.schema.claims.keys()];
    expect(rejected()!.reason).toContain(`claim check ${claimId}`);
  });

  it("holds a batch while the relay is unavailable, without a rollback", async () => {
    const connection = await world.connect();
    world.publisher.answer = () => UNAVAILABLE;
    const worker = world.startWorker();
    await world.broadcast(connection, { n: 1 });
    await connection.commit();
    await until("the hand-over was tried again", () => world.publisher.batches > 3);
    expect(worker.status()[0]).toMatchObject({ state: "holding", reason: "RTM_RELAY_UNAVAILABLE" });
    world.publisher.answer = () => ({ status: "accepted", recipients: 0 });
    await until("settled", () => world.emulator.queue(world.schema.queueName).depth() === 0);
    expect(world.publisher.accepted).toHaveLength(1);
  });

  it("says with each batch from which queue it is, and how often the lease has changed hands", async () => {
    world.startWorker();
    await world.publish(1);
    await world.delivered(1, 1);
    for (const session of world.emulator.sessions()) {
      if (session.action?.startsWith("dequeue")) world.emulator.faults.kill(session);
    }
    await world.publish(2);
    await world.delivered(1, 2);
    const { sources } = world.publisher;
    const [first, second] = [sources[0], sources.at(-1)];
    expect(first?.name).toMatch(/^queue:[A-Z]+\.RTM_QUEUE$/);
    expect(second?.name).toBe(first?.name);
    expect(second?.fence).toBeGreaterThan(first?.fence as number);
  });

  it("gives a batch up without an attempt when its node does not hear the log, and leads again later", async () => {
    const connection = await world.connect();
    let heard = true;
    world.publisher.answer = () => UNAVAILABLE;
    const worker = world.startWorker({}, { mayLead: () => heard });
    await world.broadcast(connection, { n: 1 });
    await connection.commit();
    await until("it holds", () => world.publisher.batches > 1);
    heard = false;
    await until(
      "it has given up its session and the lease",
      () => worker.status()[0]?.reason === "RTM_LOG_LOST",
    );
    const sessions = () => world.emulator.sessions().filter(({ module }) => module === "apex-rtm");
    await until("it ended", () => !sessions().some(({ action }) => action?.startsWith("dequeue")));
    const [message] = world.emulator.queue(world.schema.queueName).messages();
    expect(message).toMatchObject({ attempts: 0, status: "ready" });
    const before = world.publisher.batches;
    world.publisher.answer = () => ({ status: "accepted", recipients: 0 });
    heard = true;
    await until("it leads again", () => world.publisher.accepted.length === 1);
    expect(world.publisher.batches).toBe(before + 1);
  });

  it("rolls back once when it is stopped while holding", async () => {
    const connection = await world.connect();
    world.publisher.answer = () => UNAVAILABLE;
    const worker = world.startWorker();
    await world.broadcast(connection, { n: 1 });
    await connection.commit();
    await until("it holds", () => world.publisher.batches > 1);
    await worker.stop();
    const [message] = world.emulator.queue(world.schema.queueName).messages();
    expect(message).toMatchObject({ attempts: 1, status: "ready" });
  });

  it("stops at once while it waits", async () => {
    const worker = world.startWorker({ queues: [{ name: "RTM_QUEUE", wait: "100s" }] });
    await until("it waits", () => world.emulator.queue(world.schema.queueName).waiters === 1);
    await worker.stop();
    expect(worker.status()[0]!.state).toBe("stopped");
  });

  it("writes receipts in the dequeue transaction", async () => {
    const connection = await world.connect();
    world.startWorker({ receipts: true });
    await world.broadcast(connection, { n: 1 });
    await connection.commit();
    await until("the receipt is there", () => world.schema.log.length === 2);
    const { messageId } = world.schema.log[0]!;
    expect(world.schema.log).toMatchObject([
      { status: "QUEUED", recipients: null },
      { messageId, status: "DELIVERED", recipients: 1 },
    ]);
  });

  it("takes two round trips per batch", async () => {
    world.startWorker();
    const before = await world.waitingSession();
    await world.publish(1, 100);
    await world.delivered(1, 100);
    const after = await world.waitingSession();
    expect(world.publisher.batches).toBe(1);
    // The dequeue that waited, the commit, and the next dequeue, which waits now.
    expect(after.roundTrips - before.roundTrips).toBe(2);
    expect(after.id).toBe(before.id);
  });
});
