import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { createLogger } from "../../common/logger.ts";
import type { Source } from "../../relay/contract/publisher.ts";
import type { Relay, RelayOptions } from "../../relay/relay.ts";
import { until } from "../support/until.ts";
import { Client, type Frame, message, SOURCE, startTestRelay } from "./support.ts";

/** Everything is public here: recovery is the subject. */
const OPEN = { publicChannels: ["*"] };

let directory: string;
let relays: Relay[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "rtm-relay-"));
});

afterEach(async () => {
  for (const relay of relays) await relay.close();
  relays = [];
  rmSync(directory, { recursive: true, force: true });
});

async function start(overrides: object = {}, options: Partial<RelayOptions> = {}): Promise<Relay> {
  const relay = await startTestRelay({ ...OPEN, stateDirectory: directory, ...overrides }, options);
  relays.push(relay);
  return relay;
}

async function subscribe(relay: Relay, channel: string, since?: object) {
  const client = await Client.connect(relay, {
    subscribe: [since === undefined ? { channel } : { channel, since }],
  });
  await client.next();
  return { client, answer: (await client.next()) as Frame & { epoch: string; seq: number } };
}

async function publish(relay: Relay, channel: string, ...payloads: unknown[]): Promise<void> {
  const results = await relay.publisher.publish(
    payloads.map((value) => message(channel, value)),
    SOURCE,
  );
  expect(results.every(({ status }) => status === "accepted")).toBe(true);
}

/** Without the revocations, which stay there while a relay runs. */
const stateFiles = () => readdirSync(directory).filter((name) => name !== "relay-revoked.jsonl");

