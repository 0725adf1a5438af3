/** The database objects are upgraded, or fail, while the worker runs. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { OraError } from "../../emulator/index.ts";
import { until } from "../support/until.ts";
import { World } from "../worker/support.ts";

let world: World;
beforeEach(async () => {
  world = await World.start({}, { maxRetries: 0 });
});
afterEach(() => world[Symbol.asyncDispose]());

const discarded = () => new OraError(4068, "existing state of packages has been discarded");

it("repeats a call that met a recompiled package, in the same session", async () => {
  const worker = world.startWorker();
  const { id } = await world.waitingSession();
  world.schema.failures.set("set_aside", discarded());
  world.queue.enqueue("poison");
  await until("settled", () => world.queue.depth() === 0);
  expect(world.schema.log).toMatchObject([{ status: "REJECTED" }]);
  expect((await world.waitingSession()).id).toBe(id);
  expect(await world.metric(worker, "rtm_worker_session_failures_total")).toBe(0);
});

it.each([
  ["a table is full", new OraError(1653, "unable to extend table")],
  ["the package is gone", new OraError(6550, "identifier must be declared")],
  ["the package was recompiled", discarded()],
])("delivers although receipts fail: %s", async (_name, error) => {
  const worker = world.startWorker({ receipts: true });
  await world.waitingSession();
  world.schema.failures.set("receipts", error);
  await world.publish(1, 3);
  await world.delivered(1, 3);
  const failures = () => world.metric(worker, "rtm_worker_receipt_errors_total");
  await until("the failure is counted", async () => (await failures()) === 1);
  expect(world.schema.log.map(({ status }) => status)).toEqual(["QUEUED", "QUEUED", "QUEUED"]);
  await world.publish(4);
  await until("the next receipt is written", () => world.schema.log.at(-1)?.status === "DELIVERED");
});

it("delivers although a claim check cannot be deleted", async () => {
  world.startWorker();
  await world.waitingSession();
  world.schema.failures.set("delete_claims", new OraError(1653, "unable to extend table"));
  const connection = await world.connect();
  await world.broadcast(connection, { n: 1, text: "x".repeat(40_000) });
  await connection.commit();
  await world.delivered(1, 1);
  expect(world.schema.claims.size).toBe(1);
});
