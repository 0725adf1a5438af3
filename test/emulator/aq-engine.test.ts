import { describe, expect, it } from "vitest";
import { AqEngine } from "../../emulator/aq/engine.ts";
import type { MessageProperties } from "../../emulator/aq/message.ts";
import {
  type AqOwner,
  type DequeueOptions,
  MODE,
  NAVIGATION,
  newOwner,
  WAIT_FOREVER,
} from "../../emulator/aq/options.ts";
import type { QueueDefinition } from "../../emulator/aq/queue.ts";
import { ManualClock } from "../../emulator/clock.ts";
import { ora } from "../../emulator/errors.ts";

const Q = "RTM.Q";
const E = "RTM.AQ$_QT_E";

function setUp(definition: Partial<QueueDefinition> = {}, lostSessionCountsAttempt = false) {
  const clock = new ManualClock();
  const engine = new AqEngine({ clock, lostSessionCountsAttempt });
  engine.createQueue({ name: Q, table: "QT", payload: "RAW", ...definition });
  engine.start(engine.queue(E));
  const put = (owner: AqOwner, ...names: string[]) => {
    for (const name of names) putWith(owner, name, {});
  };
  const putWith = (owner: AqOwner, name: string, properties: MessageProperties) =>
    engine.enqueue(owner, Q, [{ payload: Buffer.from(name), kind: "RAW", properties }])[0]!;
  const committed = (...names: string[]) => {
    const owner = newOwner();
    put(owner, ...names);
    engine.commit(owner);
  };
  const take = async (owner: AqOwner, options: DequeueOptions = {}, queue = Q) =>
    (await engine.dequeue(owner, queue, "RAW", { max: 100, ...options })).map(String_);
  const list = (queue = Q) => engine.messages(engine.queue(queue)).map(String_);
  return { clock, engine, put, putWith, committed, take, list };
}

function String_(message: { payload: Buffer }): string {
  return message.payload.toString();
}

describe("visibility", () => {
  it("hides an enqueue from others until it is committed, but not from its own transaction", async () => {
    const { engine, put, take } = setUp();
    const [a, b] = [newOwner(), newOwner()];
    put(a, "m1");
    expect(await take(b)).toEqual([]);
    expect(await take(a, { mode: MODE.browse })).toEqual(["m1"]);
    engine.commit(a);
    expect(await take(b)).toEqual(["m1"]);
  });

  it("forgets an enqueue that is rolled back", async () => {
    const { engine, put, take, list } = setUp();
    const owner = newOwner();
    put(owner, "m1");
    engine.rollback(owner);
    expect(list()).toEqual([]);
    expect(await take(newOwner())).toEqual([]);
  });

  it("hides a dequeued message from others, and they take the next", async () => {
    const { engine, committed, take, list } = setUp();
    committed("m1", "m2");
    const [a, b] = [newOwner(), newOwner()];
    expect(await take(a, { max: 1 })).toEqual(["m1"]);
    expect(await take(b)).toEqual(["m2"]);
    engine.commit(a);
    engine.commit(b);
    expect(list()).toEqual([]);
  });

  it("shows visibility IMMEDIATE at once, whatever becomes of the transaction", async () => {
    const { engine, take } = setUp();
    engine.enqueueImmediately(Q, [{ payload: Buffer.from("m1"), kind: "RAW" }]);
    const owner = newOwner();
    expect(await take(owner, { immediate: true })).toEqual(["m1"]);
    expect(owner.transaction.active).toBe(false);
    engine.rollback(owner);
    expect(await take(newOwner())).toEqual([]);
  });

  it("locks in mode LOCKED without removing, and REMOVE by the same session takes it", async () => {
    const { engine, committed, take } = setUp();
    committed("m1");
    const [a, b] = [newOwner(), newOwner()];
    expect(await take(a, { mode: MODE.locked })).toEqual(["m1"]);
    expect(await take(b)).toEqual([]);
    engine.commit(a);
    expect(await take(b, { mode: MODE.locked })).toEqual(["m1"]);
    expect(await take(b)).toEqual(["m1"]);
    engine.commit(b);
    expect(await take(a)).toEqual([]);
  });

  it("removes without data in mode REMOVE_NODATA", async () => {
    const { engine, committed, take, list } = setUp();
    committed("m1");
    const owner = newOwner();
    expect(await take(owner, { mode: MODE.removeNoData })).toEqual([""]);
    engine.commit(owner);
    expect(list()).toEqual([]);
  });
});

