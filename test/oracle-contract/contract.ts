/**
 * What the worker needs from an AQ database, asserted against the driver's public API. The same
 * assertions run against the emulator and against Oracle; where Oracle's answer is not known they
 * accept every safe one (docs/emulator.md, "Not known").
 */
import oracledb, { type Connection } from "oracledb";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { type AqMessage, type AqQueue, codeOf, openQueue, texts } from "./aq.ts";
import type { ContractQueue, ContractTarget } from "./contract-target.ts";

/** Seconds a dequeue waits when something has to arrive: a deadline, not a delay. */
const LONG_WAIT = 20;

export function describeContract(name: string, openTarget: () => Promise<ContractTarget>): void {
  describe(name, { timeout: 120_000 }, () => {
    let target: ContractTarget;
    const connections: Connection[] = [];

    beforeAll(async () => {
      target = await openTarget();
    }, 120_000);
    afterEach(async () => {
      await Promise.all(connections.splice(0).map((one) => one.close().catch(() => {})));
    });
    afterAll(() => target?.close());

    const connect = async (port = target.port): Promise<Connection> => {
      const connection = await oracledb.getConnection({
        user: target.user,
        password: target.password,
        connectString: `${port === target.port ? target.host : "127.0.0.1"}:${port}/${target.serviceName}`,
      });
      connections.push(connection);
      return connection;
    };

    /** Sends texts in one transaction of its own. */
    const send = async (queue: ContractQueue, ...payloads: string[]) => {
      const connection = await connect();
      const to = await openQueue(connection, queue.name);
      await to.enqMany(payloads.map((payload) => ({ payload })));
      await connection.commit();
      return connection;
    };

    const receiver = async (queue: ContractQueue | string, wait = 0) => {
      const connection = await connect();
      const from = await openQueue(connection, typeof queue === "string" ? queue : queue.name, {
        wait,
      });
      return { connection, from };
    };

    /** Dequeues until `count` messages have come: a wake-up may bring fewer at once. */
    const take = async (from: AqQueue, count: number): Promise<AqMessage[]> => {
      const messages: AqMessage[] = [];
      while (messages.length < count) {
        const some = await from.deqMany(count - messages.length);
        if (some.length === 0) break;
        messages.push(...some);
      }
      return messages;
    };

    const expectBack = async (queue: ContractQueue | string, text: string) => {
      const { from } = await receiver(queue, LONG_WAIT);
      expect(String((await from.deqOne())?.payload)).toBe(text);
    };

    /** Runs with a session that has dequeued the only message, "m1", over a line that can be cut. */
    const overLine = async (
      run: (line: TcpProxy, queue: ContractQueue, connection: Connection) => Promise<void>,
    ) => {
      const queue = await target.createQueue();
      await send(queue, "m1");
      const line = await TcpProxy.to(target.port, target.host);
      try {
        const connection = await connect(line.port);
        expect(await (await openQueue(connection, queue.name)).deqOne()).toBeDefined();
        await run(line, queue, connection);
      } finally {
        await line.close();
      }
    };

    describe("connections", () => {
      it("answer ping, and tell a wrong password from an unknown service", async () => {
        const connection = await connect();
        await connection.ping();
        const { user, host, port } = target;
        const at = (service: string) => {
          const connectString = `${host}:${port}/${service}`;
          return oracledb.getConnection({ user, password: "wrong", connectString });
        };
        expect(await codeOf(at(target.serviceName))).toBe("ORA-01017");
        expect(await codeOf(at("RTM_NO_SUCH_SERVICE"))).toBe("NJS-518");
      });
    });

    describe("subscribers of a multi-consumer queue", () => {
      it("each get every message under one id and settle it alone", async () => {
        const queue = await target.createQueue({ subscribers: ["BILLING", "AUDIT"] });
        await send(queue, "m1", "m2");
        const as = async (consumer: string) => {
          const { connection, from } = await receiver(queue, LONG_WAIT);
          from.deqOptions.consumerName = consumer;
          return { connection, from, messages: await take(from, 2) };
        };
        const [billing, audit] = [await as("BILLING"), await as("audit")];
        expect(texts(billing.messages)).toEqual(["m1", "m2"]);
        expect(texts(audit.messages)).toEqual(["m1", "m2"]);
        expect(audit.messages.map(({ msgId }) => msgId)).toEqual(
          billing.messages.map(({ msgId }) => msgId),
        );
        await billing.connection.commit();
        await audit.connection.rollback();
        expect(texts(await take(audit.from, 2))).toEqual(["m1", "m2"]);
        billing.from.deqOptions.wait = 0;
        expect(await billing.from.deqMany(2)).toEqual([]);
      });

      it("must be named", async () => {
        const queue = await target.createQueue({ subscribers: ["BILLING"] });
        const { from } = await receiver(queue);
        expect(await codeOf(from.deqOne())).toBe("ORA-25231");
      });
    });

    describe("visibility", () => {
      it("nothing is seen before the commit, everything after it", async () => {
        const queue = await target.createQueue();
        const sender = await connect();
        const to = await openQueue(sender, queue.name);
        await to.enqOne("m1");
        await to.enqMany(["m2", "m3"]);
        expect(sender.transactionInProgress).toBe(true);
        const { from } = await receiver(queue);
        expect(await from.deqMany(10)).toEqual([]);
        expect(await from.deqOne()).toBeUndefined();
        await sender.commit();
        expect(sender.transactionInProgress).toBe(false);
        expect(texts(await take(from, 3))).toEqual(["m1", "m2", "m3"]);
      });

      it("what is rolled back is never seen", async () => {
        const queue = await target.createQueue();
        const sender = await connect();
        const to = await openQueue(sender, queue.name);
        await to.enqMany(["no1", "no2"]);
        await sender.rollback();
        await to.enqOne("yes");
        await sender.commit();
        const { from } = await receiver(queue, 1);
        expect(texts(await take(from, 2))).toEqual(["yes"]);
      });

      it("what is dequeued is hidden from others, and gone after the commit", async () => {
        const queue = await target.createQueue();
        await send(queue, "m1", "m2");
        const [a, b] = [await receiver(queue), await receiver(queue)];
        expect(texts([(await a.from.deqOne())!])).toEqual(["m1"]);
        expect(texts([(await b.from.deqOne())!])).toEqual(["m2"]);
        expect(await b.from.deqOne()).toBeUndefined();
        await a.connection.commit();
        await b.connection.commit();
        expect(await queue.depth()).toBe(0);
      });

      it("a rollback to a savepoint takes back what came after it, and only that", async () => {
        const queue = await target.createQueue();
        await send(queue, "m1", "m2");
        const { connection, from } = await receiver(queue);
        await from.deqOne();
        await connection.execute("savepoint rtm_s1");
        await from.enqOne("m3");
        await from.deqOne();
        await connection.execute("rollback to rtm_s1");
        await connection.commit();
        const rest = await receiver(queue, 1);
        expect(texts(await take(rest.from, 5))).toEqual(["m2"]);
      });
    });

    describe("batches", () => {
      it("bring at most what was asked for, in order, with ids and payloads unchanged", async () => {
        const queue = await target.createQueue();
        const sender = await connect();
        const to = await openQueue(sender, queue.name);
        const sent = await to.enqMany(Array.from({ length: 24 }, (_, i) => ({ payload: `m${i}` })));
        const bytes = Buffer.from(Array.from({ length: 32_767 }, (_, i) => i % 256));
        const last = await to.enqOne({ payload: bytes, correlation: "c1" });
        await sender.commit();
        const { connection, from } = await receiver(queue);
        const messages: AqMessage[] = [];
        for (const size of [10, 10, 5, 0]) {
          const batch = await from.deqMany(10);
          expect(batch).toHaveLength(size);
          messages.push(...batch);
          await connection.commit();
        }
        const ids = [...sent, last].map((message) => message.msgId.toString("hex"));
        expect(new Set(ids).size).toBe(25);
        expect(messages.map((message) => message.msgId.toString("hex"))).toEqual(ids);
        expect(messages[24]).toMatchObject({ correlation: "c1", numAttempts: 0 });
        expect(messages[24]!.payload).toEqual(bytes);
      });

      it("keep the order of each session, whoever commits first", async () => {
        const queue = await target.createQueue();
        const [a, b] = [await connect(), await connect()];
        const [toA, toB] = [await openQueue(a, queue.name), await openQueue(b, queue.name)];
        for (let i = 0; i < 10; i++) {
          await toA.enqOne(`a${i}`);
          await toB.enqOne(`b${i}`);
        }
        await b.commit();
        await a.commit();
        const { from } = await receiver(queue);
        const all = texts(await take(from, 20));
        for (const session of ["a", "b"]) {
          const own = all.filter((text) => text.startsWith(session));
          expect(own).toEqual(Array.from({ length: 10 }, (_, i) => `${session}${i}`));
        }
      });

      it("NEXT_MESSAGE drains the queue in order too", async () => {
        const queue = await target.createQueue();
        await send(queue, "m1", "m2", "m3");
        const { connection, from } = await receiver(queue);
        from.deqOptions.navigation = oracledb.AQ_DEQ_NAV_NEXT_MSG;
        const seen: AqMessage[] = [];
        for (;;) {
          const message = await from.deqOne();
          if (!message) break;
          seen.push(message);
          await connection.commit();
        }
        expect(texts(seen)).toEqual(["m1", "m2", "m3"]);
      });

      it("competing sessions get each message exactly once", async () => {
        const queue = await target.createQueue();
        const payloads = Array.from({ length: 200 }, (_, i) => `m${i}`);
        await send(queue, ...payloads);
        const drain = async () => {
          const { connection, from } = await receiver(queue, 1);
          const seen: string[] = [];
          for (;;) {
            const batch = await from.deqMany(7);
            if (batch.length === 0) return seen;
            seen.push(...texts(batch));
            await connection.commit();
          }
        };
        const seen = (await Promise.all([drain(), drain(), drain()])).flat();
        expect(seen.sort()).toEqual(payloads.sort());
        expect(await queue.depth()).toBe(0);
      });

      it("carry JSON", async (context) => {
        if (!target.hasJsonQueues) context.skip("JSON queues need 21c");
        const queue = await target.createQueue({ json: true });
        const sender = await connect();
        const to = await openQueue(sender, queue.name, { json: true });
        const documents = [{ a: 1, b: ["x", null, true] }, { payload: '{"id":9007199254740993}' }];
        await to.enqOne({ payload: documents[0] });
        await to.enqOne({ payload: documents[1] });
        await sender.commit();
        const reader = await connect();
        const from = await openQueue(reader, queue.name, { json: true });
        const messages = await take(from, 2);
        expect(messages.map((message) => message.payload)).toEqual(documents);
      });
    });

    describe("rollback of a dequeue", () => {
      it("brings the messages back in order, with one more attempt", async () => {
        const queue = await target.createQueue();
        await send(queue, "m1", "m2", "m3");
        const { connection, from } = await receiver(queue);
        expect(await take(from, 2)).toHaveLength(2);
        await connection.rollback();
        const again = await take(from, 3);
        expect(texts(again)).toEqual(["m1", "m2", "m3"]);
        expect(again.map((message) => message.numAttempts)).toEqual([1, 1, 0]);
      });

      it("too often sends a message to the exception queue, from which it can be dequeued", async () => {
        const queue = await target.createQueue({ maxRetries: 1 });
        await send(queue, "bad");
        const { connection, from } = await receiver(queue);
        for (const attempts of [0, 1]) {
          expect((await from.deqOne())?.numAttempts).toBe(attempts);
          await connection.rollback();
        }
        expect(await from.deqOne()).toBeUndefined();
        await expectBack(queue.exceptionQueue, "bad");
      });

      it("happens when a connection with an open dequeue is closed", async () => {
        const queue = await target.createQueue();
        await send(queue, "m1");
        const first = await receiver(queue);
        expect(await first.from.deqOne()).toBeDefined();
        await first.connection.close();
        await expectBack(queue, "m1");
      });
    });

    describe("expiration", () => {
      it("takes a message out of the queue and into the exception queue", async () => {
        const queue = await target.createQueue();
        const { connection, from } = await receiver(queue);
        await from.enqOne({ payload: "old", expiration: 1 });
        await connection.commit();
        const nothing = await receiver(await target.createQueue(), 2);
        await nothing.from.deqOne();
        expect(await from.deqOne()).toBeUndefined();
        // Oracle's queue monitor moves it in its own time.
        const exceptions = await receiver(queue.exceptionQueue, 60);
        expect(String((await exceptions.from.deqOne())?.payload)).toBe("old");
      });
    });

    describe("waiting", () => {
      it("is ended by a commit", async () => {
        const queue = await target.createQueue();
        const { from } = await receiver(queue, LONG_WAIT);
        const waiting = take(from, 3);
        await send(queue, "m1", "m2", "m3");
        expect(texts(await waiting)).toEqual(["m1", "m2", "m3"]);
      });

      it("is not ended by a rollback; after its time there is nothing, and no error", async () => {
        const queue = await target.createQueue();
        const { from } = await receiver(queue, 2);
        const waiting = from.deqMany(10);
        const sender = await connect();
        await (await openQueue(sender, queue.name)).enqOne("never");
        await sender.rollback();
        expect(await waiting).toEqual([]);
        from.deqOptions.wait = 1;
        expect(await from.deqOne()).toBeUndefined();
      });

      it("is ended by break, and the connection stays usable", async () => {
        const queue = await target.createQueue();
        const { connection, from } = await receiver(queue, LONG_WAIT * 3);
        const outcome = from.deqMany(10).then(
          (messages) => messages.length,
          (error: { code: string }) => error.code,
        );
        await connection.break();
        // A database that ends the wait without an error is as good.
        expect(["ORA-01013", 0]).toContain(await outcome);
        await connection.rollback();
        await send(queue, "m1");
        from.deqOptions.wait = LONG_WAIT;
        expect(texts(await take(from, 1))).toEqual(["m1"]);
      });

      it("is ended by callTimeout, and the connection stays usable", async () => {
        const queue = await target.createQueue();
        const { connection, from } = await receiver(queue, LONG_WAIT * 3);
        connection.callTimeout = 500;
        expect(await codeOf(from.deqMany(10))).toBe("NJS-123");
        connection.callTimeout = 0;
        await connection.rollback();
        await connection.ping();
      });
    });

    describe("queues", () => {
      it("that do not exist or are stopped have their errors", async () => {
        const missing = await receiver(`${target.user}.RTM_NO_SUCH_QUEUE`);
        expect(["ORA-24010", "ORA-25205"]).toContain(await codeOf(missing.from.deqOne()));
        const queue = await target.createQueue();
        const { from } = await receiver(queue);
        await queue.stop();
        expect(await codeOf(from.deqOne())).toBe("ORA-25226");
        expect(await codeOf(from.enqOne("m1"))).toBe("ORA-25207");
      });
    });

    describe("an undecodable message", () => {
      it("fails the batch; an explicit rollback gets every message back", async () => {
        const queue = await target.createQueue();
        await send(queue, "good");
        await queue.enqueueUndecodable("bad");
        const { connection, from } = await receiver(queue);
        expect(await codeOf(from.deqMany(10))).toMatch(/^NJS-/);
        await connection.rollback();
        expect(await queue.depth()).toBe(2);
        expect(String((await from.deqOne())?.payload)).toBe("good");
        await connection.commit();
        expect(await codeOf(from.deqOne())).toMatch(/^NJS-/);
        await connection.rollback();
        expect(await queue.depth()).toBe(1);
      });
    });

    describe("a lost session", () => {
      it("killed with a dequeue open: the messages come back", async (context) => {
        if (!target.prepareKill) context.skip("the test user may not kill sessions");
        const queue = await target.createQueue();
        await send(queue, "m1", "m2");
        const { connection, from } = await receiver(queue);
        expect(await take(from, 2)).toHaveLength(2);
        await (await target.prepareKill!(connection))();
        const other = await receiver(queue, LONG_WAIT);
        const messages = await take(other.from, 2);
        expect(texts(messages)).toEqual(["m1", "m2"]);
        // Whether this counts as an attempt is a switch of the emulator: sources disagree.
        for (const message of messages) expect([0, 1]).toContain(message.numAttempts);
        expect(await codeOf(connection.ping())).toBe("NJS-500");
      });

      it("killed while it waits: the call fails at once", async (context) => {
        if (!target.prepareKill) context.skip("the test user may not kill sessions");
        const queue = await target.createQueue();
        const { connection, from } = await receiver(queue, LONG_WAIT * 3);
        const kill = await target.prepareKill!(connection);
        const waiting = codeOf(from.deqMany(10));
        await kill();
        expect(await waiting).toBe("NJS-500");
      });

      it("by a broken line with a dequeue open: the messages come back", () =>
        overLine(async (line, queue) => {
          line.cut();
          await expectBack(queue, "m1");
        }));

      it("commit-in-doubt: the commit never arrived, the message comes again", () =>
        overLine(async (line, queue, connection) => {
          line.blockRequests();
          const commit = codeOf(connection.commit());
          line.cut();
          expect(await commit).toBe("NJS-500");
          await expectBack(queue, "m1");
        }));

      it("commit-in-doubt: the commit stands, only its answer was lost", () =>
        overLine(async (line, queue, connection) => {
          const answered = line.blockAnswers();
          const commit = codeOf(connection.commit());
          await answered;
          line.cut();
          expect(await commit).toBe("NJS-500");
          expect(await queue.depth()).toBe(0);
        }));
    });
  });
}
