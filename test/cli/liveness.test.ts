import { afterEach, describe, expect, it, vi } from "vitest";
import { rtmConfig } from "../../cli/config.ts";
import { stepLimitMs, stuckLoops } from "../../cli/service/liveness.ts";
import { parseConfig } from "../../common/config.ts";
import { QUEUE_STATES, type QueueStateName, type QueueStatus } from "../../worker/queue-state.ts";
import { until } from "../support/until.ts";
import { UNAVAILABLE, World } from "../worker/support.ts";

const config = parseConfig(rtmConfig, {
  relay: { insecure: true },
  worker: { standby: true, queues: [{ name: "RTM.A" }, { name: "RTM.B" }] },
});
const { database } = config;

function status(state: QueueStateName, lastMoveMs: number): QueueStatus {
  return {
    queue: "RTM.A",
    state,
    lastMoveMs,
    sinceMs: 1e9,
    lastTickMs: undefined,
    reason: undefined,
    backlog: undefined,
    blocked: 0,
  };
}

describe("stuck loops", () => {
  it.each(QUEUE_STATES.filter((state) => state !== "stopped"))("%s has a limit", (state) => {
    const limit = stepLimitMs(state, 20_000, database);
    expect(limit).toBeLessThan(15 * 60_000);
    expect(stuckLoops([status(state, limit)], config)).toEqual([]);
    expect(stuckLoops([status(state, limit + 1)], config)).toEqual([
      expect.stringMatching(new RegExp(`^RTM\\.A: ${state} without a step for \\d+`)),
    ]);
  });

  it("a stopped loop is not stuck", () => {
    expect(stuckLoops([status("stopped", 1e12)], config)).toEqual([]);
  });

  it("the waits of the configuration raise the limit", () => {
    const patient = { ...database, callGrace: 600_000 };
    expect(stepLimitMs("active", 110_000, patient)).toBeGreaterThan(710_000);
  });

  it.each(["standby", "connecting"] as const)(
    "other queues may wait for ever for a first one that is %s",
    (leader) => {
      const statuses = [status(leader, 0), status("connecting", 1e9)];
      expect(stuckLoops(statuses, config)).toEqual([]);
      expect(stuckLoops([status("active", 0), statuses[1]!], config)).toHaveLength(1);
      expect(stuckLoops([statuses[0]!, status("active", 1e9)], config)).toHaveLength(1);
    },
  );
});

describe("a worker", () => {
  const LATER_MS = 30 * 60_000;
  let world: World;

  /** From now on the clock of this process is ahead. */
  function jump(): void {
    const now = performance.now.bind(performance);
    vi.spyOn(performance, "now").mockImplementation(() => now() + LATER_MS);
  }

  afterEach(async () => {
    vi.restoreAllMocks();
    await world[Symbol.asyncDispose]();
  });

  async function publishOne(): Promise<void> {
    const connection = await world.connect();
    await world.broadcast(connection, { n: 1 });
    await connection.commit();
  }

  it("is stuck when a hand-over never returns", async () => {
    world = await World.start();
    let release: (() => void) | undefined;
    world.publisher.publish = () => new Promise((resolve) => (release = () => resolve([])));
    const worker = world.startWorker();
    await publishOne();
    await until("the hand-over has begun", () => release !== undefined);
    expect(stuckLoops(worker.status(), config)).toEqual([]);
    jump();
    expect(stuckLoops(worker.status(), config)).toEqual([expect.stringContaining("active")]);
    release!();
  });

  it("is not stuck while it holds a batch, waits, or the database is away", async () => {
    world = await World.start();
    const alive = async (what: string) => {
      jump();
      await until(what, () => stuckLoops(worker.status(), config).length === 0);
      vi.restoreAllMocks();
    };
    const worker = world.startWorker({ queues: [{ name: "RTM_QUEUE", wait: "1s" }] });
    await until("it dequeues", () => worker.status()[0]!.state === "active");
    await alive("the waiting dequeue has returned");
    world.publisher.answer = () => UNAVAILABLE;
    await publishOne();
    await until("it holds", () => worker.status()[0]!.state === "holding");
    await alive("the hand-over was tried again");
    await world.emulator.faults.refuseConnections();
    for (const session of world.emulator.sessions()) world.emulator.faults.kill(session);
    world.publisher.answer = () => ({ status: "accepted", recipients: 0 });
    await until("the database is away", () => worker.status()[0]!.state === "backoff");
    await alive("it has tried to connect again");
  });
});