describe("graceful restart", () => {
  it("keeps the epoch, the history and the duplicate window: nothing is lost", async () => {
    const first = await start();
    const { client, answer } = await subscribe(first, "sales");
    await publish(first, "sales", 1, 2);
    expect((await client.nextN(2)).map(({ payload }) => payload)).toEqual([1, 2]);
    const last = message("sales", 3, { payload: '{"n": 1.50}' });
    await first.publisher.publish([last], SOURCE);
    await first.drain();
    expect((await client.end()).code).toBe(4000);
    expect(stateFiles()).toEqual(["relay-history.state"]);
    expect(statSync(join(directory, "relay-history.state")).mode & 0o777).toBe(0o600);

    const second = await start();
    expect(stateFiles()).toEqual([]);
    const back = await subscribe(second, "sales", { epoch: answer.epoch, seq: 2 });
    expect(back.answer).toMatchObject({ recovered: true, epoch: answer.epoch, seq: 3 });
    expect(await back.client.nextText()).toContain('"payload":{"n": 1.50}');
    const [again] = await second.publisher.publish([last], SOURCE);
    expect(again).toMatchObject({ status: "accepted", duplicate: true });
    await publish(second, "sales", 4);
    expect(await back.client.next()).toMatchObject({ payload: 4, seq: 4 });
  });

  it("keeps very many ids in records of bounded length, each with its source", async () => {
    const first = await start();
    const other = { name: "key:backend" };
    const sent = Array.from({ length: 2500 }, (_, n) => message("sales", n));
    await first.publisher.publish(sent, SOURCE);
    await first.publisher.publish(sent.slice(0, 10), other);
    await first.drain();
    const text = readFileSync(join(directory, "relay-history.state"), "latin1");
    const counts = [...text.matchAll(/^\{"kind":"ids".*$/gm)].map(
      ([line]) => JSON.parse(line).ids.length,
    );
    expect(counts).toEqual([1000, 1000, 500, 10]);
    const second = await start();
    const known = async (source: Source) => {
      const results = await second.publisher.publish(sent, source);
      return results.filter((each) => each.status === "accepted" && each.duplicate).length;
    };
    expect(await known(SOURCE)).toBe(2500);
    expect(await known(other)).toBe(10);
  });

  it("recovers ages across the restart, on the same boot of the system", async () => {
    const first = await start();
    await publish(first, "sales", 1, 2);
    await first.drain();
    const second = await start({ history: { ageMargin: "0ms" } });
    // Younger than the first relay, older than its messages.
    const { client, answer } = await subscribe(second, "sales", { ageMs: 0 });
    expect(answer.recovered).toBe(true);
    await client.close();
    const older = await subscribe(second, "sales", { ageMs: 3_600_000 });
    expect(older.answer.recovered).toBe(false);
  });

  it("does not recover ages from another boot, but positions", async () => {
    const first = await start();
    await publish(first, "sales", 1, 2);
    await first.drain();
    const path = join(directory, "relay-history.state");
    rewrite(path, (text) => text.replace(/"bootId":("[^"]*"|null)/, '"bootId":"another"'));
    const second = await start();
    const byAge = await subscribe(second, "sales", { ageMs: 500 });
    expect(byAge.answer.recovered).toBe(false);
    const { epoch } = byAge.answer;
    const byPosition = await subscribe(second, "sales", { epoch, seq: 0 });
    expect(byPosition.answer).toMatchObject({ recovered: true, seq: 2 });
  });

  it("what a killed start or stop left is removed a minute later, and what is in use is not", async () => {
    const left = ["relay-history.state.1-taken", "relay-history.state.2-half-written"];
    for (const name of left) writeFileSync(join(directory, name), "x");
    await (await start()).close();
    expect(stateFiles().sort()).toEqual(left);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 61_000 });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    await (await start()).close();
    expect(stateFiles()).toEqual([]);
  });

  it("a save that fails leaves nothing half written", async () => {
    const relay = await start();
    await publish(relay, "sales", 1);
    mkdirSync(join(directory, "relay-history.state"));
    await relay.drain();
    expect(stateFiles()).toEqual(["relay-history.state"]);
  });

  it("crash after a restore does not revive the old epoch", async () => {
    const first = await start();
    await publish(first, "sales", 1);
    await first.drain();
    const second = await start();
    const { answer } = await subscribe(second, "sales");
    await publish(second, "sales", 2);
    // A crash: nothing is saved.
    await second.close();
    expect(stateFiles()).toEqual([]);
    const third = await start();
    const back = await subscribe(third, "sales", { epoch: answer.epoch, seq: 1 });
    expect(back.answer).toMatchObject({ recovered: false });
    expect(back.answer.epoch).not.toBe(answer.epoch);
  });

  it.each([
    ["cut off", (bytes: Buffer) => bytes.subarray(0, bytes.length - 10)],
    ["empty", () => Buffer.alloc(0)],
    [
      "of a later version",
      (bytes: Buffer) => Buffer.from(bytes.toString().replace('"version":1', '"version":2')),
    ],
    [
      "changed in one byte",
      (bytes: Buffer) => {
        bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
        return bytes;
      },
    ],
    [
      "with a record that is none, and the right checksum",
      (bytes: Buffer) => sealed(bytes.toString().replace('"evictedSeq":0', '"evictedSeq":-1')),
    ],
  ])("a damaged file (%s) means a new epoch and a log line, not a crash", async (_what, damage) => {
    const first = await start();
    await publish(first, "sales", 1);
    await first.drain();
    const path = join(directory, "relay-history.state");
    writeFileSync(path, damage(readFileSync(path)));
    const lines: string[] = [];
    const log = createLogger("warn", { write: (line) => lines.push(line) });
    const second = await start({}, { log });
    expect(lines.join("")).toContain("damaged or unknown");
    expect(stateFiles()).toEqual([]);
    const { answer } = await subscribe(second, "sales");
    expect(answer.seq).toBe(0);
  });

  it("a start that fails leaves the file for the next one", async () => {
    const first = await start();
    await publish(first, "sales", 1);
    await first.drain();
    const other = await start({ stateDirectory: undefined });
    await expect(start({ port: other.port })).rejects.toThrow("relay.port");
    const next = await start();
    expect((await subscribe(next, "sales")).answer.seq).toBe(1);
  });

  it("a node that is stopped before it ever served hands on what it restored", async () => {
    const first = await start();
    await publish(first, "sales", 1);
    await first.drain();
    const waiting = await start({}, { serving: false });
    await waiting.drain();
    const next = await start();
    expect((await subscribe(next, "sales")).answer.seq).toBe(1);
  });

  it("refuses to start while the file cannot be removed", async () => {
    const first = await start();
    await publish(first, "sales", 1);
    await first.drain();
    const path = join(directory, "relay-history.state");
    rmSync(path);
    mkdirSync(join(path, "in-the-way"), { recursive: true });
    await expect(start()).rejects.toMatchObject({
      code: "RTM_STATE_DIRECTORY",
      message: expect.stringContaining(path),
    });
  });

  it("a node that stood by saves nothing", async () => {
    const standby = await start();
    await publish(standby, "sales", 1);
    standby.setServing(false);
    await standby.drain();
    expect(stateFiles()).toEqual([]);
  });

  it("a takeover starts a new epoch, a first start keeps what was saved", async () => {
    const first = await start();
    await publish(first, "sales", 1);
    await first.drain();
    const second = await start({}, { serving: false });
    second.setServing(true);
    const { client, answer } = await subscribe(second, "sales");
    expect(answer.seq).toBe(1);
    second.setServing(false);
    expect((await client.end()).code).toBe(4005);
    expect(await second.publisher.publish([message("sales", 2)], SOURCE)).toMatchObject([
      { status: "unavailable", code: "unavailable" },
    ]);
    second.setServing(true);
    const back = await subscribe(second, "sales", { epoch: answer.epoch, seq: 1 });
    expect(back.answer).toMatchObject({ recovered: false, seq: 0 });
  });
});

/** Changes the text of a state file and gives it a right checksum again. */
function rewrite(path: string, change: (text: string) => string): void {
  writeFileSync(path, sealed(change(readFileSync(path).toString())));
}

/** The text of a file with the checksum that it should have. */
function sealed(text: string): Buffer {
  const body = text.slice(0, -64);
  const { createHash } = process.getBuiltinModule("node:crypto");
  return Buffer.from(body + createHash("sha256").update(body).digest("hex"));
}

describe("in one life", () => {
  it("a forgotten channel comes back above its old numbers", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    onTestFinished(() => void vi.useRealTimers());
    const relay = await start({ history: { count: 3, totalCount: 3 } });
    const { client, answer } = await subscribe(relay, "sales");
    await publish(relay, "sales", 1, 2, 3);
    await client.nextN(3);
    await client.close();
    const sales = () => [...relay.inspection.channels()].find(({ channel }) => channel === "sales");
    await until("nobody reads it", () => sales()?.subscriptions === 0);
    // They take the places of its messages, and the sweep forgets it.
    await publish(relay, "other", 0, 0, 0);
    expect(sales()).toBeDefined();
    vi.advanceTimersByTime(5000);
    expect(sales()).toBeUndefined();
    await publish(relay, "other", 0);
    await publish(relay, "sales", 4);
    const old = await subscribe(relay, "sales", { epoch: answer.epoch, seq: 2 });
    expect(old.answer).toMatchObject({ recovered: false, seq: 4 });
    const all = await subscribe(relay, "sales", { epoch: answer.epoch, seq: 3 });
    expect(all.answer).toMatchObject({ recovered: true, seq: 4 });
    expect(await all.client.next()).toMatchObject({ payload: 4 });
  });

  it("refuses a position that lies before the last evicted message", async () => {
    const relay = await start({ history: { count: 3 } });
    const { answer } = await subscribe(relay, "sales");
    await publish(relay, "sales", 1, 2, 3, 4, 5);
    const { epoch } = answer;
    expect((await subscribe(relay, "sales", { epoch, seq: 1 })).answer.recovered).toBe(false);
    const { client, answer: last } = await subscribe(relay, "sales", { epoch, seq: 2 });
    expect(last).toMatchObject({ recovered: true, seq: 5 });
    expect((await client.nextN(3)).map(({ payload }) => payload)).toEqual([3, 4, 5]);
  });

  it("subscribe racing publish: no gap and no duplicate at the seam", async () => {
    const relay = await start({ stateDirectory: undefined });
    const { answer } = await subscribe(relay, "sales");
    const total = 3000;
    let sent = 0;
    const publishing = (async () => {
      while (sent < total) {
        const burst = Math.min(1 + (sent % 7), total - sent);
        await publish(relay, "sales", ...Array.from({ length: burst }, () => ++sent));
        if (sent % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    const readers = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        while (sent < (index * total) / 25) await new Promise((resolve) => setImmediate(resolve));
        const since = { epoch: answer.epoch, seq: Math.max(0, sent - 50) };
        const { client, answer: own } = await subscribe(relay, "sales", since);
        expect(own.recovered).toBe(true);
        const seqs: number[] = [];
        while (seqs.at(-1) !== total) seqs.push((await client.next()).seq as number);
        return { since, seqs };
      }),
    );
    await publishing;
    for (const { since, seqs } of readers) {
      expect(seqs).toEqual(Array.from({ length: total - since.seq }, (_, n) => since.seq + 1 + n));
    }
  });
});
