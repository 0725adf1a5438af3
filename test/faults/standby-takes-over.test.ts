/** Two `rtm serve` on one queue: one is active, the other takes over within seconds. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import oracledb from "oracledb";
import { afterEach, beforeEach, expect, it, onTestFinished } from "vitest";
import { rtmConfig } from "../../cli/config.ts";
import { type Service, startService } from "../../cli/service/service.ts";
import { parseConfig } from "../../common/config.ts";
import { Client, post } from "../relay/support.ts";
import { until } from "../support/until.ts";
import { log, World } from "../worker/support.ts";

let world: World;
const services: Service[] = [];
beforeEach(async () => {
  world = await World.start();
});
afterEach(async () => {
  await world.emulator.faults.clear();
  await Promise.all(services.splice(0).map((service) => service.stop()));
  await world[Symbol.asyncDispose]();
});

async function node(more: object = {}, service: object = {}): Promise<Service & { port: number }> {
  const config = parseConfig(rtmConfig, {
    database: { ...world.database, callGrace: "1s" },
    worker: {
      standby: true,
      sideInterval: "1s",
      queues: [{ name: "RTM_QUEUE", wait: "1s" }],
      ...more,
    },
    service: { admin: { port: 0 }, ...service },
    relay: { port: 0, insecure: true, drain: { window: "0s", grace: "100ms" } },
  });
  const started = await startService({ config, roles: { worker: true, relay: true }, log });
  services.push(started);
  return { ...started, port: started.relay!.port };
}

const isReady = (service: Service) => !service.readiness().some(({ blocking }) => blocking);
const stateOf = (service: Service) => service.worker!.status()[0]!.state;

async function subscribe(service: { port: number }, since?: object) {
  const client = await Client.connect(service, { subscribe: [{ channel: "sales", since }] });
  await client.next("connected");
  const subscribed = (await client.next("subscribed")) as unknown as {
    epoch: string;
    seq: number;
    recovered: boolean;
  };
  return { client, ...subscribed };
}

/** The active node's database session, killed as by kill -9 of its process. */
function killActiveSession(): void {
  const [session] = world.emulator.sessions().filter(({ locks }) => locks.length > 0);
  world.emulator.faults.kill(session!);
}

it("keeps the second node a standby that turns clients away", async () => {
  const active = await node();
  await until("the first node is ready", () => isReady(active));
  const standby = await node();
  await until("the second node is a standby", () => stateOf(standby) === "standby");
  expect(isReady(standby)).toBe(false);
  expect(standby.readiness()[0]).toMatchObject({ code: "standby", blocking: true });
  const turnedAway = await Client.connect(standby, { subscribe: [{ channel: "sales" }] });
  expect(await turnedAway.end()).toMatchObject({ code: 4005 });
  const { client } = await subscribe(active);
  await world.publish(1);
  expect(await client.next()).toMatchObject({ payload: { n: 1 } });
  await until(
    "both say in their heartbeat what they are",
    () =>
      [...world.schema.workers.values()]
        .map(({ state }) => state)
        .sort()
        .join() === "ACTIVE,STANDBY",
  );
  await client.close();
});

it("takes over when the active node's session dies, in a new epoch", async () => {
  const first = await node();
  await until("the first node is ready", () => isReady(first));
  const second = await node();
  await until("the second node is a standby", () => stateOf(second) === "standby");
  const { client, epoch } = await subscribe(first);
  await world.publish(1);
  expect(await client.next()).toMatchObject({ payload: { n: 1 } });

  killActiveSession();
  await until("the second node has taken over", () => isReady(second));
  await world.publish(2);
  // The first node's clients hear that they are in the wrong place.
  expect(await client.end()).toMatchObject({ code: 4005 });
  await until("the first node is the standby now", () => stateOf(first) === "standby");
  const after = await subscribe(second, { epoch, seq: 1 });
  expect(after.recovered).toBe(false);
  expect(after.epoch).not.toBe(epoch);
  await until("the message is settled", () => world.queue.depth() === 0);
  await world.publish(3);
  let last: unknown;
  while ((last as { n: number } | undefined)?.n !== 3) last = (await after.client.next()).payload;

  killActiveSession();
  await until("and back", () => isReady(first));
  const back = await subscribe(first, { epoch, seq: 1 });
  expect(back.recovered).toBe(false);
  expect([epoch, after.epoch]).not.toContain(back.epoch);
  await Promise.all([after.client.close(), back.client.close()]);
});

