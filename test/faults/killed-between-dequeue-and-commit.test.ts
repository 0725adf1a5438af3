/** The session dies with a batch in hand: it comes again, and no attempt is counted for it. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { FaultRule } from "../../emulator/index.ts";
import { until } from "../support/until.ts";
import { UNAVAILABLE, World } from "../worker/support.ts";

let world: World;
afterEach(() => world[Symbol.asyncDispose]());

const ofWorker: FaultRule["session"] = ({ action }) => action.startsWith("dequeue");

describe.each(["19c", "23ai"] as const)("on %s", (profile) => {
  beforeEach(async () => {
    // With the first rollback that counted, the messages would be exiled.
    world = await World.start({ profile }, { maxRetries: 0 });
  });

  it.each<[string, FaultRule]>([
    ["in the middle of the dequeue's answer", { at: "answer", call: "dequeue", do: "kill" }],
    ["before the commit is applied", { at: "before-commit", do: "kill" }],
    ["while it waits", { at: "waiting", do: "kill" }],
  ])("%s", async (_name, rule) => {
    const fault = world.emulator.faults.inject({ ...rule, session: ofWorker, times: 3 });
    world.startWorker();
    await world.publish(1, 5);
    await until("it was killed three times", () => fault.count === 3);
    await world.delivered(1, 5);
    expect(world.emulator.queue(world.queue.exceptionQueue).depth()).toBe(0);
  });

  it("by ALTER SYSTEM KILL SESSION", async () => {
    world.publisher.answer = () => UNAVAILABLE;
    const worker = world.startWorker({ holdPing: "1s" });
    const session = await world.waitingSession();
    await world.publish(1, 2);
    await until("it holds the batch", () => worker.status()[0]!.state === "holding");
    world.emulator.faults.terminate(session);
    await until(
      "it has noticed",
      async () =>
        (await world.metric(worker, "rtm_worker_session_failures_total", {
          reason: "session_lost",
        })) > 0,
    );
    world.publisher.answer = () => ({ status: "accepted", recipients: 1 });
    await world.delivered(1, 2);
  });
});

it("is a false alarm when somebody else cancels the wait", async () => {
  world = await World.start({}, { maxRetries: 0 });
  const { OraError } = await import("../../emulator/index.ts");
  const cancelled = new OraError(1013, "user requested cancel of current operation");
  world.emulator.faults.inject({
    at: "request",
    call: "dequeue",
    do: { error: cancelled },
    times: 2,
  });
  world.startWorker();
  await world.publish(1, 3);
  await world.delivered(1, 3);
});
