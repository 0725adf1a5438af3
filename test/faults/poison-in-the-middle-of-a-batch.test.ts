/** One message that can never be delivered, between messages that can. */
import { mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OraError, PlSqlDequeue } from "../../emulator/index.ts";
import { POISON_CODES, type PoisonCode } from "../../worker/decode.ts";
import { until } from "../support/until.ts";
import { World } from "../worker/support.ts";

const HEADER = { v: 1, channel: "sales", eventName: "order", ts: Date.UTC(2026, 0, 1) };
const ours = (payload: string, header: object = {}) =>
  `${JSON.stringify({ ...HEADER, ...header })}\n${payload}`;

/** Everything that can be wrong with a message, and what the worker calls it. */
const BAD: Readonly<Record<Exclude<PoisonCode, "too_large" | "rejected">, string | Buffer>> = {
  not_utf8: Buffer.from([0x7b, 0xff, 0xfe, 0x0a, 0x31]),
  bad_header: "no header at all",
  unsupported_version: ours("1", { v: 2 }),
  bad_name: ours("1", { channel: "sales*" }),
  not_json: ours("{n: 1}"),
  claim_missing: ours("", { claim: "ab".repeat(16) }),
  claim_unreadable: ours("", { claim: "cd".repeat(16) }),
};

let world: World;
let stateDirectory: string;
afterEach(async () => {
  await world[Symbol.asyncDispose]();
  await rm(stateDirectory, { recursive: true });
});
const open = async (...[emulator, schema]: Parameters<typeof World.start>) => {
  stateDirectory = await mkdtemp(join(tmpdir(), "rtm-test-"));
  world = await World.start(emulator, schema, stateDirectory);
};

/** Good messages 1 and 2, `bad`, then 3 and 4, all visible at once. */
function surround(bad: () => void): void {
  const good = (n: number) => world.queue.enqueue(ours(JSON.stringify({ n })));
  good(1);
  good(2);
  bad();
  good(3);
  good(4);
}

describe("a message that is not what it should be", () => {
  // Oracle's default: the sixth rollback would exile a message.
  beforeEach(() => open({}, { maxRetries: 5 }));

  const unreadableClaims = () =>
    world.emulator.onStatement("rtm_worker_api.claim(", ({ binds }) => {
      if (String(binds.CLAIM).startsWith("cd")) throw new OraError(1578, "data block corrupted");
      throw new OraError(20121, "no claim check");
    });

  it.each(Object.entries(BAD))("is set aside with its payload: %s", async (code, bad) => {
    unreadableClaims();
    surround(() => void world.queue.enqueue(bad));
    const worker = world.startWorker();
    await world.delivered(1, 4);
    expect([...world.numbers()]).toEqual([1, 2, 3, 4]);
    expect(world.schema.log).toMatchObject([
      { status: "REJECTED", reason: expect.stringMatching(`^${code}: `) },
    ]);
    if (typeof bad === "string" && !code.startsWith("claim")) {
      expect(world.schema.log[0]!.payload).toBe(bad);
    }
    if (Buffer.isBuffer(bad)) {
      expect(world.schema.log[0]!.payload).toBe(`base64:${bad.toString("base64")}`);
    }
    expect(await world.metric(worker, "rtm_worker_poison_total", { reason: code })).toBe(1);
    expect(world.emulator.queue(world.queue.exceptionQueue).depth()).toBe(0);
  });

  it("covers every code that a message of our queue can get", () => {
    const rest = POISON_CODES.filter((code) => !(code in BAD));
    expect(rest).toEqual(["too_large", "rejected"]);
  });

  it("is set aside when the relay rejects it, and holds up nobody", async () => {
    world.publisher.answer = ({ payload }) =>
      payload === '{"n":99}'
        ? { status: "rejected", code: "message_too_large", message: "too large" }
        : { status: "accepted", recipients: 1 };
    surround(() => void world.queue.enqueue(ours('{"n":99}')));
    world.startWorker();
    await world.delivered(1, 4);
    expect(world.schema.log).toMatchObject([
      { payload: '{"n":99}', channel: "sales", reason: "rejected: message_too_large: too large" },
    ]);
  });

  it("goes to the file when RTM_LOG cannot keep it", async () => {
    world.schema.failures.set("set_aside", new OraError(1653, "unable to extend table RTM_LOG"));
    surround(() => void world.queue.enqueue("bad"));
    world.startWorker();
    await world.delivered(1, 4);
    const lines = (await readFile(join(stateDirectory, "poison.jsonl"), "utf8")).trim().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { queue: "RTM.RTM_QUEUE", code: "bad_header", payload: "bad" },
    ]);
  });
});

