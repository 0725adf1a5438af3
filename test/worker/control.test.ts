/** Revocations and what else is told beside messages, from PL/SQL to the relay. */
import type { Connection } from "oracledb";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import type { RtmSchemaOptions } from "../../emulator/index.ts";
import { sessionClaim } from "../../emulator/schema/rtm-control.ts";
import type { Message } from "../../relay/contract/message.ts";
import type { Source } from "../../relay/contract/publisher.ts";
import { until } from "../support/until.ts";
import { RecordingPublisher, UNAVAILABLE, World } from "./support.ts";

/** Notes the order in which messages and items come. */
class Order {
  readonly seen: string[] = [];
  readonly sources: Source[] = [];

  constructor(publisher: RecordingPublisher) {
    const { publish, control } = {
      publish: publisher.publish.bind(publisher),
      control: publisher.control.bind(publisher),
    };
    publisher.publish = async (batch: readonly Message[], source?: Source) => {
      const results = await publish(batch, source);
      for (const [at, { payload }] of batch.entries()) {
        if (results[at]!.status === "accepted") this.seen.push(payload);
      }
      return results;
    };
    publisher.control = async (items) => {
      const results = await control(items);
      for (const [at, { op }] of items.entries()) {
        if (results[at]!.status === "accepted") this.seen.push(op);
      }
      return results;
    };
  }
}

let world: World;
afterEach(async () => {
  await world[Symbol.asyncDispose]();
  expect(world.emulator.connections).toBe(0);
});

const start = async (schema: RtmSchemaOptions = {}) => {
  world = await World.start({}, schema);
  return await world.connect();
};
const call = (connection: Connection, name: string, ...args: (string | number | boolean)[]) =>
  connection.execute(
    `begin websocket_api.${name}(${args.map((_, at) => `:a${at}`).join(", ")}); end;`,
    Object.fromEntries(args.map((each, at) => [`a${at}`, each])),
  );
const untilEmpty = () => until("the queue is empty", () => world.queue.depth() === 0);

describe.each(["RAW", "JSON"] as const)("control items on a %s queue", (payload) => {
  it("come to the relay when the transaction is committed, and never after a rollback", async () => {
    const connection = await start({ payload });
    world.startWorker();
    await world.waitingSession();
    await call(connection, "revoke_user", "nobody");
    await connection.rollback();
    await call(connection, "revoke_user", " Scott ");
    await call(connection, "revoke_session", 12_345_678_901_234);
    await call(connection, "unsubscribe_user", "Scott", "room:1");
    await call(connection, "disconnect_user", "Scott", 1);
    await call(connection, "disconnect_user", "Scott");
    await call(connection, "forget_last", "room:1", "price");
    await connection.commit();
    await until("all have come", () => world.publisher.controlled.length === 6);
    await untilEmpty();
    const who = { user: "Scott", self: "user:SCOTT" };
    const before = expect.any(Number);
    expect(world.publisher.controlled).toEqual([
      { op: "revoke", ...who, before },
      { op: "revoke", sid: sessionClaim(12_345_678_901_234), before },
      { op: "unsubscribe", ...who, channel: "room:1", before },
      { op: "disconnect", ...who, stop: true },
      { op: "disconnect", ...who },
      { op: "forget", channel: "room:1", eventName: "price" },
    ]);
    expect(world.schema.log.filter(({ status }) => status === "REJECTED")).toEqual([]);
  });
});

describe("control items", () => {
  it("keep their place among the messages of a transaction", async () => {
    const connection = await start();
    const order = new Order(world.publisher);
    for (const n of [1, 2]) await world.broadcast(connection, n);
    await call(connection, "revoke_user", "SCOTT");
    await call(connection, "disconnect_user", "SCOTT");
    await world.broadcast(connection, 3);
    await call(connection, "forget_last", "sales", "order");
    await world.broadcast(connection, 4);
    await connection.commit();
    const worker = world.startWorker();
    await untilEmpty();
    // The first is the row that is in force already.
    expect(order.seen).toEqual(["revoke", "1", "2", "revoke", "disconnect", "3", "forget", "4"]);
    // Counted when the commit was answered.
    const counted = (result: string) =>
      world.metric(worker, "rtm_worker_messages_total", { result });
    await until("four messages are counted", async () => (await counted("accepted")) === 4);
    expect(await counted("control")).toBe(3);
  });

  it("are held while the relay cannot take them, and what is behind them waits", async () => {
    const connection = await start();
    const order = new Order(world.publisher);
    const worker = world.startWorker();
    await world.waitingSession();
    let tries = 0;
    world.publisher.answerControl = () => {
      tries++;
      return { status: "unavailable", code: "scope_missing", message: "no scope" };
    };
    await world.broadcast(connection, 1);
    await call(connection, "revoke_user", "SCOTT");
    await world.broadcast(connection, 2);
    await connection.commit();
    await until("it was tried again", () => tries > 3);
    expect(worker.status()[0]).toMatchObject({ state: "holding" });
    expect(order.seen).toEqual(["1"]);
    world.publisher.answerControl = () => ({ status: "accepted" });
    await untilEmpty();
    expect(order.seen).toEqual(["1", "revoke", "2"]);
  });

  it("wait behind a message that is held", async () => {
    const connection = await start();
    const order = new Order(world.publisher);
    world.startWorker();
    await world.waitingSession();
    world.publisher.answer = () => UNAVAILABLE;
    await world.broadcast(connection, 1);
    await call(connection, "forget_last", "sales", "order");
    await connection.commit();
    const { batches } = world.publisher;
    await until("it was tried again", () => world.publisher.batches > batches + 3);
    expect(order.seen).toEqual([]);
    world.publisher.answer = () => ({ status: "accepted", recipients: 0 });
    await untilEmpty();
    expect(order.seen).toEqual(["1", "forget"]);
  });

  it("that the relay refuses for good are set aside, and stop nothing", async () => {
    const connection = await start();
    world.publisher.answerControl = () => ({ status: "rejected", code: "bad_item", message: "no" });
    world.startWorker();
    await call(connection, "disconnect_user", "SCOTT");
    await world.broadcast(connection, { n: 1 });
    await connection.commit();
    await world.delivered(1, 1);
    const [rejected] = world.schema.log.filter(({ status }) => status === "REJECTED");
    expect(rejected).toMatchObject({ reason: "rejected: bad_item: no" });
    expect(JSON.parse(rejected!.payload)).toEqual({
      op: "disconnect",
      user: "SCOTT",
      self: "user:SCOTT",
    });
  });

  it("get no receipt", async () => {
    const connection = await start();
    world.startWorker({ receipts: true });
    await world.waitingSession();
    await call(connection, "disconnect_user", "SCOTT");
    await world.broadcast(connection, { n: 1 });
    await connection.commit();
    await until("the message's is there", () => world.schema.log.at(-1)?.status === "DELIVERED");
    expect(world.schema.log.map(({ status }) => status)).toEqual(["QUEUED", "DELIVERED"]);
  });
});

