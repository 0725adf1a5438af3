import { createConnection } from "node:net";
import { describe, expect, it } from "vitest";
import { OraError } from "../../emulator/index.ts";
import { codeOf, openQueue } from "../oracle-contract/aq.ts";
import { PROFILES, withEmulator } from "./support.ts";

/** Resolves when the promise has not settled after the event loop went round a few times. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const settle = () => {
    settled = true;
  };
  promise.then(settle, settle);
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  return !settled;
}

describe.each(PROFILES)("faults, %s framing", (profile) => {
  it("killed-before-commit: the transaction is undone", async () => {
    const { emulator, queue, connect } = await withEmulator({ profile });
    queue.enqueue("m1");
    const connection = await connect();
    await (await openQueue(connection, "RTM_QUEUE")).deqOne();
    const fault = emulator.faults.inject({ at: "before-commit", do: "kill" });
    expect(await codeOf(connection.commit())).toBe("NJS-500");
    expect(await fault.fired).toMatchObject({ call: "commit", lockedMessages: 1 });
    expect(queue.messages()).toMatchObject([{ status: "ready", attempts: 0 }]);
    expect(emulator.sessions()).toEqual([]);
  });

  it("killed-after-commit: the client cannot tell, the transaction stands", async () => {
    const { emulator, queue, connect } = await withEmulator({ profile });
    queue.enqueue("m1");
    const connection = await connect();
    await (await openQueue(connection, "RTM_QUEUE")).deqOne();
    emulator.faults.inject({ at: "after-commit", do: "kill" });
    expect(await codeOf(connection.commit())).toBe("NJS-500");
    expect(queue.messages()).toEqual([]);
  });

  it("killed-while-waiting", async () => {
    const { emulator, queue, connect } = await withEmulator({ profile });
    const connection = await connect();
    emulator.faults.inject({ at: "waiting", do: "kill" });
    const from = await openQueue(connection, "RTM_QUEUE", { wait: 60 });
    expect(await codeOf(from.deqMany(10))).toBe("NJS-500");
    expect(queue.waiters).toBe(0);
    queue.enqueue("m1");
    expect(queue.messages()).toMatchObject([{ status: "ready" }]);
  });

  it.each([
    [false, 0],
    [true, 1],
  ])(
    "killed-in-mid-answer: the messages come back (counting an attempt: %s)",
    async (lostSessionCountsAttempt, attempts) => {
      const { emulator, queue, connect } = await withEmulator({
        profile,
        lostSessionCountsAttempt,
      });
      for (let i = 0; i < 20; i++) queue.enqueue("x".repeat(2000));
      const connection = await connect();
      emulator.faults.inject({ at: "answer", call: "dequeue", do: "kill" });
      const from = await openQueue(connection, "RTM_QUEUE");
      expect(await codeOf(from.deqMany(20))).toBe("NJS-500");
      expect(queue.messages()).toHaveLength(20);
      for (const message of queue.messages()) {
        expect(message).toMatchObject({ status: "ready", attempts });
      }
    },
  );

  it("killed-while-idle, by the database (ORA-00028) and by the network", async () => {
    const { emulator, queue, connect } = await withEmulator({ profile });
    queue.enqueue("m1");
    const [a, b] = [await connect(), await connect()];
    await (await openQueue(a, "RTM_QUEUE")).deqOne();
    const [viewOfA, viewOfB] = emulator.sessions();
    emulator.faults.terminate(viewOfA!);
    expect(queue.messages()).toMatchObject([{ status: "ready" }]);
    await expect(a.ping()).rejects.toMatchObject({ code: "NJS-500", errorNum: 28 });
    emulator.faults.kill(viewOfB!);
    expect(await codeOf(b.ping())).toBe("NJS-500");
  });

  it("terminated while waiting: ORA-00028 at once", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    const connection = await connect();
    const waiting = (await openQueue(connection, "RTM_QUEUE", { wait: 60 })).deqOne();
    const session = await emulator.waitFor(() =>
      emulator.sessions().find((one) => one.state === "waiting"),
    );
    emulator.faults.terminate(session);
    await expect(waiting).rejects.toMatchObject({ code: "NJS-500", errorNum: 28 });
  });

  it("half-open-database: a frozen session answers nothing and keeps its locks", async () => {
    const { emulator, queue, connect } = await withEmulator({ profile });
    const consumer = await connect();
    const waiting = (await openQueue(consumer, "RTM_QUEUE", { wait: 60 })).deqMany(10);
    const session = await emulator.waitFor(() =>
      emulator.sessions().find((one) => one.state === "waiting"),
    );
    emulator.faults.freeze(session);
    queue.enqueue("m1");
    await emulator.waitFor(() => queue.messages()[0]?.status === "locked");
    expect(await isPending(waiting)).toBe(true);

    // The client goes away; nobody tells the server.
    // biome-ignore lint/suspicious/noExplicitAny: the only way to drop a socket
    (consumer as any)._impl.nscon.forceDisconnect();
    expect(await codeOf(waiting)).toBe("NJS-500");
    const other = await openQueue(await connect(), "RTM_QUEUE");
    expect(await other.deqMany(10)).toEqual([]);
    expect(emulator.sessions()).toMatchObject([{ frozen: true, lockedMessages: 1 }, {}]);

    emulator.faults.thaw(session);
    await emulator.waitFor(() => queue.messages()[0]?.status === "ready");
    expect(await other.deqMany(10)).toHaveLength(1);
  });

  it("a thawed session goes on where it was", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    const connection = await connect();
    emulator.faults.freeze();
    const call = connection.ping();
    const late = connect();
    expect(await isPending(call)).toBe(true);
    expect(await isPending(late)).toBe(true);
    emulator.faults.thaw();
    await call;
    await (await late).ping();
  });

  it("freezes at a named moment", async () => {
    const { emulator, queue, connect } = await withEmulator({ profile });
    queue.enqueue("m1");
    const connection = await connect();
    const from = await openQueue(connection, "RTM_QUEUE");
    await from.deqOne();
    const fault = emulator.faults.inject({ at: "after-commit", do: "freeze" });
    const commit = connection.commit();
    const session = await fault.fired;
    expect(await isPending(commit)).toBe(true);
    expect(queue.depth()).toBe(0);
    emulator.faults.thaw(session);
    await commit;
  });

  it("slow answers", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    const connection = await connect();
    emulator.faults.delayAnswers(500);
    const calls = Promise.all([connection.ping(), connection.ping()]);
    expect(await isPending(calls)).toBe(true);
    emulator.faults.delayAnswers(0);
    await calls;
  });

  it.each([
    ["port-closed", "NJS-503"],
    ["drop", "NJS-500"],
    [12514, "NJS-518"],
    [12516, "NJS-511"],
  ] as const)("refuses new connections: %s", async (how, code) => {
    const { emulator, connect } = await withEmulator({ profile });
    const connection = await connect();
    await emulator.faults.refuseConnections(how);
    expect(await codeOf(connect())).toBe(code);
    await connection.ping();
    await emulator.faults.acceptConnections();
    await (await connect()).ping();
  });

  it("a call fails with the error of choice, and has done nothing", async () => {
    const { emulator, queue, connect } = await withEmulator({ profile });
    queue.enqueue("m1");
    const connection = await connect();
    const from = await openQueue(connection, "RTM_QUEUE");
    const error = new OraError(1653, "unable to extend table");
    const fault = emulator.faults.inject({
      at: "request",
      call: "dequeue",
      do: { error },
      skip: 1,
    });
    await from.deqOne();
    await connection.rollback();
    expect(await codeOf(from.deqOne())).toBe("ORA-01653");
    expect(fault.count).toBe(1);
    expect(connection.transactionInProgress).toBe(false);
    expect((await from.deqOne())?.numAttempts).toBe(1);
  });

  it("fires for the session it is meant for, as often as it should, and not when cancelled", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    const [a, b] = [await connect(), await connect()];
    b.module = "victim";
    await b.ping();
    const error = new OraError(20000, "injected");
    const fault = emulator.faults.inject({
      at: "request",
      do: { error },
      session: (session) => session.module === "victim",
      times: 2,
    });
    await a.ping();
    expect(await codeOf(b.ping())).toBe("ORA-20000");
    expect(await codeOf(b.ping())).toBe("ORA-20000");
    await b.ping();
    expect(fault.count).toBe(2);
    emulator.faults.inject({ at: "request", do: { error } }).cancel();
    await a.ping();
  });

  it("an undecodable message: NJS-089, and an explicit rollback gets everything back", async () => {
    const { emulator, queue, connect } = await withEmulator({ profile });
    queue.enqueue("good");
    queue.enqueue("bad", { userProperties: true });
    const connection = await connect();
    const from = await openQueue(connection, "RTM_QUEUE");
    expect(await codeOf(from.deqMany(10))).toBe("NJS-089");
    // The trap: the driver believes that there is no transaction.
    expect(connection.transactionInProgress).toBe(false);
    expect(emulator.sessions()).toMatchObject([{ transactionOpen: true, lockedMessages: 2 }]);
    await connection.rollback();
    expect(queue.messages()).toMatchObject([{ attempts: 1 }, { attempts: 1 }]);
    expect(String((await from.deqOne())?.payload)).toBe("good");
    expect(await codeOf(from.deqOne())).toBe("NJS-089");
    await connection.rollback();
  });

  it("an undecodable message: without the rollback, close() loses it", async () => {
    const { emulator, queue, connect } = await withEmulator({ profile });
    queue.enqueue("bad", { userProperties: true });
    const connection = await connect();
    expect(await codeOf((await openQueue(connection, "RTM_QUEUE")).deqOne())).toBe("NJS-089");
    await connection.close();
    await emulator.waitFor(() => emulator.connections === 0);
    expect(queue.messages()).toEqual([]);
  });

  it("survives garbage and a client that leaves in mid-packet", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    for (const bytes of [
      Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
      Buffer.alloc(100),
      Buffer.from([0, 200, 0, 0, 1, 0, 0, 0, 1]),
      Buffer.from([0, 11, 0, 0, 12, 0, 0, 0, 1, 0, 3]),
    ]) {
      const socket = createConnection(emulator.port, "127.0.0.1");
      socket.on("error", () => {});
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.resume().end(bytes);
      await closed;
    }
    await (await connect()).ping();
  });
});
