/** Consumers of one multi-consumer queue: each has a lease, a backlog, an order and metrics of its own. */
import oracledb from "oracledb";
import { afterEach, expect, it } from "vitest";
import { parseConfig } from "../../common/config.ts";
import { createLogger } from "../../common/logger.ts";
import type { QueueAdmin, RtmSchemaOptions } from "../../emulator/index.ts";
import { workerConfig } from "../../worker/config.ts";
import { until } from "../support/until.ts";
import { World } from "./support.ts";

let world: World;
let events: QueueAdmin;
afterEach(() => world[Symbol.asyncDispose]());

async function start(options: RtmSchemaOptions = {}): Promise<void> {
  world = await World.start({}, options);
  events = world.emulator.createQueue({ name: "RTM.EVENTS", subscribers: ["BILLING", "AUDIT"] });
}

/** As a configuration has it; a subscriber's name has no case of letters. */
const entry = (consumer: string) => ({
  name: "EVENTS",
  consumer,
  payload: "RAW",
  channel: consumer,
  wait: "1s",
});

const startWorker = (...consumers: string[]) =>
  world.startWorker({ queues: consumers.map(entry), sideInterval: "1s" });

type Started = ReturnType<typeof startWorker>;

const states = (worker: Started) => worker.status().map(({ state }) => state);

const got = (channel: string) =>
  world.publisher.accepted.filter((message) => message.channel === channel).length;

it("two in one process are active, and each gets every message", async () => {
  await start();
  const worker = startWorker("billing", "audit");
  await until("both are active", () => states(worker).join() === "active,active");
  events.enqueue('{"n":1}');
  events.enqueue('{"n":2}');
  await until("all have come", () => got("billing") === 2 && got("audit") === 2);
  // A later holder of one lease must not shut the other one's holder out.
  expect(new Set(world.publisher.sources.map((source) => source!.name))).toEqual(
    new Set(["queue:RTM.EVENTS:BILLING", "queue:RTM.EVENTS:AUDIT"]),
  );
  expect(worker.status().map(({ queue }) => queue)).toEqual(["EVENTS:BILLING", "EVENTS:AUDIT"]);
  for (const queue of ["EVENTS:BILLING", "EVENTS:AUDIT"]) {
    const labels = { queue, result: "accepted" };
    await until(
      `both of ${queue} are counted`,
      async () => (await world.metric(worker, "rtm_worker_messages_total", labels)) === 2,
    );
  }
  await until("each has a heartbeat", () => world.schema.workers.size === 2);
  const rows = [...world.schema.workers.values()].map(({ queue, state }) => [queue, state]);
  expect(rows.sort()).toEqual([
    ["RTM.EVENTS:AUDIT", "ACTIVE"],
    ["RTM.EVENTS:BILLING", "ACTIVE"],
  ]);
});

it("two workers of one consumer: one is active, the other stands by and takes over", async () => {
  await start();
  const first = startWorker("billing");
  await until("it is active", () => states(first)[0] === "active");
  const second = startWorker("BILLING");
  await until("it stands by", () => states(second)[0] === "standby");
  await first.stop();
  events.enqueue('{"n":1}');
  await until("the second one delivers", () => got("BILLING") === 1);
});

it("a backlog of another consumer is not taken for one's own", async () => {
  await start();
  const worker = startWorker("billing");
  events.enqueue('{"n":1}');
  await until("it has come", () => got("billing") === 1);
  await until("it was looked at", () => worker.status()[0]!.backlog !== undefined);
  expect(worker.status()[0]!.backlog).toMatchObject({ ready: 0 });
  expect(world.emulator.queue("RTM.EVENTS:AUDIT").depth()).toBe(1);
});

/** Asks as workers do that know no consumers: for the whole queue. */
async function wholeLease(): Promise<{ connection: oracledb.Connection; ask: () => unknown }> {
  const connection = await world.connect();
  const ask = async () => {
    const { outBinds } = await connection.execute<{ outcome: string }>(
      "begin :outcome := rtm.rtm_worker_api.acquire_lease(:queue, :wait); end;",
      {
        outcome: { dir: oracledb.BIND_OUT, type: oracledb.STRING },
        queue: "RTM.EVENTS",
        wait: 0,
      },
    );
    return outBinds!.outcome;
  };
  return { connection, ask };
}

it("during an upgrade: an older worker and a newer one never dequeue at the same time", async () => {
  await start();
  const { connection, ask } = await wholeLease();
  expect(await ask()).toBe("ACQUIRED");
  const worker = startWorker("billing", "audit");
  await until("both wait", () => states(worker).join() === "standby,standby");
  await connection.close();
  await until("both are active", () => states(worker).join() === "active,active");
  expect(await (await wholeLease()).ask()).toBe("BUSY");
});

it("with a package that knows no consumers one at a time is active, as before", async () => {
  await start({ apiVersion: 2 });
  const logged: string[] = [];
  const log = createLogger("warn", { write: (line: string) => void logged.push(line) });
  const worker = world.startWorker({ queues: ["billing", "audit"].map(entry) }, { log });
  await until("one is active, one waits", () =>
    ["active,standby", "standby,active"].includes(states(worker).join()),
  );
  events.enqueue('{"n":1}');
  await until("the active one delivers", () => world.publisher.accepted.length === 1);
  expect(logged.join("")).toMatch(/version 2, which knows no consumers.*one dequeues at a time/);
});

it("an empty name is none: it would share the queue with whoever names nobody", () => {
  expect(() => parseConfig(workerConfig, { queues: [{ name: "EVENTS", consumer: "" }] })).toThrow(
    "queues[0].consumer: must be the name of a subscriber",
  );
});
