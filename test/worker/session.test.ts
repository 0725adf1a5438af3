/** What a session keeps from the worker: breaks that hit the wrong call, and defects of the driver. */
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { parseConfig } from "../../common/config.ts";
import { databaseConfig } from "../../worker/config.ts";
import { Session } from "../../worker/session.ts";
import { DriverFailedError, SessionInterruptedError } from "../../worker/session-errors.ts";
import { log, PASSWORD, World } from "./support.ts";

const QUEUE = { name: "RTM_QUEUE", kind: "RAW" } as const;

describe.each(["19c", "23ai"] as const)("a session on %s", (profile) => {
  let world: World;
  const sessions: Session[] = [];

  beforeEach(async () => {
    world = await World.start({ profile });
  });

  afterEach(async () => {
    for (const session of sessions.splice(0)) await session.close();
    await world[Symbol.asyncDispose]();
    expect(world.emulator.connections).toBe(0);
  });

  async function open(): Promise<Session> {
    const { connectString } = world.emulator;
    const session = await Session.open(
      { connectString, user: "RTM", password: PASSWORD },
      parseConfig(databaseConfig, world.database),
      { action: "dequeue test", log },
    );
    sessions.push(session);
    return session;
  }

  it("is not sent a break while it is idle: its next call would fail", async () => {
    const session = await open();
    session.interruptWait();
    await session.ping();
    await session.rollback();
    await expect(session.dequeue(QUEUE, 10, 60_000)).rejects.toThrow(SessionInterruptedError);
  });

  it("ends a wait with a break that hits no other call", async () => {
    const session = await open();
    const waiting = session.dequeue(QUEUE, 10, 60_000);
    const ended = expect(waiting).rejects.toThrow("ORA-01013");
    await world.waitingSession();
    session.interruptWait();
    await ended;
    await session.rollback();
    await session.ping();
  });

  it("may trip over an answer once: the worker tries again, and nothing is lost", async () => {
    const { dequeue } = Session.prototype;
    let trips = 0;
    const spy = vi.spyOn(Session.prototype, "dequeue").mockImplementation(async function (
      this: Session,
      ...given
    ) {
      const messages = await dequeue.apply(this, given);
      if (messages.length === 0 || trips > 0) return messages;
      trips++;
      // As the driver does when an answer is not what it expects.
      return await this.call("dequeue", async () => {
        throw new TypeError("Cannot read properties of undefined");
      });
    });
    onTestFinished(() => spy.mockRestore());
    const worker = world.startWorker();
    await world.waitingSession();
    await world.publish(1, 3);
    await world.delivered(1, 3);
    expect(trips).toBe(1);
    expect(worker.status()[0]?.state).toBe("active");
  });

  it("says which call the driver failed in, and keeps its error", async () => {
    const session = await open();
    const error = await session
      .call("dequeue", async () => {
        throw new TypeError("x");
      })
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DriverFailedError);
    expect(error).toMatchObject({ code: "RTM_DRIVER_FAILED", cause: expect.any(TypeError) });
  });
});
