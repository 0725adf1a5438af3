/** The wall clock of the worker's machine is set, and the database's clock is another one. */
import { afterEach, expect, it, vi } from "vitest";
import { until } from "../support/until.ts";
import { World } from "../worker/support.ts";

const HOUR = 3_600_000;
let world: World;
afterEach(async () => {
  vi.restoreAllMocks();
  await world[Symbol.asyncDispose]();
});

it.each([-24 * HOUR, 24 * HOUR])("delivers on, and its latency stays sane: %i ms", async (jump) => {
  world = await World.start();
  const worker = world.startWorker({ sideInterval: "1s" });
  await world.waitingSession();
  await world.publish(1);
  await world.delivered(1, 1);
  const now = Date.now;
  vi.spyOn(Date, "now").mockImplementation(() => now() + jump);
  await world.publish(2, 3);
  await world.delivered(1, 3);
  expect(worker.status()[0]!.state).toBe("active");
  expect(worker.status()[0]!.lastTickMs).toBeLessThan(60_000);
});

it("measures the database's clock again and again, and counts latency by it", async () => {
  world = await World.start({}, { clockOffsetMs: -2 * HOUR });
  const worker = world.startWorker({ sideInterval: "1s" });
  await world.waitingSession();
  const offset = () => world.metric(worker, "rtm_worker_clock_offset_seconds");
  await until("the offset is measured", async () => Math.abs((await offset()) + 7200) < 60);
  await world.publish(1, 5);
  await world.delivered(1, 5);
  const latency = () => world.latencies(worker);
  await until("the latency is observed", async () => (await latency()).count === 5);
  // By the worker's clock each would take two hours.
  expect((await latency()).sum).toBeLessThan(5 * 60);
  const now = Date.now;
  vi.spyOn(Date, "now").mockImplementation(() => now() + HOUR);
  world.schema.clockOffsetMs = HOUR;
  await until("the jump is measured", async () => Math.abs((await offset()) - 3600) < 60);
});