describe("order", () => {
  it("is the order of the enqueue calls, not of the commits", async () => {
    const { engine, put, take } = setUp();
    const [t1, t2] = [newOwner(), newOwner()];
    put(t1, "e1");
    put(t2, "e2");
    put(t1, "e3");
    engine.commit(t2);
    expect(await take(newOwner(), { mode: MODE.browse })).toEqual(["e2"]);
    engine.commit(t1);
    expect(await take(newOwner())).toEqual(["e1", "e2", "e3"]);
  });

  it("ends a browse with NEXT_MESSAGE behind the last message, instead of at the first again", async () => {
    const { committed, take } = setUp();
    committed("m1", "m2");
    const owner = newOwner();
    const next = (navigation: number) => take(owner, { max: 1, mode: MODE.browse, navigation });
    expect(await next(NAVIGATION.first)).toEqual(["m1"]);
    expect(await next(NAVIGATION.next)).toEqual(["m2"]);
    expect(await next(NAVIGATION.next)).toEqual([]);
    committed("m3");
    expect(await next(NAVIGATION.next)).toEqual(["m3"]);
    expect(await next(NAVIGATION.next)).toEqual([]);
  });

  it("follows the clock when that is set back: enqueue time first, then the step", async () => {
    const { clock, engine, committed, take } = setUp();
    committed("gone", "late");
    const owner = newOwner();
    await take(owner, { max: 1 });
    engine.commit(owner);
    clock.advance(-5000);
    committed("early1", "early2");
    expect(await take(newOwner())).toEqual(["early1", "early2", "late"]);
  });

  it("NEXT_MESSAGE goes on in its snapshot and sees an older late-comer only in the next one", async () => {
    const { engine, put, committed, take } = setUp();
    const late = newOwner();
    put(late, "old");
    committed("a", "b");
    const reader = newOwner();
    const next = { navigation: NAVIGATION.next, max: 1 };
    expect(await take(reader, next)).toEqual(["a"]);
    engine.commit(late);
    committed("new");
    expect(await take(reader, next)).toEqual(["b"]);
    expect(await take(reader, next)).toEqual(["old"]);
    expect(await take(reader, next)).toEqual(["new"]);
    expect(await take(reader, next)).toEqual([]);
  });

  it("FIRST_MESSAGE takes a new snapshot at each call", async () => {
    const { engine, put, committed, take } = setUp();
    const late = newOwner();
    put(late, "old");
    committed("a", "b");
    const reader = newOwner();
    expect(await take(reader, { max: 1 })).toEqual(["a"]);
    engine.commit(late);
    expect(await take(reader, { max: 1 })).toEqual(["old"]);
  });

  it("stays right over many removals and returns", async () => {
    const { engine, committed, take } = setUp();
    const names = Array.from({ length: 500 }, (_, i) => `m${i}`);
    committed(...names);
    const seen: string[] = [];
    for (;;) {
      const owner = newOwner();
      const batch = await take(owner, { max: 7 });
      if (batch.length === 0) break;
      const other = newOwner();
      await take(other, { max: 3 });
      engine.rollback(other, "lost");
      engine.commit(owner);
      seen.push(...batch);
    }
    expect(seen).toEqual(names);
  });
});