it("hands over at once when the active node is stopped", async () => {
  const first = await node();
  await until("the first node is ready", () => isReady(first));
  const second = await node();
  await until("the second node is a standby", () => stateOf(second) === "standby");
  await first.stop();
  await world.publish(1);
  await until("the second node dequeues", () => world.queue.depth() === 0);
  expect(isReady(second)).toBe(true);
  const states = [...world.schema.workers.values()].map(({ state }) => state);
  expect(states).toContain("STOPPING");
});

/** A session that has the lease of a queue. */
async function holderOf(queue: string): Promise<oracledb.Connection> {
  const holder = await world.connect();
  const lock = "begin :outcome := rtm.rtm_worker_api.acquire_lease(:queue, :wait); end;";
  await holder.execute(lock, {
    outcome: { dir: oracledb.BIND_OUT, type: oracledb.STRING },
    queue,
    wait: 0,
  });
  return holder;
}

it("a node alone serves, in its old epoch, while a lost session of its own has the lease", async () => {
  const stateDirectory = await mkdtemp(join(tmpdir(), "rtm-lease-"));
  onTestFinished(() => rm(stateDirectory, { recursive: true }));
  world.emulator.createQueue({ name: "RTM.OTHER" });
  const alone = () =>
    node(
      {
        standby: false,
        queues: [
          { name: "RTM_QUEUE", wait: "1s" },
          { name: "RTM.OTHER", payload: "RAW", channel: "other", wait: "1s" },
        ],
      },
      { stateDirectory },
    );
  const before = await alone();
  const { epoch } = await subscribe(before);
  await before.stop();

  const holder = await holderOf("RTM.RTM_QUEUE");
  const service = await alone();
  await until("it waits for the lease", () => stateOf(service) === "standby");
  const { client, ...subscribed } = await subscribe(service);
  expect(subscribed.epoch).toBe(epoch);
  expect(service.readiness()).toContainEqual({
    code: "lease_held",
    message: expect.stringContaining("RTM_QUEUE"),
    blocking: true,
  });
  // Nothing else waits for it: neither posts nor another queue.
  const posted = { channel: "sales", payload: { n: 1 } };
  expect((await post(service.relay!, posted)).status).toBe(200);
  expect(await client.next()).toMatchObject({ payload: { n: 1 }, seq: 1 });
  await until("the other queue is served", () => service.worker!.status()[1]!.state === "active");

  await world.publish(2);
  await holder.close();
  expect(await client.next()).toMatchObject({ payload: { n: 2 }, seq: 2 });
  expect(service.readiness().filter(({ blocking }) => blocking)).toEqual([]);
  await client.close();
});

it("does not serve while another session holds the lease of its second queue", async () => {
  world.emulator.createQueue({ name: "RTM.OTHER" });
  const holder = await holderOf("RTM.OTHER");
  const queues = [
    { name: "RTM_QUEUE", wait: "1s" },
    { name: "RTM.OTHER", payload: "RAW", channel: "c", wait: "1s" },
  ];
  const service = await node({ queues });
  await until("the second queue waits", () => service.worker!.status()[1]!.state === "standby");
  expect(isReady(service)).toBe(false);
  await holder.close();
  await until("it serves when it has both", () => isReady(service));
});

it("says that only one worker may run where the lease cannot be had", async () => {
  await using without = await World.start({}, { lease: false });
  const lines: string[] = [];
  const { createLogger } = await import("../../common/logger.ts");
  const { Writable } = await import("node:stream");
  const sink = new Writable({
    write: (chunk, _encoding, done) => {
      lines.push(String(chunk));
      done();
    },
  });
  const worker = without.startWorker({}, { log: createLogger("warn", sink) });
  await until("it dequeues", () => worker.status()[0]!.state === "active");
  expect(lines.join("")).toContain("run only one worker for this queue");
});
