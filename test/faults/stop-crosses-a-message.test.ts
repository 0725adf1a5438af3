/**
 * The stop breaks the wait just when a message comes. If the break crosses the answer the driver
 * throws the answer away, and what the database has dequeued must be rolled back, not committed.
 */
import { afterEach, beforeEach, expect, it } from "vitest";
import { World } from "../worker/support.ts";

let world: World;
beforeEach(async () => {
  world = await World.start();
});
afterEach(() => world[Symbol.asyncDispose]());

it.each([0, 1, 2, 5, 10])("loses nothing when the answer is %i ms late", async (delay) => {
  const worker = world.startWorker({ queues: [{ name: "RTM_QUEUE", wait: "100s" }] });
  const session = await world.waitingSession();
  const publisher = await world.connect();
  for (let n = 1; n <= 3; n++) await world.broadcast(publisher, { n });
  world.emulator.faults.delayAnswers(delay, session);
  await Promise.all([publisher.commit(), worker.stop()]);
  expect(world.emulator.sessions().filter(({ module }) => module === "apex-rtm")).toEqual([]);
  expect(world.queue.depth() + world.publisher.accepted.length).toBe(3);
  world.emulator.faults.delayAnswers(0);
  world.startWorker();
  await world.delivered(1, 3);
});