describe("selection", () => {
  it("by correlation, with % and _", async () => {
    const { engine, putWith, take } = setUp();
    const owner = newOwner();
    putWith(owner, "m1", { correlation: "order-1" });
    putWith(owner, "m2", { correlation: "invoice-1" });
    putWith(owner, "m3", { correlation: "order-2" });
    engine.commit(owner);
    expect(await take(newOwner(), { correlation: "order-_", mode: MODE.browse })).toEqual([
      "m1",
      "m3",
    ]);
    expect(await take(newOwner(), { correlation: "inv%" })).toEqual(["m2"]);
    expect(await take(newOwner(), { correlation: "a.c" })).toEqual([]);
  });

  it("by message id, and ORA-25263 when there is none", async () => {
    const { engine, putWith, take } = setUp();
    const owner = newOwner();
    putWith(owner, "m1", {});
    const id = putWith(owner, "m2", {});
    await expect(take(newOwner(), { messageId: id })).rejects.toMatchObject({ number: 25263 });
    engine.commit(owner);
    const reader = newOwner();
    expect(await take(reader, { messageId: id })).toEqual(["m2"]);
    await expect(take(newOwner(), { messageId: id })).rejects.toMatchObject({ number: 25263 });
    engine.commit(reader);
    await expect(take(reader, { messageId: id })).rejects.toMatchObject({ number: 25263 });
  });
});

describe("attempts and the exception queue", () => {
  it("a rollback raises the attempts; above max_retries the message is exiled", async () => {
    const { engine, committed, list, take } = setUp({ maxRetries: 2 });
    committed("bad", "good");
    const owner = newOwner();
    for (const attempts of [0, 1, 2]) {
      const [message] = await engine.dequeue(owner, Q, "RAW");
      expect(message).toMatchObject({ attempts });
      expect(String_(message!)).toBe("bad");
      engine.rollback(owner);
    }
    expect(list()).toEqual(["good"]);
    const [exiled] = await engine.dequeue(owner, E, "RAW");
    expect(exiled).toMatchObject({ attempts: 3, state: 3 });
    engine.rollback(owner);
    expect(list(E)).toEqual(["bad"]);
    expect(await take(owner, {}, E)).toEqual(["bad"]);
    engine.commit(owner);
    expect(list(E)).toEqual([]);
  });

  it.each([
    [false, 0],
    [true, 1],
  ])("a lost session raises them only by the switch (%s)", async (counts, attempts) => {
    const { engine, committed } = setUp({}, counts);
    committed("m1");
    const owner = newOwner();
    await engine.dequeue(owner, Q, "RAW");
    engine.rollback(owner, "lost");
    expect(engine.messages(engine.queue(Q))).toMatchObject([{ attempts, status: "ready" }]);
  });

  it("a rollback to a savepoint does not raise them", async () => {
    const { engine, committed, take } = setUp();
    committed("m1", "m2");
    const owner = newOwner();
    await take(owner, { max: 1 });
    owner.transaction.savepoint("S");
    await take(owner, { max: 1 });
    owner.transaction.rollbackTo("S");
    engine.wake();
    expect(engine.messages(engine.queue(Q))).toMatchObject([
      { status: "locked" },
      { status: "ready", attempts: 0 },
    ]);
  });

  it("retry_delay keeps a rolled-back message away", async () => {
    const { clock, engine, committed, take } = setUp({ retryDelay: 30 });
    committed("m1");
    const owner = newOwner();
    await take(owner);
    engine.rollback(owner);
    expect(await take(owner)).toEqual([]);
    const waiting = take(owner, { wait: 60 });
    clock.advance(30_000);
    expect(await waiting).toEqual(["m1"]);
  });

  it("a message's own exception queue wins", async () => {
    const { engine, putWith, list } = setUp({ maxRetries: 0 });
    engine.createQueue({ name: "RTM.OTHER", table: "OT", payload: "RAW" });
    const owner = newOwner();
    putWith(owner, "m1", { exceptionQueue: "RTM.AQ$_OT_E" });
    engine.commit(owner);
    await engine.dequeue(owner, Q, "RAW");
    engine.rollback(owner);
    expect(list("RTM.AQ$_OT_E")).toEqual(["m1"]);
  });
});

