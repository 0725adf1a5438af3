/**
 * The connection is lost while a commit is under way: the driver says the same (NJS-500) whether it
 * was applied or not. If not, the batch comes again, and the relay drops it by id.
 */
import { afterEach, expect, it } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import { Client, startTestRelay } from "../relay/support.ts";
import { until } from "../support/until.ts";
import { World } from "../worker/support.ts";

let world: World;
let relay: Relay;
afterEach(async () => {
  await world[Symbol.asyncDispose]();
  await relay.close();
});

it.each(["before-commit", "after-commit"] as const)("lost %s is applied", async (at) => {
  world = await World.start();
  relay = await startTestRelay();
  const client = await Client.connect(relay, { subscribe: [{ channel: "public" }] });
  const worker = world.startWorker({}, { publisher: relay.publisher });
  const { id } = await world.waitingSession();
  const fault = world.emulator.faults.inject({
    at,
    do: "kill",
    session: (session) => session.id === id,
  });
  await world.publish(1, 3, "public");
  await fault.fired;
  await world.publish(4, 4, "public");
  const seen: number[] = [];
  while (seen.at(-1) !== 4) {
    const { payload } = (await client.next()) as unknown as { payload?: { n: number } };
    if (payload) seen.push(payload.n);
  }
  expect(seen).toEqual([1, 2, 3, 4]);
  await until("everything is settled", () => world.queue.depth() === 0);
  const count = (result: string) => world.metric(worker, "rtm_worker_messages_total", { result });
  // What was lost with the connection is not counted; what came again is a duplicate.
  await until("the last message is counted", async () => (await count("accepted")) === 1);
  expect(await count("duplicate")).toBe(at === "before-commit" ? 3 : 0);
  await client.close();
});