describe("a revocation", () => {
  it("means tokens that were signed before it could be seen, by the database's clock", async () => {
    const connection = await start({ clockOffsetMs: 3_600_000 });
    world.startWorker();
    await world.waitingSession();
    await call(connection, "revoke_user", "SCOTT");
    const calledAt = Date.now() + 3_600_000;
    // Ten minutes go by, in which another session signs a token under the right of before.
    const { now } = Date;
    onTestFinished(() => {
      Date.now = now;
    });
    Date.now = () => now() + 600_000;
    await connection.commit();
    await until("it has come", () => world.publisher.controlled.length === 1);
    const [item] = world.publisher.controlled;
    expect(item).toMatchObject({ op: "revoke" });
    const { before } = item as { before: number };
    expect(before).toBeGreaterThan(calledAt + 540_000);
    expect(before).toBeLessThan(calledAt + 660_000);
  });

  it("in force is handed over before anything is dequeued, with each session", async () => {
    const connection = await start();
    for (let n = 1; n <= 250; n++) await call(connection, "revoke_user", `USER ${n}`);
    await connection.commit();
    // Somebody has emptied the queue; the table is the truth.
    const drain = await connection.getQueue(world.schema.queueName);
    drain.deqOptions.wait = 0;
    while ((await drain.deqMany(100)).length > 0) await connection.commit();
    const order = new Order(world.publisher);
    await world.publish(1);
    world.startWorker();
    await world.delivered(1, 1);
    expect(order.seen).toEqual([...Array.from({ length: 250 }, () => "revoke"), '{"n":1}']);
    expect(world.publisher.controlled.at(-1)).toMatchObject({
      user: "USER 250",
      self: "user:USER 250",
      before: world.schema.control.revocations.at(-1)!.beforeMs,
    });
    const { id } = await world.waitingSession();
    world.emulator.faults.kill(id);
    await until("again", () => world.publisher.controlled.length === 500);
  });

  it("that no token can meet any more is not handed over", async () => {
    const connection = await start();
    await call(connection, "revoke_user", "SCOTT");
    await connection.commit();
    world.startWorker();
    await until("as a row and from the queue", () => world.publisher.controlled.length === 2);
    world.schema.clockOffsetMs += 90_000_001;
    const { id } = await world.waitingSession();
    world.emulator.faults.kill(id);
    await world.publish(1);
    await world.delivered(1, 1);
    expect(world.publisher.controlled).toHaveLength(2);
  });

  it("in force is handed over by the worker that takes over, before it leads", async () => {
    const connection = await start();
    const first = world.startWorker({ standby: true });
    await world.waitingSession();
    await call(connection, "unsubscribe_user", "SCOTT", "room:1");
    await connection.commit();
    await untilEmpty();
    const other = new RecordingPublisher();
    const second = world.startWorker({ standby: true }, { publisher: other });
    await until("it waits", () => second.status()[0]!.state === "standby");
    expect(other.controlled).toEqual([]);
    let hadIt: boolean | undefined;
    other.answerControl = (item) => {
      hadIt ??= second.status()[0]!.state !== "active" && item.op === "unsubscribe";
      return { status: "accepted" };
    };
    await first.stop();
    await until("it leads", () => second.status()[0]!.state === "active");
    expect(hadIt).toBe(true);
    expect(other.controlled).toMatchObject([{ op: "unsubscribe", channel: "room:1" }]);
  });

  it("holds a worker whose relay cannot take it: nothing is dequeued before", async () => {
    const connection = await start();
    await call(connection, "revoke_user", "SCOTT");
    await world.broadcast(connection, { n: 1 });
    await connection.commit();
    let tries = 0;
    world.publisher.answerControl = () => {
      tries++;
      return { status: "unavailable", code: "unavailable", message: "starting" };
    };
    const worker = world.startWorker();
    await until("it was tried again", () => tries > 3);
    expect(worker.status()[0]!.state).toBe("holding");
    expect(world.queue.messages().map(({ status }) => status)).toEqual(["ready", "ready"]);
    world.publisher.answerControl = () => ({ status: "accepted" });
    await world.delivered(1, 1);
  });

  it("is read from a package of version 2 only; an older one goes on without", async () => {
    const connection = await start({ apiVersion: 1 });
    await call(connection, "revoke_user", "SCOTT");
    await connection.commit();
    world.startWorker();
    await untilEmpty();
    expect(world.publisher.controlled).toHaveLength(1);
  });
});
