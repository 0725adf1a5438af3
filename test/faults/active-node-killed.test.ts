/** Two `rtm serve` processes on one queue: the active one is killed with `kill -9`. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { Client } from "../relay/support.ts";
import type { Program } from "../support/programs.ts";
import { until } from "../support/until.ts";
import { World } from "../worker/support.ts";
import { type ServeProcess, serveProcess } from "./serve-process.ts";

let world: World;
const processes: Program[] = [];
beforeEach(async () => {
  world = await World.start();
});
afterEach(async () => {
  for (const each of processes.splice(0)) {
    each.kill("SIGKILL");
    await each.exited;
  }
  await world[Symbol.asyncDispose]();
});

async function serve(): Promise<ServeProcess> {
  const node = await serveProcess(world, { RTM_WORKER_STANDBY: "true" });
  processes.push(node.process);
  return node;
}

async function subscribe(node: ServeProcess, since?: { epoch: string; seq: number }) {
  const client = await Client.connect(node, { subscribe: [{ channel: "sales", since }] });
  expect(await client.next()).toMatchObject({ op: "connected" });
  const subscribed = await client.next();
  expect(subscribed).toMatchObject({ op: "subscribed" });
  return { client, epoch: subscribed.epoch as string, recovered: subscribed.recovered };
}

it("lets the standby dequeue and serve, and tells clients that come back to refresh", async () => {
  const active = await serve();
  await until("the first node is ready", async () => (await active.ready()).status === 200);
  const standby = await serve();
  await until("the second node is a standby", async () =>
    (await standby.ready()).reasons.includes("standby"),
  );
  const before = await subscribe(active);
  await world.publish(1);
  const first = await before.client.next();
  expect(first).toMatchObject({ payload: { n: 1 } });
  // Stays out of the standby's reach while the active node lives.
  expect((await standby.ready()).status).toBe(503);

  active.process.kill("SIGKILL");
  expect(await active.process.exited).toBeNull();
  expect(await before.client.end()).toMatchObject({ code: 1006 });
  await world.publish(2);
  await until("the second node is ready", async () => (await standby.ready()).status === 200);
  await until("the second node dequeues", () => world.queue.depth() === 0);

  const position = { epoch: before.epoch, seq: first.seq as number };
  const after = await subscribe(standby, position);
  expect(after.recovered).toBe(false);
  expect(after.epoch).not.toBe(before.epoch);
  await world.publish(3);
  expect(await after.client.next()).toMatchObject({ payload: { n: 3 } });
  after.client.terminate();
  standby.process.kill("SIGTERM");
  expect(await standby.process.exited, standby.process.output).toBe(0);
});
