/** Sessions are replaced at a configured age: a server process that dequeues for days can leak. */
import { Socket } from "node:net";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { until } from "../support/until.ts";
import { World } from "../worker/support.ts";

let world: World;
beforeEach(async () => {
  world = await World.start();
});
afterEach(() => world[Symbol.asyncDispose]());

it("is replaced between two batches, without a loss and without a rollback", async () => {
  world.startWorker({}, {}, {}, { maxSessionAge: 50 });
  const seen = new Set<number>();
  for (let n = 1; n <= 20; n++) {
    await world.publish(n);
    await until(`message ${n} is delivered`, () => world.numbers().has(n));
    for (const { id, action } of world.emulator.sessions()) {
      if (action.startsWith("dequeue")) seen.add(id);
    }
    await until("settled", () => world.queue.depth() === 0);
  }
  await world.delivered(1, 20);
  expect(world.publisher.accepted).toHaveLength(20);
  expect(seen.size).toBeGreaterThan(1);
});

it("has TCP keepalive on, at database.expireTime", async () => {
  const keepAlive = vi.spyOn(Socket.prototype, "setKeepAlive");
  world.startWorker({}, {}, { expireTime: "2m" });
  await world.waitingSession();
  expect(keepAlive).toHaveBeenCalledWith(true, 120_000);
  keepAlive.mockRestore();
});
