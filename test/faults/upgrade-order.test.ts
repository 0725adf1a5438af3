/** Database and service are upgraded one after the other, in either order, under load. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLogger } from "../../common/logger.ts";
import { WORKER_API_VERSION } from "../../worker/api-version.ts";
import { until } from "../support/until.ts";
import { World } from "../worker/support.ts";

const PREVIOUS = WORKER_API_VERSION - 1;
/** Adds to this one. */
const NEXT = WORKER_API_VERSION + 1;
/** Changed what this worker knows. */
const NEXT_HUNDRED = WORKER_API_VERSION + 100;

let logged: string;
let world: World;
beforeEach(async () => {
  logged = "";
  world = await World.start();
});
afterEach(() => world[Symbol.asyncDispose]());

const start = () =>
  world.startWorker(
    {},
    {
      log: createLogger("warn", {
        write: (line) => {
          logged += line;
        },
      }),
    },
  );

describe("the database first", () => {
  it("a running worker goes on, with a new session too", async () => {
    start();
    await world.publish(1, 3);
    await world.delivered(1, 3);
    world.schema.apiVersion = NEXT;
    const { id } = await world.waitingSession();
    world.emulator.faults.kill(id);
    await world.publish(4, 6);
    await world.delivered(1, 6);
    expect((await world.waitingSession()).id).not.toBe(id);
  });

  it("a worker that starts takes the newer database", async () => {
    world.schema.apiVersion = NEXT;
    start();
    await world.publish(1, 3);
    await world.delivered(1, 3);
    expect(logged).not.toContain("RTM_WORKER_API");
  });

  it("is refused when this worker would not understand it: messages wait for the new service", async () => {
    world.schema.apiVersion = NEXT_HUNDRED;
    const old = start();
    await world.publish(1, 3);
    await until("it says so", () => old.status()[0]!.reason === "RTM_API_VERSION");
    expect(logged).toContain(`has version ${NEXT_HUNDRED}`);
    expect(logged).toContain("upgrade this worker");
    expect(world.queue.messages().map(({ attempts }) => attempts)).toEqual([0, 0, 0]);
    await old.stop();
    // The service of that version.
    world.schema.apiVersion = WORKER_API_VERSION;
    start();
    await world.delivered(1, 3);
  });
});

describe("the service first", () => {
  it("messages wait for the database's upgrade, at no cost, and then come in order", async () => {
    world.schema.apiVersion = PREVIOUS;
    const worker = start();
    await world.publish(1, 3);
    await until("it says so", () => worker.status()[0]!.reason === "RTM_API_VERSION");
    expect(logged).toContain("upgrade the database objects (rtm db install)");
    expect(world.queue.messages().map(({ attempts }) => attempts)).toEqual([0, 0, 0]);
    world.schema.apiVersion = WORKER_API_VERSION;
    await world.publish(4);
    await world.delivered(1, 4);
  });
});