describe("time", () => {
  it("delay holds a message back, and it wakes who waits for it", async () => {
    const { clock, engine, putWith, take } = setUp();
    const owner = newOwner();
    putWith(owner, "later", { delay: 10 });
    engine.commit(owner);
    expect(await take(owner)).toEqual([]);
    const waiting = take(newOwner(), { wait: WAIT_FOREVER });
    clock.advance(10_000);
    expect(await waiting).toEqual(["later"]);
  });

  it("an expired message goes to the exception queue, without anybody looking", async () => {
    const { clock, engine, putWith, list, take } = setUp();
    const owner = newOwner();
    putWith(owner, "m1", { expiration: 60 });
    putWith(owner, "m2", {});
    engine.commit(owner);
    const waiting = take(newOwner(), { wait: 100 }, E);
    clock.advance(60_000);
    expect(await waiting).toEqual(["m1"]);
    expect(list()).toEqual(["m2"]);
  });

  it("a message that is locked when it expires is exiled when it comes back", async () => {
    const { clock, engine, putWith, list, take } = setUp();
    const owner = newOwner();
    putWith(owner, "m1", { expiration: 60 });
    engine.commit(owner);
    await take(owner);
    clock.advance(61_000);
    expect(list(E)).toEqual([]);
    engine.rollback(owner);
    expect(list()).toEqual([]);
    expect(list(E)).toEqual(["m1"]);
  });
});

describe("waiting", () => {
  it("ends empty after its time and leaves no waiter", async () => {
    const { clock, engine, take } = setUp();
    const waiting = take(newOwner(), { wait: 5 });
    expect(engine.queue(Q).waiters.size).toBe(1);
    clock.advance(5000);
    expect(await waiting).toEqual([]);
    expect(engine.queue(Q).waiters.size).toBe(0);
  });

  it("gets the whole committed transaction, and competing waiters get each message once", async () => {
    const { engine, put, take } = setUp();
    const first = take(newOwner(), { wait: 5, max: 2 });
    const second = take(newOwner(), { wait: 5, max: 2 });
    const owner = newOwner();
    put(owner, "a", "b", "c");
    expect(engine.queue(Q).waiters.size).toBe(2);
    engine.commit(owner);
    expect(await first).toEqual(["a", "b"]);
    expect(await second).toEqual(["c"]);
  });

  it("is cancelled by its signal", async () => {
    const { engine, take } = setUp();
    const controller = new AbortController();
    const waiting = take(newOwner(), { wait: 5, signal: controller.signal });
    controller.abort(ora.cancelled());
    await expect(waiting).rejects.toMatchObject({ number: 1013 });
    expect(engine.queue(Q).waiters.size).toBe(0);
  });

  it("is woken by the rollback of another dequeuer", async () => {
    const { engine, committed, take } = setUp();
    committed("m1");
    const other = newOwner();
    await take(other);
    const waiting = take(newOwner(), { wait: 5 });
    engine.rollback(other, "lost");
    expect(await waiting).toEqual(["m1"]);
  });
});

describe("subscribers", () => {
  it("each get a copy under the same id, and settle it alone", async () => {
    const { engine, put, list } = setUp({ subscribers: ["ONE", "two"] });
    const [writer, one, two] = [newOwner(), newOwner(), newOwner()];
    put(writer, "m1");
    engine.commit(writer);
    const take = (owner: AqOwner, consumer: string) =>
      engine.dequeue(owner, Q, "RAW", { max: 100, consumer });
    const [first] = await take(one, "one");
    const [second] = await take(two, "TWO");
    expect(first!.id).toEqual(second!.id);
    engine.commit(one);
    engine.rollback(two);
    expect([list(`${Q}:ONE`), list(`${Q}:TWO`)]).toEqual([[], ["m1"]]);
    expect(await take(one, "one")).toEqual([]);
  });

  it("must be named, and one that waits is ended when the queue is stopped", async () => {
    const { engine } = setUp({ subscribers: ["ONE"] });
    await expect(engine.dequeue(newOwner(), Q, "RAW", {})).rejects.toThrow("ORA-25231");
    await expect(engine.dequeue(newOwner(), Q, "RAW", { consumer: "X" })).rejects.toThrow(
      "ORA-03001",
    );
    const waiting = engine.dequeue(newOwner(), Q, "RAW", { consumer: "ONE", wait: WAIT_FOREVER });
    const ended = expect(waiting).rejects.toThrow("ORA-25226");
    engine.stop(engine.queue(Q));
    await ended;
  });
});

