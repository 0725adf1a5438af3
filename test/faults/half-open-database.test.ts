/**
 * The peer falls silent and the socket stays open: a firewall that forgot the connection, a frozen
 * host. The driver would wait for ever (callTimeout and close() included).
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";
import { UNAVAILABLE, World } from "../worker/support.ts";

/** The watchdog fires a second and a little after the beginning of a wait. */
const SHORT = { callGrace: 300, connectTimeout: 300 };
const QUEUES = { queues: [{ name: "RTM_QUEUE", wait: "1s" }] };

describe("half-open database", () => {
  let world: World;
  let proxy: TcpProxy;
  beforeEach(async () => {
    world = await World.start();
    proxy = await TcpProxy.to(world.emulator.port);
  });
  afterEach(async () => {
    await world[Symbol.asyncDispose]();
    await proxy.close();
    await until("every socket is closed", () => world.emulator.connections === 0);
  });

  const throughProxy = (raw: object) =>
    world.startWorker({ ...QUEUES, ...raw }, {}, { connectString: world.through(proxy) }, SHORT);

  it("is noticed while waiting, with nothing locked", async () => {
    const worker = throughProxy({ lease: "off" });
    await world.waitingSession();
    proxy.swallow();
    await world.publish(1, 3);
    await world.abandoned(worker);
    proxy.restore();
    // The messages went to the session that nobody hears any more, and are free when it is dead.
    proxy.cut();
    proxy.restore();
    await world.delivered(1, 3);
    expect(world.queue.messages()).toEqual([]);
  });

  it("keeps what the abandoned session has locked for later, and delivers the rest", async () => {
    const worker = world.startWorker({ ...QUEUES, lease: "off" }, {}, {}, SHORT);
    const session = await world.waitingSession();
    const fault = world.emulator.faults.inject({ at: "answer", call: "dequeue", do: "freeze" });
    await world.publish(1, 2);
    expect((await fault.fired).id).toBe(session.id);
    await world.abandoned(worker);
    await world.publish(3, 4);
    await until("the rest is delivered", () => world.publisher.accepted.length === 2);
    expect([...world.numbers()]).toEqual([3, 4]);
    world.emulator.faults.kill(session.id);
    await world.delivered(1, 4);
  });

  it.each(["before-commit", "after-commit"] as const)(
    "goes on when a commit gets no answer: %s",
    async (at) => {
      const worker = world.startWorker({ ...QUEUES, lease: "off" }, {}, {}, SHORT);
      const { id } = await world.waitingSession();
      const fault = world.emulator.faults.inject({
        at,
        do: "freeze",
        session: (session) => session.id === id,
      });
      await world.publish(1);
      await fault.fired;
      await world.abandoned(worker);
      world.emulator.faults.kill(id);
      await world.publish(2);
      await world.delivered(1, 2);
    },
  );

  it("waits as a standby while the abandoned session holds the lease, then goes on", async () => {
    const worker = throughProxy({});
    await world.waitingSession();
    proxy.swallow();
    await world.abandoned(worker);
    // The abandoned session is still there and holds the lease.
    expect(world.emulator.sessions().some(({ locks }) => locks.length > 0)).toBe(true);
    proxy.cut();
    proxy.restore();
    await world.publish(1, 2);
    await world.delivered(1, 2);
  });

  it("gives up a logon that gets no answer, and leaves no socket behind", async () => {
    proxy.swallow();
    const worker = throughProxy({});
    await world.abandoned(worker);
    await until("it was tried again", () => proxy.accepted > 4);
    await worker.stop();
    await until("the worker's sockets are closed", () => proxy.clients === 0);
  });

  it("does not keep a stop waiting for longer than the grace of a call", async () => {
    const worker = world.startWorker(
      { queues: [{ name: "RTM_QUEUE", wait: "100s" }] },
      {},
      {},
      SHORT,
    );
    const session = await world.waitingSession();
    world.emulator.faults.freeze();
    await worker.stop();
    expect(worker.status()[0]!.state).toBe("stopped");
    world.emulator.faults.thaw();
    world.emulator.faults.kill(session);
  });

  it("drops a held batch when the session dies under it, and gets it again", async () => {
    world.publisher.answer = () => UNAVAILABLE;
    const worker = world.startWorker({ ...QUEUES, holdPing: "1s", lease: "off" }, {}, {}, SHORT);
    const session = await world.waitingSession();
    await world.publish(1, 1);
    await until("it holds", () => worker.status()[0]!.state === "holding");
    world.emulator.faults.freeze(session);
    await world.abandoned(worker);
    world.publisher.answer = () => ({ status: "accepted", recipients: 0 });
    world.emulator.faults.kill(session);
    await world.delivered(1, 1);
  });
});

it("survives the garbage collection of abandoned connections", async () => {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  await using world = await World.start();
  const worker = world.startWorker({ ...QUEUES, lease: "off" }, {}, {}, SHORT);
  const failures: unknown[] = [];
  const onFailure = (error: unknown) => failures.push(error);
  process.on("uncaughtException", onFailure);
  try {
    for (let round = 0; round < 2; round++) {
      const session = await world.waitingSession();
      world.emulator.faults.freeze(session);
      await world.abandoned(worker, round + 1);
      world.emulator.faults.kill(session);
      await world.waitingSession();
      gc();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await worker.stop();
    gc();
    // Finalizers run in a turn of their own.
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off("uncaughtException", onFailure);
  }
  expect(failures).toEqual([]);
});