describe("a message that can be kept nowhere", () => {
  /** RTM_LOG refuses it, and the file is on a disk without room. */
  async function nothingKeeps(maxRetries: number): Promise<void> {
    await open({}, { maxRetries });
    await symlink("/dev/full", join(stateDirectory, "poison.jsonl"));
    world.emulator.onStatement("rtm_worker_api.set_aside(", () => {
      throw new OraError(1653, "unable to extend table RTM_LOG");
    });
  }

  it("goes to the exception queue alone; its neighbours are delivered and settled", async () => {
    await nothingKeeps(5);
    surround(() => void world.queue.enqueue("bad"));
    surround(() => void world.queue.enqueue("worse"));
    const worker = world.startWorker();
    await until("all are settled", () => world.queue.depth() === 0);
    expect([...world.numbers()].sort()).toEqual([1, 2, 3, 4]);
    expect(world.emulator.queue(world.queue.exceptionQueue).depth()).toBe(2);
    expect(worker.warnings()).toMatchObject([
      { code: "poison_store", message: expect.stringContaining("ENOSPC") },
    ]);
    expect(await world.metric(worker, "rtm_worker_poison_unkept_total")).toBeGreaterThanOrEqual(10);
  });

  it("is set aside as soon as it can be", async () => {
    await nothingKeeps(1_000_000);
    surround(() => void world.queue.enqueue("bad"));
    const worker = world.startWorker();
    await until("it says so", () => worker.warnings().length > 0);
    await rm(join(stateDirectory, "poison.jsonl"));
    await world.delivered(1, 4);
    const kept = await readFile(join(stateDirectory, "poison.jsonl"), "utf8");
    expect(JSON.parse(kept)).toMatchObject({ code: "bad_header", payload: "bad" });
    expect(worker.warnings()).toEqual([]);
  });
});

describe("a message that the driver cannot decode", () => {
  const undecodable = () => world.queue.enqueue(ours('{"n":5}'), { userProperties: true } as never);

  it.each(["19c", "23ai"] as const)(
    "is delivered all the same, and nothing is lost: %s",
    async (profile) => {
      await open({ profile }, { maxRetries: 5 });
      surround(undecodable);
      world.startWorker();
      await world.delivered(1, 5);
      expect(world.publisher.accepted).toHaveLength(5);
      expect(world.emulator.queue(world.queue.exceptionQueue).depth()).toBe(0);
    },
  );

  it("does not raise the attempts of its neighbours above one", async () => {
    await open({}, { maxRetries: 1 });
    surround(undecodable);
    world.startWorker();
    await until("the good ones are delivered", () => world.publisher.accepted.length >= 4);
    await until("settled", () => world.queue.depth() === 0);
    expect([...world.numbers()]).toEqual(expect.arrayContaining([1, 2, 3, 4]));
  });

  it("is found again after the queue's retry_delay", async () => {
    await open({}, { maxRetries: 5, retryDelay: 1 });
    surround(undecodable);
    world.startWorker({ queues: [{ name: "RTM_QUEUE", wait: "1s" }] });
    await world.delivered(1, 5);
  });

  it("is dequeued by a block where RTM_WORKER_API is not installed", async () => {
    await open({}, { maxRetries: 5, workerApi: false });
    new PlSqlDequeue(world.emulator);
    surround(undecodable);
    world.startWorker({ queues: [{ name: "RTM_QUEUE", payload: "RAW" }] });
    await world.delivered(1, 5);
  });

  it("goes to the exception queue, alone, where PL/SQL may not dequeue either", async () => {
    await open({}, { maxRetries: 5, workerApi: false });
    new PlSqlDequeue(world.emulator, { dbmsAq: false });
    surround(undecodable);
    world.startWorker({ queues: [{ name: "RTM_QUEUE", payload: "RAW" }] });
    await world.delivered(1, 4);
    expect(world.emulator.queue(world.queue.exceptionQueue).depth()).toBe(1);
  });
});
