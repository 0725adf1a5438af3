/** Two `rtm serve` processes on one queue: the active one is killed with `kill -9`. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { Client } from "../relay/support.ts";
import { type Program, rtm } from "../support/programs.ts";
import { until } from "../support/until.ts";
import { PASSWORD, World } from "../worker/support.ts";

interface Node {
  readonly process: Program;
  readonly port: number;
  /** Status of /readyz on the admin listener, and the codes of its reasons. */
  ready(): Promise<{ status: number; reasons: string[] }>;
}

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

async function serve(): Promise<Node> {
  const process = rtm(["serve"], {
    RTM_DATABASE_CONNECT_STRING: world.emulator.connectString,
    RTM_DATABASE_USER: "RTM",
    RTM_DATABASE_PASSWORD: PASSWORD,
    RTM_WORKER_STANDBY: "true",
    RTM_WORKER_QUEUES: '[{"name":"RTM_QUEUE","wait":"1s"}]',
    RTM_RELAY_INSECURE: "true",
    RTM_RELAY_PORT: "0",
    RTM_SERVICE_ADMIN_PORT: "0",
  });
  processes.push(process);
  const [, adminPort] = await process.printed(/"adminPort":(\d+).*"msg":"admin listener"/);
  const [, port] = await process.printed(/"port":(\d+).*"msg":"relay listens"/);
  const ready = async () => {
    const response = await fetch(`http://127.0.0.1:${adminPort}/readyz`);
    const { reasons } = (await response.json()) as { reasons: { code: string }[] };
    return { status: response.status, reasons: reasons.map(({ code }) => code) };
  };
  return { process, port: Number(port), ready };
}

async function subscribe(node: Node, since?: { epoch: string; seq: number }) {
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