describe("queues", () => {
  it("that do not exist are ORA-24010, and twice the same is ORA-24006", async () => {
    const { engine, take } = setUp();
    await expect(take(newOwner(), {}, "RTM.NONE")).rejects.toMatchObject({ number: 24010 });
    expect(() => engine.createQueue({ name: Q, table: "QT", payload: "RAW" })).toThrow("ORA-24006");
  });

  it("that are stopped are ORA-25226 and ORA-25207, also for who waits already", async () => {
    const { engine, put, take } = setUp();
    const waiting = take(newOwner(), { wait: 5 });
    engine.stop(engine.queue(Q));
    await expect(waiting).rejects.toMatchObject({ number: 25226 });
    await expect(take(newOwner())).rejects.toMatchObject({ number: 25226 });
    expect(() => put(newOwner(), "m")).toThrow("ORA-25207");
    engine.start(engine.queue(Q), { dequeue: true, enqueue: false });
    expect(await take(newOwner())).toEqual([]);
    expect(() => put(newOwner(), "m")).toThrow("ORA-25207");
  });

  it("an exception queue takes no enqueue (ORA-25207, ORA-24017)", () => {
    const { engine } = setUp();
    const message = { payload: Buffer.from("m"), kind: "RAW" } as const;
    expect(() => engine.enqueue(newOwner(), E, [message])).toThrow("ORA-25207");
    expect(() => engine.start(engine.queue(E), { enqueue: true })).toThrow("ORA-24017");
  });

  it("refuse the wrong payload type (ORA-25215)", async () => {
    const { engine } = setUp();
    await expect(engine.dequeue(newOwner(), Q, "JSON")).rejects.toMatchObject({ number: 25215 });
    const message = { payload: Buffer.from("m"), kind: "JSON" } as const;
    expect(() => engine.enqueue(newOwner(), Q, [message])).toThrow("ORA-25215");
  });

  it("refuse an array as a whole", () => {
    const { engine, list } = setUp();
    const owner = newOwner();
    const good = { payload: Buffer.from("m"), kind: "RAW" } as const;
    expect(() => engine.enqueue(owner, Q, [good, { ...good, kind: "JSON" }])).toThrow("ORA-25215");
    expect(list()).toEqual([]);
  });
});

describe("savepoints", () => {
  it("undo enqueues and dequeues after them, in any order", async () => {
    const { engine, put, committed, take, list } = setUp();
    committed("m1", "m2");
    const owner = newOwner();
    await take(owner, { max: 1 });
    owner.transaction.savepoint("A");
    put(owner, "x");
    owner.transaction.savepoint("B");
    await take(owner, { max: 2 });
    owner.transaction.rollbackTo("A");
    expect(() => owner.transaction.rollbackTo("B")).toThrow("ORA-01086");
    put(owner, "y");
    engine.commit(owner);
    expect(list()).toEqual(["m2", "y"]);
    expect(() => owner.transaction.rollbackTo("A")).toThrow("ORA-01086");
  });

  it("of the same name move", () => {
    const { engine, put, list } = setUp();
    const owner = newOwner();
    put(owner, "m1");
    owner.transaction.savepoint("S");
    put(owner, "m2");
    owner.transaction.savepoint("S");
    put(owner, "m3");
    owner.transaction.rollbackTo("S");
    engine.commit(owner);
    expect(list()).toEqual(["m1", "m2"]);
  });

  it("carry other data along: undone in reverse, committed in order", () => {
    const owner = newOwner();
    const log: string[] = [];
    const add = (name: string) =>
      owner.transaction.add({
        undo: (cause) => void log.push(`undo ${name} ${cause}`),
        commit: () => void log.push(`commit ${name}`),
      });
    add("1");
    owner.transaction.savepoint("S");
    add("2");
    add("3");
    owner.transaction.rollbackTo("S");
    add("4");
    owner.transaction.commit();
    add("5");
    owner.transaction.rollback();
    expect(log).toEqual([
      "undo 3 savepoint",
      "undo 2 savepoint",
      "commit 1",
      "commit 4",
      "undo 5 rollback",
    ]);
  });
});
