/**
 * `mode: "notify"`: the worker is woken by AQ notifications. When their connection is lost the driver
 * says nothing; the worker notices it, polls, and subscribes again.
 */
import { afterEach, beforeEach, expect, it } from "vitest";
import { until } from "../support/until.ts";
import { World } from "../worker/support.ts";

/** The poll alone would come too late for these tests. */
const NOTIFY = { queues: [{ name: "RTM_QUEUE", mode: "notify", wait: "100s" }] };
let world: World;
beforeEach(async () => {
  world = await World.start();
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
  expect(world.emulator.connections).toBe(0);
});

/** The connection on which the driver listens: it has made one call that is none of the usual. */
const listener = () =>
  world.emulator.sessions().find(({ calls, program }) => {
    return program === "apex-rtm" && (calls.other ?? 0) > 0 && !calls.dequeue;
  });

it("dequeues when it is told, without a wait in the database", async () => {
  const worker = world.startWorker(NOTIFY);
  await world.emulator.waitFor(listener);
  for (let n = 1; n <= 3; n++) {
    await world.publish(n);
    await until(`message ${n} is delivered`, () => world.numbers().has(n));
  }
  await world.delivered(1, 3);
  expect(world.queue.waiters).toBe(0);
  await worker.stop();
  expect(listener()).toBeUndefined();
});

it("subscribes again when the notification connection is gone", async () => {
  world.startWorker(NOTIFY);
  for (let n = 1; n <= 3; n++) {
    const found = await world.emulator.waitFor(listener);
    world.emulator.faults.kill(found);
    await world.emulator.waitFor(() => (listener()?.id ?? found.id) !== found.id);
    await world.publish(n);
    await until(`message ${n} is delivered`, () => world.numbers().has(n));
  }
  await world.delivered(1, 3);
});

it("subscribes again with a new session", async () => {
  world.startWorker(NOTIFY);
  for (let n = 1; n <= 3; n++) {
    const { id } = await world.emulator.waitFor(listener);
    const dequeuer = world.emulator.sessions().find(({ action }) => action.startsWith("dequeue"));
    world.emulator.faults.kill(dequeuer!);
    await world.publish(n);
    // The dead session is noticed by the next call on it: here by a notification.
    await until(`message ${n} is delivered`, () => world.numbers().has(n));
    await world.emulator.waitFor(() => (listener()?.id ?? id) !== id);
  }
});

it("polls where the database gives no notifications", async () => {
  const { OraError } = await import("../../emulator/index.ts");
  world.emulator.faults.inject({
    at: "request",
    call: "other",
    do: { error: new OraError(29970, "Specified registration id does not exist") },
    times: Number.POSITIVE_INFINITY,
  });
  world.startWorker({ queues: [{ name: "RTM_QUEUE", mode: "notify", wait: "1s" }] });
  await world.publish(1, 2);
  await world.delivered(1, 2);
});
