/** Messages that outlive the history, for clients that ask for the newest. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { channelPrefix, encodeMessage } from "../../relay/channels/encode.ts";
import { Retained } from "../../relay/channels/retained.ts";
import type { Message } from "../../relay/contract/message.ts";
import { MemoryLog } from "../../relay/log/memory-log.ts";
import { lastFact } from "../../relay/log/retained-value.ts";
import type { Relay, RelayOptions } from "../../relay/relay.ts";
import { EventReader, poll } from "../protocol-kit/event-stream.ts";
import { ENGINE_MISSING, RedisServer } from "../support/redis-server.ts";
import {
  Client,
  type Frame,
  message,
  post,
  SOURCE,
  startTestRelay,
  testConfig,
  token,
  until,
} from "./support.ts";

const DAY = 86_400;

async function start(overrides: object = {}, options: Partial<RelayOptions> = {}): Promise<Relay> {
  const relay = await startTestRelay(
    { publicChannels: ["*"], history: { count: 2 }, ...overrides },
    options,
  );
  onTestFinished(() => relay.close());
  return relay;
}

async function directory(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "rtm-retained-"));
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  return made;
}

const keep = (relay: Relay, eventName: string, payload: unknown, more: Partial<Message> = {}) =>
  relay.publisher.publish([message("c", payload, { eventName, retain: DAY, ...more })], SOURCE);

/** Pushes everything out of the history of the channel. */
const age = (relay: Relay) =>
  relay.publisher.publish(
    [1, 2].map((n) => message("c", n, { eventName: "fill" })),
    SOURCE,
  );

interface Answer {
  readonly answer: Frame;
  readonly values: unknown[];
  readonly seqs: unknown[];
}

/** What a client that asks for the newest is given, of these events. */
async function newest(relay: Relay, events?: string[], last = 1): Promise<Answer> {
  const subscribe = [{ channel: "c", since: { last }, ...(events ? { events } : {}) }];
  const client = await Client.connect(relay, { subscribe });
  const [, answer] = (await client.nextN(2)) as [Frame, Frame];
  const frames = await client.nextN((answer.last as { sent: number }).sent);
  client.terminate();
  return {
    answer,
    values: frames.map(({ payload }) => payload),
    seqs: frames.map(({ seq }) => seq),
  };
}

const complete = ({ answer }: Answer) => (answer.last as { complete: boolean }).complete;

