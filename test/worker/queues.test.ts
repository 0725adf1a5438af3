/** Several queues of several schemas in one process. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { createLogger } from "../../common/logger.ts";
import { OraError, PlSqlDequeue } from "../../emulator/index.ts";
import { until } from "../support/until.ts";
import { World } from "./support.ts";

let world: World;
beforeEach(async () => {
  world = await World.start();
  new PlSqlDequeue(world.emulator);
});
afterEach(() => world[Symbol.asyncDispose]());

it("serves each with a session of its own and one side session in all", async () => {
  const raw = world.emulator.createQueue({ name: "SHOP.ORDERS" });
  const json = world.emulator.createQueue({ name: "HR.EVENTS", payload: "JSON" });
  const worker = world.startWorker({
    apiSchema: "RTM",
    sideInterval: "1s",
    queues: [
      { name: "RTM_QUEUE" },
      { name: "shop.orders", channel: "orders" },
      { name: "HR.EVENTS", channel: "people", eventName: "hired" },
    ],
  });
  raw.enqueue("[1]");
  json.enqueue({ name: "Ada" });
  await world.publish(7);
  await until("all three have delivered", () => world.publisher.accepted.length === 3);
  const byChannel = Object.fromEntries(
    world.publisher.accepted.map(({ channel, eventName, payload }) => [
      channel,
      [eventName, payload],
    ]),
  );
  expect(byChannel).toEqual({
    sales: ["order", '{"n":7}'],
    orders: ["message", "[1]"],
    people: ["hired", '{"name":"Ada"}'],
  });
  const actions = () =>
    world.emulator
      .sessions()
      .filter(({ module }) => module === "apex-rtm")
      .map(({ action }) => action)
      .sort();
  await until("the side session is there", () => actions().length === 4);
  expect(actions()).toEqual([
    "dequeue HR.EVENTS",
    "dequeue RTM_QUEUE",
    "dequeue SHOP.ORDERS",
    "heartbeat and backlog",
  ]);
  expect(worker.status().map(({ queue, state }) => [queue, state])).toEqual([
    ["RTM_QUEUE", "active"],
    ["SHOP.ORDERS", "active"],
    ["HR.EVENTS", "active"],
  ]);
});

it("keeps the side session when the backlog of one queue may not be read", async () => {
  world.schema.failures.set("backlog", new OraError(20122, "Queue is not readable"));
  const worker = world.startWorker({ sideInterval: "1s" });
  const side = () =>
    world.emulator.sessions().find(({ action }) => action === "heartbeat and backlog");
  await until("the backlog was refused", () => !world.schema.failures.has("backlog"));
  const before = side()!;
  await until("the next round has had an answer", () => worker.status()[0]!.backlog !== undefined);
  expect(side()!.id).toBe(before.id);
});

it("goes on with the other queues when one is missing, and names the key to mend", async () => {
  let logged = "";
  const write = (line: string) => {
    logged += line;
  };
  const worker = world.startWorker(
    { queues: [{ name: "RTM_QUEUE" }, { name: "RTM.NOWHERE" }] },
    { log: createLogger("warn", { write }) },
  );
  await world.publish(1);
  await world.delivered(1, 1);
  await until("the other is in backoff", () => worker.status()[1]!.state === "backoff");
  expect(worker.status()[1]!.reason).toBe("RTM_PAYLOAD_UNDETECTED");
  expect(logged).toContain("worker.queues[].name: the dictionary shows no queue RTM.NOWHERE");
});

it("reads a JSON queue of ours, digit by digit", async () => {
  await using json = await World.start({}, { payload: "JSON" });
  json.startWorker();
  const connection = await json.connect();
  await connection.execute(
    "begin websocket_api.broadcast_item(:key, :url, :channel, :event, :payload); end;",
    { key: null, url: null, channel: "c", event: "e", payload: '{"n":9007199254740993}' },
  );
  await connection.commit();
  await until("it has arrived", () => json.publisher.accepted.length === 1);
  expect(json.publisher.accepted[0]!.payload).toBe('{"n":9007199254740993}');
});

it("ends as a whole when one queue fails by a defect, and says so", async () => {
  world.emulator.createQueue({ name: "RTM.OTHER" });
  const worker = world.startWorker(
    { queues: [{ name: "RTM_QUEUE" }, { name: "RTM.OTHER", payload: "RAW", channel: "c" }] },
    {
      timing: {
        sessionBounds: () => {
          throw new TypeError("a defect");
        },
      },
    },
  );
  await until("both dequeue", () => worker.status().every(({ state }) => state === "active"));
  const dequeuer = await world.waitingSession();
  world.emulator.faults.kill(dequeuer);
  await expect(worker.done).rejects.toThrow("a defect");
  await worker.stop();
  expect(worker.status().map(({ state }) => state)).toEqual(["stopped", "stopped"]);
});
