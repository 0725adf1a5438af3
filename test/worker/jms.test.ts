/** A queue of SYS.AQ$_JMS_TEXT_MESSAGE, which the Thin driver cannot read: dequeued in PL/SQL. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PlSqlDequeue, type QueueAdmin } from "../../emulator/index.ts";
import { until } from "../support/until.ts";
import { UNAVAILABLE, World } from "./support.ts";

const JMS = { name: "SHOP.DASHBOARD", channel: "dashboard", wait: "1s" };

describe.each([
  ["an anonymous block", {}],
  ["RTM_WORKER_API of the queue's owner", { owner: "SHOP" }],
])("JMS text by %s", (_name, schemaOptions) => {
  let world: World;
  let queue: QueueAdmin;
  let stateDirectory: string;
  beforeEach(async () => {
    stateDirectory = await mkdtemp(join(tmpdir(), "rtm-test-"));
    world = await World.start({}, schemaOptions);
    queue = new PlSqlDequeue(world.emulator).createJmsQueue(JMS.name);
  });
  afterEach(async () => {
    await world[Symbol.asyncDispose]();
    await rm(stateDirectory, { recursive: true });
  });

  it("detects the payload, and delivers in order under the configured names", async () => {
    world.startWorker({ queues: [{ ...JMS, eventName: "refresh" }] });
    for (let n = 1; n <= 5; n++) queue.enqueue(JSON.stringify({ n }));
    await until("settled", () => queue.depth() === 0);
    expect(world.publisher.payloads).toEqual([1, 2, 3, 4, 5].map((n) => ({ n })));
    expect(world.publisher.accepted[0]).toMatchObject({
      channel: "dashboard",
      eventName: "refresh",
      id: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
  });

  it("takes several in one transaction", async () => {
    for (let n = 1; n <= 5; n++) queue.enqueue(JSON.stringify({ n }));
    world.startWorker({ queues: [{ ...JMS, batch: 3 }] });
    await until("settled", () => queue.depth() === 0);
    expect(world.publisher.batches).toBe(2);
  });

  it("carries text longer than one piece, and sets aside what is too long", async () => {
    const text = "€😀x".repeat(20_000);
    queue.enqueue(JSON.stringify({ n: "x".repeat(300_000) }));
    queue.enqueue(JSON.stringify({ text }));
    const worker = world.startWorker({ queues: [JMS] }, { stateDirectory });
    await until("settled", () => queue.depth() === 0);
    expect(world.publisher.payloads).toEqual([{ text }]);
    const poison = await world.metric(worker, "rtm_worker_poison_total", { reason: "too_large" });
    expect(poison).toBe(1);
    const kept =
      world.schema.log[0]?.reason ?? (await readFile(join(stateDirectory, "poison.jsonl"), "utf8"));
    expect(kept).toContain("too_large");
  });

  it("holds it while the relay is away, and rolls back once at the stop", async () => {
    world.publisher.answer = () => UNAVAILABLE;
    const worker = world.startWorker({ queues: [JMS] });
    queue.enqueue('{"n":1}');
    await until("it holds", () => world.publisher.batches > 3);
    await worker.stop();
    expect(queue.messages()).toMatchObject([{ attempts: 1, status: "ready" }]);
  });

  it("stops at once while it waits", async () => {
    const worker = world.startWorker({ queues: [{ ...JMS, wait: "100s" }] });
    await until("it waits", () => queue.waiters === 1);
    await worker.stop();
    expect(queue.waiters).toBe(0);
  });
});

it("uses the package of worker.apiSchema for another schema's queue", async () => {
  const world = await World.start();
  await using _world = world;
  const dequeues = new PlSqlDequeue(world.emulator, { dbmsAq: false });
  const queue = dequeues.createJmsQueue(JMS.name);
  queue.enqueue('{"n":1}');
  world.startWorker({ apiSchema: "RTM", queues: [JMS] });
  await until("settled", () => queue.depth() === 0);
  expect(world.publisher.payloads).toEqual([{ n: 1 }]);
});
