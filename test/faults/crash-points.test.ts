/**
 * The worker is killed at every await between a dequeue and the end of its commit, one after the
 * other: before and after each request to the database, and on both sides of the hand-over. Its
 * successor must settle everything, and after removal by id nothing is lost and nothing is twice.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import type { SessionView } from "../../emulator/index.ts";
import type { Publisher } from "../../relay/contract/publisher.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";
import { World } from "../worker/support.ts";

/** Everything that a settlement can do: a plain message, a claim check, poison, receipts. */
const MESSAGES = 3;
const isDequeuer = ({ action }: SessionView) => action.startsWith("dequeue");

let world: World;
let proxy: TcpProxy;
let stateDirectory: string;
afterEach(async () => {
  await world[Symbol.asyncDispose]();
  await proxy.close();
  await rm(stateDirectory, { recursive: true });
});

async function prepare(workerApi: boolean) {
  stateDirectory = await mkdtemp(join(tmpdir(), "rtm-test-"));
  world = await World.start({}, { workerApi }, stateDirectory);
  proxy = await TcpProxy.to(world.emulator.port);
  const publisher = await world.connect();
  await world.broadcast(publisher, { n: 1 });
  if (workerApi) await world.broadcast(publisher, { n: 2, text: "x".repeat(40_000) });
  else await world.broadcast(publisher, { n: 2 });
  await world.broadcast(publisher, { n: 3 });
  await publisher.commit();
  world.queue.enqueue("poison");
}

/**
 * Runs a worker that crashes at its `point`-th step after the dequeue. Crashed means: nothing
 * reaches the database or the relay any more, and the database notices that the client is gone.
 * @returns false when the worker settled everything before that many steps.
 */
async function crashAt(point: number): Promise<boolean> {
  let steps = 0;
  let crashed = false;
  const crash = () => {
    crashed = true;
    proxy.cut();
    for (const session of world.emulator.sessions().filter(isDequeuer)) {
      world.emulator.faults.kill(session);
    }
  };
  /** True when the process is dead here. */
  const step = () => {
    if (!crashed && steps++ === point) crash();
    return crashed;
  };
  let bury!: (reason: Error) => void;
  const dead = new Promise<never>((_resolve, reject) => {
    bury = reject;
  });
  dead.catch(() => {});
  const publisher: Publisher = {
    publish: async (batch) => {
      if (step()) return dead;
      const results = await world.publisher.publish(batch);
      return step() ? dead : results;
    },
    control: (items) => world.publisher.control(items),
  };
  let dequeued = false;
  for (const at of ["request", "before-commit", "after-commit", "answer"] as const) {
    world.emulator.faults.inject({
      at,
      do: { delayMs: 0 },
      times: Number.POSITIVE_INFINITY,
      session: (session) => {
        if (!isDequeuer(session)) return false;
        if (at === "answer" && session.call === "dequeue" && session.lockedMessages > 0) {
          dequeued = true;
        }
        if (dequeued) step();
        return false;
      },
    });
  }
  const worker = world.startWorker(
    { queues: [{ name: "RTM_QUEUE", payload: "RAW" }], receipts: true },
    { publisher },
    { connectString: world.through(proxy) },
    { callGrace: 1000 },
  );
  await until(`it crashes at step ${point} or settles`, () => crashed || world.queue.depth() === 0);
  // What the dead process would still do reaches nobody.
  crashed = true;
  proxy.cut();
  await world.emulator.faults.clear();
  bury(new Error("the process is dead"));
  await worker.stop();
  return steps > point;
}

it.each([
  ["with RTM_WORKER_API", true],
  ["without RTM_WORKER_API", false],
])(
  "loses nothing at any point %s",
  async (_name, workerApi) => {
    let points = 0;
    for (let crashes = true; crashes; points++) {
      await prepare(workerApi);
      crashes = await crashAt(points);
      proxy.restore();
      world.startWorker({ queues: [{ name: "RTM_QUEUE", payload: "RAW" }], receipts: true });
      await until("the successor has settled everything", () => world.queue.depth() === 0);
      const where = `crash at step ${points}`;
      const ids = new Set(world.publisher.accepted.map(({ id }) => id));
      expect(world.numbers(), where).toEqual(new Set([1, 2, 3]));
      expect(ids.size, where).toBe(MESSAGES);
      expect(world.schema.claims.size, where).toBe(0);
      if (workerApi) {
        await until(
          `${where}: receipts`,
          () => world.schema.log.filter(({ status }) => status === "DELIVERED").length === MESSAGES,
        );
        expect(
          world.schema.log.filter(({ status }) => status === "REJECTED"),
          where,
        ).toHaveLength(1);
      }
      expect(world.emulator.queue(world.queue.exceptionQueue).depth(), where).toBe(0);
      if (!crashes) break;
      await world[Symbol.asyncDispose]();
      await proxy.close();
      await rm(stateDirectory, { recursive: true });
    }
    // Dequeue, claim, hand-over, poison, claims, receipts, commit: two sides each and more.
    expect(points).toBeGreaterThan(workerApi ? 12 : 5);
  },
  120_000,
);