describe("retain", () => {
  it("keeps the newest of an event when the history has none any more", async () => {
    const relay = await start();
    await keep(relay, "temp", 20);
    await keep(relay, "temp", 21);
    await keep(relay, "door", null);
    await age(relay);
    const all = await newest(relay);
    expect(all.values).toEqual([21, null, 2]);
    expect(all.seqs).toEqual([2, 3, 5]);
    // Of an event that nobody knows of any more there may have been one.
    expect(complete(all)).toBe(false);
    const named = await newest(relay, ["temp", "door"]);
    expect(named.answer).toMatchObject({ seq: 5, last: { sent: 2, complete: true } });
    expect(named.values).toEqual([21, null]);
    // Only the newest one is kept.
    expect(await newest(relay, ["temp"], 2)).toMatchObject({
      answer: { last: { sent: 1, complete: false } },
    });
    expect(await newest(relay, ["temp", "none"])).toMatchObject({
      answer: { last: { sent: 1, complete: false } },
    });
  });

  it("goes on live behind them, and gives nothing twice that the history has too", async () => {
    const relay = await start();
    await keep(relay, "temp", 1);
    const both = await newest(relay);
    expect(both.values).toEqual([1]);
    await age(relay);
    const client = await Client.connect(relay, {
      subscribe: [{ channel: "c", since: { last: 1 } }],
    });
    await client.nextN(2);
    await keep(relay, "temp", 2);
    expect((await client.nextN(3)).map(({ seq }) => seq)).toEqual([1, 3, 4]);
    client.terminate();
  });

  it("is over with a later message that is not to be kept, also when that is gone", async () => {
    const relay = await start();
    await keep(relay, "temp", "old");
    await relay.publisher.publish([message("c", "new", { eventName: "temp" })], SOURCE);
    expect((await newest(relay, ["temp"])).values).toEqual(["new"]);
    await age(relay);
    const after = await newest(relay, ["temp"]);
    expect(after.answer).toMatchObject({ last: { sent: 0, complete: false } });
  });

  it("ends after its time", () => {
    const retained = new Retained({ bounds: { count: 9, bytes: 999 }, epoch: () => "e" });
    const numbered = { ...message("c", 1), seq: 3, keptUntil: 1000 };
    retained.apply(lastFact("e", numbered));
    expect(retained.of("c", 999).map(({ seq }) => seq)).toEqual([3]);
    expect(retained.of("c", 1000)).toEqual([]);
    expect(retained.size).toBe(1);
    retained.expire(1000);
    expect([retained.size, retained.bytes]).toEqual([0, 0]);
  });

  it("each ends at its own time, and one that was set anew at its new one", () => {
    const retained = new Retained({ bounds: undefined, epoch: () => "e" });
    const ends = new Map<string, number>();
    let seed = 3;
    for (let seq = 1; seq <= 2500; seq++) {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      const [eventName, keptUntil] = [`e${(seed >>> 8) % 500}`, 1 + ((seed >>> 18) % 1000)];
      retained.apply(lastFact("e", { ...message("c", 1, { eventName }), seq, keptUntil }));
      ends.set(eventName, keptUntil);
    }
    for (let now = 0; now <= 1020; now += 60) {
      retained.expire(now);
      const left = [...retained.all()].map(({ entry }) => entry.eventName).sort();
      expect(left).toEqual(
        [...ends.keys()].filter((name) => (ends.get(name) as number) > now).sort(),
      );
    }
    expect([retained.size, retained.bytes]).toEqual([0, 0]);
  });

  it("costs a client's question what it asks for, and not all that is kept in the channel", () => {
    const retained = new Retained({ bounds: undefined, epoch: () => "e" });
    let looked = 0;
    for (let seq = 1; seq <= 1000; seq++) {
      const entry = encodeMessage(
        message("c", seq, { eventName: `e${seq}` }),
        channelPrefix("c"),
        seq,
        0,
      );
      const counted = {
        channel: "c",
        entry,
        get untilMs() {
          looked++;
          return 1000;
        },
      };
      retained.set(counted);
    }
    looked = 0;
    for (let n = 0; n < 1000; n++) retained.of("c", 0, new Set(["e7", "none", "e3"]));
    expect(looked).toBe(2000);
    expect(retained.of("c", 0, new Set(["e7", "none", "e3"])).map(({ seq }) => seq)).toEqual([
      3, 7,
    ]);
    looked = 0;
    for (let n = 0; n < 1000; n++) expect(retained.of("c", n)).toHaveLength(1000);
    expect(looked).toBeLessThan(3000);
    // What is set, removed or over is seen by the next one who asks.
    retained.apply(lastFact("e", { ...message("c", 0, { eventName: "e5" }), seq: 1001 }));
    expect(retained.of("c", 0)).toHaveLength(999);
    const next = { ...message("c", 0, { eventName: "new" }), seq: 1002, keptUntil: 2000 };
    retained.apply(lastFact("e", next));
    expect(retained.of("c", 0).at(-1)?.seq).toBe(1002);
    expect(retained.of("c", 1000).map(({ seq }) => seq)).toEqual([1002]);
    retained.reset([]);
    expect(retained.of("c", 0)).toEqual([]);
  });

  it("is removed by the control item forget, and the history keeps what it has", async () => {
    const relay = await start();
    await keep(relay, "temp", 1);
    await keep(relay, "door", 1);
    await age(relay);
    await relay.publisher.control(
      [
        { op: "forget", channel: "c", eventName: "temp" },
        { op: "forget", channel: "c", eventName: "fill" },
      ],
      SOURCE,
    );
    expect((await newest(relay)).values).toEqual([1, 2]);
    expect((await newest(relay, ["temp"])).values).toEqual([]);
  });

  it("is asked for with the member retain over REST", async () => {
    const relay = await start();
    const { body } = await post(relay, [
      { channel: "c", eventName: "a", payload: 1, retain: DAY },
      { channel: "c", eventName: "b", payload: 1, retain: null },
      ...[0, 604_801, 1.5, "60", true].map((retain) => ({ channel: "c", retain })),
    ]);
    const refused = {
      ok: false,
      code: "bad_retain",
      message: "retain must be a whole number of seconds from 1 to 604800",
    };
    expect(body).toMatchObject({
      results: [{ ok: true }, { ok: true }, refused, refused, refused, refused, refused],
    });
    await age(relay);
    expect((await newest(relay, ["a", "b"])).values).toEqual([1]);
  });

  it("is given on every way in, to whoever may read the channel only", async () => {
    const relay = await start({ publicChannels: [] });
    await keep(relay, "temp", 1);
    await age(relay);
    const rights = await token(["c"]);
    const subscribe = [{ channel: "c", since: { last: 1 }, events: ["temp"] }];
    const polled = await poll(relay, { token: rights, subscribe });
    expect(polled.frames.at(-1)).toMatchObject({ seq: 1, payload: 1 });
    const plain = await Client.open(relay, `/ws?channel=c&last=1&event=temp&token=${rights}`);
    expect(await plain.next()).toMatchObject({ seq: 1 });
    plain.terminate();
    const reader = await EventReader.open(relay, "/sse?channel=c&last=1", {
      headers: { authorization: `Bearer ${rights}` },
    });
    await reader.nextEvent();
    const event = await reader.nextEvent();
    expect(JSON.parse(event.data)).toMatchObject({ seq: 1, payload: 1 });
    reader.destroy();
    await age(relay);
    // Cut off here it asks for what came after it, which is not remembered: so for the newest again.
    const again = await EventReader.open(relay, "/sse?channel=c&last=1", {
      headers: { authorization: `Bearer ${rights}`, "last-event-id": event.id },
    });
    expect(await again.nextN(3)).toMatchObject([{ recovered: false }, { seq: 1 }, { seq: 5 }]);
    again.destroy();
    const other = await Client.connect(relay, { token: await token(["d"]), subscribe });
    expect((await other.nextN(2))[1]).toMatchObject({ code: "channel_forbidden" });
    other.terminate();
  });

  it("is bounded: the oldest go, what is too large is not kept, and both are counted", async () => {
    const relay = await start({ retained: { count: 2, bytes: "1KiB" } });
    for (const [index, eventName] of ["a", "b", "a", "c"].entries()) {
      await keep(relay, eventName, index);
    }
    await age(relay);
    expect((await newest(relay, ["a", "b", "c"])).values).toEqual([2, 3]);
    await keep(relay, "c", "x".repeat(800));
    await age(relay);
    expect((await newest(relay, ["a", "c"])).values).toHaveLength(1);
    await keep(relay, "c", "x".repeat(2000));
    await age(relay);
    expect((await newest(relay, ["a", "c"])).values).toEqual([]);
    const metrics = await relay.registry.metrics();
    expect(metrics).toMatch(/rtm_relay_retained_dropped_total\{reason="full"\} 2\b/);
    expect(metrics).toMatch(/rtm_relay_retained_dropped_total\{reason="too_large"\} 1\b/);
    expect(metrics).toMatch(/rtm_relay_retained_values 0\b/);
    expect(metrics).toMatch(/rtm_relay_retained_bytes 0\b/);
  });

  it("count 0 keeps none", async () => {
    const relay = await start({ retained: { count: 0 } });
    await keep(relay, "a", 1);
    await age(relay);
    expect((await newest(relay, ["a"])).values).toEqual([]);
  });

  it("lasts over a graceful restart, in the same epoch, and not over a crash", async () => {
    const stateDirectory = await directory();
    const first = await start({}, { stateDirectory });
    await keep(first, "temp", "1.0 ä💶");
    await keep(first, "short", 1, { retain: 1 });
    await keep(first, "over", 1);
    await first.publisher.publish([message("c", 2, { eventName: "over" })], SOURCE);
    await age(first);
    const { answer } = await newest(first);
    await first.drain();
    const second = await start({}, { stateDirectory });
    const after = await newest(second, ["temp", "over"]);
    expect(after).toMatchObject({ values: ["1.0 ä💶"], seqs: [1], answer: { seq: 6 } });
    expect(after.answer.epoch).toBe(answer.epoch);
    await keep(second, "temp", "next");
    expect((await newest(second, ["temp"])).values).toEqual(["next"]);
    await second.drain();
    const third = await start({}, { stateDirectory });
    expect((await newest(third, ["temp"])).values).toEqual(["next"]);
    await third.close();
    const fourth = await start({}, { stateDirectory });
    expect((await newest(fourth, ["temp"])).values).toEqual([]);
  });

  it("ends with a takeover: another node may have had a newer one", async () => {
    const messageLog = new MemoryLog({
      duplicates: testConfig().duplicates,
      clock: () => performance.now(),
    });
    const relay = await start({}, { messageLog });
    await keep(relay, "temp", 1);
    relay.setServing(false);
    relay.setServing(true, { takeover: true });
    expect(await newest(relay, ["temp"])).toMatchObject({
      values: [],
      answer: { last: { complete: false } },
    });
  });
});

