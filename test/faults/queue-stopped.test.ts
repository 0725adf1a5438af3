/** Maintenance: the queue is stopped for dequeue, and the database is away for a while. */
import { afterEach, beforeEach, it } from "vitest";
import { until } from "../support/until.ts";
import { World } from "../worker/support.ts";

let world: World;
beforeEach(async () => {
  world = await World.start();
});
afterEach(() => world[Symbol.asyncDispose]());

it("says so, and goes on when the queue is started again", async () => {
  const slow = { floorMs: 100, baseMs: 100, capMs: 200 };
  const worker = world.startWorker({}, { timing: { sessionBounds: () => slow } });
  await world.waitingSession();
  world.queue.stop({ enqueue: false });
  // A wait that is under way may end with it or at the next one.
  await world.publish(1);
  await until("it says that it is stopped", () => worker.status()[0]!.reason === "ORA-25226");
  world.queue.start();
  await world.publish(2, 3);
  await world.delivered(1, 3);
});

it.each(["port-closed", "drop", 12514, 12516] as const)(
  "outlives a database that is away: %s",
  async (refusal) => {
    const slow = { floorMs: 50, baseMs: 50, capMs: 100 };
    const worker = world.startWorker({}, { timing: { sessionBounds: () => slow } });
    const session = await world.waitingSession();
    await world.publish(1);
    await world.delivered(1, 1);
    await world.emulator.faults.refuseConnections(refusal);
    world.emulator.faults.kill(session);
    await until("it is in backoff", () => worker.status()[0]!.state === "backoff");
    world.queue.enqueue('{"v":1,"channel":"c","eventName":"e","ts":0}\n{"n":2}');
    await world.emulator.faults.acceptConnections();
    await world.delivered(1, 2);
  },
);
