import oracledb from "oracledb";
import { describe, expect, it, vi } from "vitest";
import { OraError, startEmulator } from "../../emulator/index.ts";
import { codeOf, openQueue, texts } from "../oracle-contract/aq.ts";
import { PROFILES, withEmulator } from "./support.ts";

describe.each(PROFILES)("the unmodified driver, %s framing", (profile) => {
  it("logs on, shows the release, and its close() is a logoff", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    const connection = await connect();
    expect(connection.thin).toBe(true);
    expect(connection.oracleServerVersionString).toBe(
      profile === "19c" ? "19.3.0.0.0" : "23.26.0.0.0",
    );
    await connection.ping();
    await connection.close();
    await emulator.waitFor(() => emulator.connections === 0);
    expect(emulator.sessions()).toEqual([]);
  });

  it("gets ORA-01017 for a wrong password and an unknown user, NJS-518 for an unknown service", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    expect(await codeOf(connect({ password: "wrong" }))).toBe("ORA-01017");
    expect(await codeOf(connect({ user: "nobody" }))).toBe("ORA-01017");
    const connectString = `127.0.0.1:${emulator.port}/OTHER`;
    expect(await codeOf(connect({ connectString }))).toBe("NJS-518");
  });

  it("takes a connect descriptor that does not fit the connect packet", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    const address = `(ADDRESS=(PROTOCOL=TCP)(HOST=127.0.0.1)(PORT=${emulator.port}))`;
    const padding = "x".repeat(300);
    const connection = await connect({
      connectString: `(DESCRIPTION=${address}(CONNECT_DATA=(SERVICE_NAME=FREEPDB1)(COLOCATION_TAG=${padding})))`,
    });
    await connection.ping();
  });

  it("sends its session attributes with the next call", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    const connection = await connect();
    connection.module = "rtm-worker";
    connection.action = "dequeue";
    connection.clientId = "host:1";
    connection.clientInfo = "info";
    await connection.ping();
    expect(emulator.sessions()).toMatchObject([
      { user: "RTM", module: "rtm-worker", action: "dequeue", clientId: "host:1", state: "idle" },
    ]);
  });

  it("enqueues and dequeues one and many, in order, with their properties", async () => {
    const { connect } = await withEmulator({ profile });
    const producer = await connect();
    const queue = await openQueue(producer, "RTM_QUEUE");
    const sent = await queue.enqOne({ payload: "first", correlation: "c1", priority: 3 });
    await queue.enqMany([
      { payload: Buffer.from("second") },
      { payload: Buffer.alloc(0) },
      { payload: Buffer.alloc(40_000, 7) },
    ]);
    expect(producer.transactionInProgress).toBe(true);
    await producer.commit();
    expect(producer.transactionInProgress).toBe(false);

    const consumer = await connect();
    const from = await openQueue(consumer, "RTM_QUEUE");
    const first = await from.deqOne();
    expect(first).toMatchObject({ correlation: "c1", priority: 3, numAttempts: 0, state: 0 });
    expect(first?.msgId).toEqual(sent.msgId);
    expect(Math.abs(Date.now() - first!.enqTime.getTime())).toBeLessThan(60_000);
    const rest = await from.deqMany(10);
    expect(rest.map((message) => (message.payload as Buffer).length)).toEqual([6, 0, 40_000]);
    expect(rest[2]?.payload).toEqual(Buffer.alloc(40_000, 7));
    expect(await from.deqMany(10)).toEqual([]);
    expect(await from.deqOne()).toBeUndefined();
  });

  it("passes JSON payloads through unchanged", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    const admin = emulator.createQueue({ name: "RTM.DOCS", payload: "JSON" });
    const connection = await connect();
    const queue = await openQueue(connection, "DOCS", { json: true });
    const document = { a: 1, b: ["x", null, true], c: { d: "é".repeat(500) } };
    await queue.enqOne({ payload: document });
    await queue.enqMany([{ payload: { n: 1 } }, { payload: { n: 2 } }]);
    await connection.commit();
    admin.enqueue({ from: "the database" });
    expect(admin.messages()[0]?.payload).toEqual(document);
    expect((await queue.deqOne())?.payload).toEqual(document);
    const rest = await queue.deqMany(9);
    expect(rest.map((message) => message.payload)).toEqual([
      { n: 1 },
      { n: 2 },
      { from: "the database" },
    ]);
  });

  it("wakes a waiting dequeue on commit, with the whole transaction", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    const consumer = await connect();
    const waiting = (await openQueue(consumer, "RTM_QUEUE", { wait: 60 })).deqMany(100);
    await emulator.waitFor(() => emulator.sessions()[0]?.state === "waiting");
    const producer = await connect();
    const queue = await openQueue(producer, "RTM_QUEUE");
    await queue.enqMany(Array.from({ length: 40 }, (_, i) => ({ payload: `m${i}` })));
    await producer.commit();
    expect(texts(await waiting)).toEqual(Array.from({ length: 40 }, (_, i) => `m${i}`));
  });

  it("cancels a waiting dequeue with ORA-01013 and stays usable", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    const connection = await connect();
    const queue = await openQueue(connection, "RTM_QUEUE", { wait: 60 });
    for (const call of [() => queue.deqMany(10), () => queue.deqOne()]) {
      const waiting = codeOf(call());
      await emulator.waitFor(() => emulator.sessions()[0]?.state === "waiting");
      await connection.break();
      expect(await waiting).toBe("ORA-01013");
      await connection.rollback();
      await connection.ping();
    }
  });

  it("lets a break while idle hit the next call, and only that", async () => {
    const { connect } = await withEmulator({ profile });
    const connection = await connect();
    await connection.break();
    expect(await codeOf(connection.ping())).toBe("ORA-01013");
    await connection.ping();
  });

  it("honours callTimeout (NJS-123)", async () => {
    const { connect } = await withEmulator({ profile });
    const connection = await connect();
    const queue = await openQueue(connection, "RTM_QUEUE", { wait: 60 });
    connection.callTimeout = 50;
    expect(await codeOf(queue.deqMany(10))).toBe("NJS-123");
    connection.callTimeout = 0;
    await connection.ping();
  });

  it("serves a pool", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    await connect();
    const pool = await oracledb.createPool({
      user: "rtm",
      password: "secret",
      connectString: emulator.connectString,
      poolMin: 1,
      poolMax: 2,
    });
    const connections = await Promise.all([pool.getConnection(), pool.getConnection()]);
    expect(emulator.sessions()).toHaveLength(3);
    for (const connection of connections) await connection.close();
    await pool.close(0);
  });

  it("reports an unhandled statement and an ORA- error of a handler", async () => {
    const { emulator, connect } = await withEmulator({ profile });
    const connection = await connect();
    emulator.onStatement("raise_it", () => {
      throw new OraError(20120, "p_limit out of range");
    });
    expect(await codeOf(connection.execute("begin nobody_knows; end;"))).toBe("ORA-00900");
    await expect(connection.execute("begin raise_it; end;")).rejects.toMatchObject({
      code: "ORA-20120",
      errorNum: 20120,
      message: expect.stringContaining("p_limit out of range"),
    });
    await connection.ping();
  });
});

describe("close()", () => {
  it("leaves no handle, whatever the sessions are doing", async () => {
    const handles = () => process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP"));
    const sessions: Promise<unknown>[] = [];
    {
      await using emulator = await startEmulator({ users: { rtm: "secret" } });
      emulator
        .createQueue({ name: "RTM.RTM_QUEUE" })
        .enqueue("m1", { delay: 3600, expiration: 60 });
      for (const freeze of [false, true]) {
        const connection = await oracledb.getConnection({
          user: "rtm",
          password: "secret",
          connectString: emulator.connectString,
        });
        const queue = await openQueue(connection, "RTM_QUEUE", { wait: 600 });
        sessions.push(codeOf(queue.deqMany(10)));
        const waiting = (state: string) => state === "waiting";
        await emulator.waitFor(() => emulator.sessions().every(({ state }) => waiting(state)));
        if (freeze) emulator.faults.freeze(emulator.sessions().at(-1)!);
      }
    }
    expect(await Promise.all(sessions)).toEqual(["NJS-500", "NJS-500"]);
    await vi.waitFor(() => expect(handles()).toEqual([]));
  });
});
