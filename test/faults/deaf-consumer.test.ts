/**
 * Messages are ready and the waiting consumer gets none: another session has them locked (an
 * abandoned one), or the wait has gone deaf (python-oracledb issue 450).
 */
import oracledb from "oracledb";
import { afterEach, beforeEach, expect, it } from "vitest";
import { readinessOf } from "../../cli/service/service.ts";
import { until } from "../support/until.ts";
import { World } from "../worker/support.ts";

let world: World;
beforeEach(async () => {
  world = await World.start();
});
afterEach(() => world[Symbol.asyncDispose]());

it("is told on readyz and in the metrics, and the session is renewed", async () => {
  const thief = await world.connect();
  const queue = await thief.getQueue("RTM_QUEUE");
  Object.assign(queue.deqOptions, { wait: oracledb.AQ_DEQ_NO_WAIT });
  await world.publish(1, 3);
  await queue.deqMany(3);
  const worker = world.startWorker(
    { lease: "off", sideInterval: "1s", queues: [{ name: "RTM_QUEUE", wait: "1s" }] },
    {},
  );
  const { id } = await world.waitingSession();
  await until("the blocked messages are noticed", () => worker.status()[0]!.blocked === 3);
  expect(await world.metric(worker, "rtm_worker_blocked_messages")).toBe(3);
  expect(readinessOf(worker.status()[0]!, "alone")).toMatchObject([
    { code: "queue_blocked", blocking: false },
  ]);
  await until("it has a new session", () =>
    world.emulator.sessions().some((each) => each.action.startsWith("deq") && each.id !== id),
  );
  await thief.rollback();
  await world.delivered(1, 3);
  await until("it is over", () => worker.status()[0]!.blocked === 0);
  expect(readinessOf(worker.status()[0]!, "alone")).toEqual([]);
});

it("is not suspected while messages flow or the relay is away", async () => {
  const worker = world.startWorker({ sideInterval: "1s" });
  await world.waitingSession();
  for (let n = 1; n <= 3; n++) {
    const looks = world.schema.workers.size;
    await world.publish(n);
    await until("the side connection looked", () => world.schema.workers.size >= looks);
    await until("settled", () => world.queue.depth() === 0);
    expect(worker.status()[0]!.blocked).toBe(0);
  }
});
