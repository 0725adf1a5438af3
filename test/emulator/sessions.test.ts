import { describe, expect, it } from "vitest";
import { codeOf, openQueue, texts } from "../oracle-contract/aq.ts";
import { PROFILES, withEmulator } from "./support.ts";

describe.each(PROFILES)("sessions, %s framing", (profile) => {
  it("commit on logoff, roll back first when the driver knows of a transaction", async () => {
    const { emulator, queue, connect } = await withEmulator({ profile });
    const first = await connect();
    await (await openQueue(first, "RTM_QUEUE")).enqOne("rolled back by close()");
    await first.close();
    expect(queue.messages()).toEqual([]);

    // A handler that hides its transaction from the driver: only the logoff is left.
    emulator.onStatement("hidden", ({ session }) => {
      session.enqueue("RTM_QUEUE", "committed by logoff");
    });
    const second = await connect();
    await second.execute("begin hidden; end;");
    // biome-ignore lint/suspicious/noExplicitAny: what NJS-089 does to the driver
    (second as any)._impl._protocol.txnInProgress = false;
    await second.close();
    expect(queue.depth()).toBe(1);
  });

  it("roll back when the socket is lost", async () => {
    const { emulator, queue, connect } = await withEmulator({ profile });
    queue.enqueue("m1");
    const connection = await connect();
    await (await openQueue(connection, "RTM_QUEUE")).deqOne();
    await (await openQueue(connection, "RTM_QUEUE")).enqOne("never");
    expect(emulator.sessions()).toMatchObject([{ transactionOpen: true, lockedMessages: 1 }]);
    // biome-ignore lint/suspicious/noExplicitAny: the only way to drop a socket
    (connection as any)._impl.nscon.forceDisconnect();
    await emulator.waitFor(() => emulator.connections === 0);
    expect(queue.messages()).toMatchObject([{ status: "ready", attempts: 0 }]);
  });

  it("control their transaction by SQL, savepoints included", async () => {
    const { queue, connect } = await withEmulator({ profile });
    const connection = await connect();
    const from = await openQueue(connection, "RTM_QUEUE");
    queue.enqueue("m1");
    queue.enqueue("m2");
    await from.deqOne();
    await connection.execute("savepoint before_receipts");
    await from.enqOne("receipt");
    await from.deqOne();
    await connection.execute("ROLLBACK TO SAVEPOINT before_receipts");
    expect(connection.transactionInProgress).toBe(true);
    await connection.execute("commit");
    expect(connection.transactionInProgress).toBe(false);
    expect(queue.messages()).toMatchObject([{ status: "ready", attempts: 0 }]);
    expect(String(queue.messages()[0]?.payload)).toBe("m2");
    expect(await codeOf(connection.execute("rollback to before_receipts"))).toBe("ORA-01086");
    await from.deqOne();
    await connection.execute("rollback");
    expect(queue.messages()).toMatchObject([{ attempts: 1 }]);
  });

  it("let a handler work in the caller's transaction", async () => {
    const { emulator, queue, connect } = await withEmulator({ profile });
    emulator.onStatement("websocket_api.broadcast_item", ({ binds, session }) => {
      session.enqueue("RTM_QUEUE", String(binds.PAYLOAD));
    });
    emulator.onStatement("dequeue_text", async ({ session, signal }) => {
      const [message] = await session.dequeue("RTM_QUEUE", { wait: 60, signal });
      return { out: { text: String(message?.payload), id: message!.id.toString("hex") } };
    });
    const worker = await connect();
    const waiting = worker.execute<{ text: string }>("begin dequeue_text(:text, :id); end;", {
      text: { dir: 3003 },
      id: { dir: 3003 },
    });
    await emulator.waitFor(() => queue.waiters === 1);
    const application = await connect();
    await application.execute("begin websocket_api.broadcast_item(:payload); end;", ["p1"]);
    expect(queue.waiters).toBe(1);
    await application.commit();
    expect((await waiting).outBinds?.text).toBe("p1");
    await worker.rollback();
    expect(queue.messages()).toMatchObject([{ attempts: 1, status: "ready" }]);
  });

  it("undo a failed statement, and only that", async () => {
    const { emulator, queue, connect } = await withEmulator({ profile });
    emulator.onStatement("fails_late", ({ session }) => {
      session.enqueue("RTM_QUEUE", "lost");
      throw new Error("late");
    });
    const connection = await connect();
    await (await openQueue(connection, "RTM_QUEUE")).enqOne("kept");
    await codeOf(connection.execute("begin fails_late; end;"));
    expect(connection.transactionInProgress).toBe(true);
    await connection.commit();
    expect(queue.messages().map((message) => String(message.payload))).toEqual(["kept"]);
  });

  it("keep what a failing statement has committed itself", async () => {
    const { emulator, queue, connect } = await withEmulator({ profile });
    emulator.onStatement("commits_and_fails", ({ session }) => {
      session.enqueue("RTM_QUEUE", "committed");
      session.commit();
      session.enqueue("RTM_QUEUE", "lost");
      throw new Error("late");
    });
    const connection = await connect();
    await (await openQueue(connection, "RTM_QUEUE")).enqMany(["before1", "before2"]);
    await codeOf(connection.execute("begin commits_and_fails; end;"));
    expect(connection.transactionInProgress).toBe(false);
    await connection.commit();
    const left = queue.messages().map((message) => String(message.payload));
    expect(left).toEqual(["before1", "before2", "committed"]);
  });

  it("have autonomous transactions", async () => {
    const { emulator, queue, connect } = await withEmulator({ profile });
    emulator.onStatement("log_and_fail", async ({ session }) => {
      await session.autonomous((inner) => inner.enqueue("RTM_QUEUE", "logged"));
      await session
        .autonomous((inner) => {
          inner.enqueue("RTM_QUEUE", "not logged");
          throw new Error("inner");
        })
        .catch(() => {});
      throw new Error("outer");
    });
    const connection = await connect();
    await codeOf(connection.execute("begin log_and_fail; end;"));
    expect(queue.messages().map((message) => String(message.payload))).toEqual(["logged"]);
  });

  it("hold user locks until they end, across commits", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    emulator.onStatement("acquire_lease", async ({ binds, session, signal }) => ({
      out: { r: await session.lock("RTM:LEASE", Number(binds.T) * 1000, signal) },
    }));
    emulator.onStatement("release_lease", ({ session }) => void session.unlock("RTM:LEASE"));
    const acquire = async (connection: Awaited<ReturnType<typeof connect>>, seconds: number) => {
      const sql = "begin :r := acquire_lease(:t); end;";
      const result = await connection.execute<{ r: string }>(sql, {
        r: { dir: 3003 },
        t: seconds,
      });
      return result.outBinds?.r;
    };
    const [a, b, c] = [await connect(), await connect(), await connect()];
    expect(await acquire(a, 0)).toBe("granted");
    await a.commit();
    expect(await acquire(a, 0)).toBe("held");
    expect(await acquire(b, 0)).toBe("timeout");
    const waiting = acquire(b, 60);
    await emulator.waitFor(() => emulator.sessions()[1]?.state === "running");
    await a.close();
    expect(await waiting).toBe("granted");
    expect(emulator.sessions().map((session) => session.locks)).toEqual([["RTM:LEASE"], []]);
    const third = acquire(c, 60);
    await emulator.waitFor(() => emulator.sessions()[1]?.state === "running");
    await b.execute("begin release_lease; end;");
    expect(await third).toBe("granted");
  });

  it("resolve unqualified names in their current schema", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    emulator.createQueue({ name: "APP.EVENTS" }).enqueue("m1");
    const connection = await connect();
    expect(await codeOf((await openQueue(connection, "EVENTS")).deqOne())).toBe("ORA-24010");
    connection.currentSchema = "APP";
    expect(texts(await (await openQueue(connection, "events")).deqMany(5))).toEqual(["m1"]);
  });

  it("count round trips", async () => {
    const { emulator, queue, connect } = await withEmulator({ profile });
    for (let i = 0; i < 30; i++) queue.enqueue(`m${i}`);
    const connection = await connect();
    const from = await openQueue(connection, "RTM_QUEUE");
    const logon = emulator.sessions()[0]!.roundTrips;
    for (let i = 0; i < 3; i++) {
      expect(await from.deqMany(10)).toHaveLength(10);
      await connection.commit();
    }
    expect(emulator.sessions()[0]).toMatchObject({
      roundTrips: logon + 6,
      calls: { dequeue: 3, commit: 3 },
    });
    expect(emulator.roundTrips).toBe(logon + 6);
  });
});