describe.skipIf(ENGINE_MISSING !== "")(`retain with a shared log${ENGINE_MISSING}`, () => {
  const onLog = (engine: RedisServer, more: object = {}) =>
    start({ log: { kind: "valkey", url: engine.url, grace: "60s" }, ...more });

  it("every node gives it, also one that starts when the log has trimmed the message", async () => {
    const engine = await RedisServer.start();
    const [a, b] = [await onLog(engine), await onLog(engine)];
    await keep(a, "temp", 1);
    await keep(b, "door", 2);
    await age(a);
    await engine.command("XTRIM", "{rtm}:log", "MAXLEN", "1");
    const late = await onLog(engine);
    for (const relay of [a, b, late]) {
      await until("the node has heard all", async () => (await newest(relay)).answer.seq === 4);
      expect(await newest(relay, ["temp", "door"])).toMatchObject({
        values: [1, 2],
        seqs: [1, 2],
        answer: { last: { complete: true } },
      });
    }
    await late.publisher.control([{ op: "forget", channel: "c", eventName: "temp" }], SOURCE);
    await until("it is forgotten", async () => (await newest(a, ["temp"])).values.length === 0);
    expect((await newest(await onLog(engine), ["temp", "door"])).values).toEqual([2]);
  });

  it("of an earlier epoch has no number, and is not all that there may be", async () => {
    const engine = await RedisServer.start("--appendonly", "yes", "--appendfsync", "always");
    const relay = await onLog(engine);
    await keep(relay, "temp", 1);
    const { answer } = await newest(relay);
    await engine.kill();
    await engine.restart();
    await until("a new epoch", async () => (await newest(relay)).answer.epoch !== answer.epoch);
    const old = await newest(relay, ["temp"]);
    expect(old).toMatchObject({ values: [1], seqs: [0], answer: { last: { complete: false } } });
    expect(complete(await newest(relay))).toBe(false);
    await until("the relay accepts", async () => {
      const [result] = await keep(relay, "temp", 2);
      return result?.status === "accepted";
    });
    expect(await newest(relay, ["temp"])).toMatchObject({
      values: [2],
      answer: { last: { complete: true } },
    });
    await age(relay);
    expect((await newest(relay, ["temp"])).seqs).toEqual([1]);
  });

  it("of an earlier epoch is given again to an event stream that was cut among them", async () => {
    const engine = await RedisServer.start("--appendonly", "yes", "--appendfsync", "always");
    const relay = await onLog(engine);
    await keep(relay, "temp", 1);
    await keep(relay, "door", 2);
    const { answer } = await newest(relay);
    await engine.kill();
    await engine.restart();
    await until("a new epoch", async () => (await newest(relay)).answer.epoch !== answer.epoch);
    for (const query of ["channel=c", "channel=c&channel=d", "channel=c&event=temp&event=door"]) {
      const open = (headers: Record<string, string> = {}) =>
        EventReader.open(relay, `/sse?${query}&last=1`, { headers });
      const first = await open();
      const answers = query.split("channel").length - 1;
      await first.nextN(answers);
      const { data, id } = await first.nextEvent();
      expect(JSON.parse(data)).toMatchObject({ seq: 0 });
      first.destroy();
      const again = await open({ "last-event-id": id });
      const values = (await again.nextN(answers + 2)).slice(answers);
      expect(values.map(({ payload }) => payload).sort()).toEqual([1, 2]);
      again.destroy();
    }
  });

  it("is bounded in the engine, and counted by the node that appended", async () => {
    const engine = await RedisServer.start();
    const [a, b] = [
      await onLog(engine, { retained: { count: 1 } }),
      await onLog(engine, { retained: { count: 1 } }),
    ];
    await keep(a, "x", 1);
    await keep(a, "y", 2);
    await until("both have it", async () => (await newest(b)).answer.seq === 2);
    await age(a);
    await until("both have all", async () => (await newest(b)).answer.seq === 4);
    for (const relay of [a, b]) expect((await newest(relay, ["x", "y"])).values).toEqual([2]);
    expect(await engine.command("HLEN", "{rtm}:t:last")).toBe(1);
    expect(await a.registry.metrics()).toMatch(/retained_dropped_total\{reason="full"\} 1\b/);
    expect(await b.registry.metrics()).toMatch(/retained_dropped_total\{reason="full"\} 0\b/);
  });
});
