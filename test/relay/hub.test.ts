/** Channels and outlets on wires whose kernel takes exactly what the test says. */
import { describe, expect, it } from "vitest";
import { Bundle } from "../../relay/channels/bundle.ts";
import { Outlet, type Subscription } from "../../relay/channels/outlet.ts";
import { MESSAGE, PAYLOAD, SSE, type View, viewOf } from "../../relay/channels/view.ts";
import type { Since } from "../../relay/contract/protocol.ts";
import type { Numbered, Snapshot } from "../../relay/log/log.ts";
import type { Frames } from "../../relay/wire/frame.ts";
import { frameText } from "../../relay/wire/frame.ts";
import type { Wire } from "../../relay/wire/wire.ts";
import { message, SOURCE, startHub, testConfig } from "./support.ts";

const KIB = 1024;
const CAP = 256 * KIB;

class TestWire implements Wire {
  pending = 0;
  open = true;
  destroyed = false;
  writes = 0;
  /** Whether the kernel takes everything at once. */
  fast = true;
  readonly texts: string[] = [];
  readonly buffers: Buffer[] = [];
  #listener: () => void = () => {};
  #corked = false;
  /** How often writes were joined into one. */
  uncorks = 0;

  write(frames: Frames): void {
    this.writes++;
    this.buffers.push(...frames.frames);
    this.texts.push(...frames.frames.map((frame) => frameText(frame).toString()));
    if (!this.fast || this.#corked) this.pending += frames.joined.length;
  }
  cork(): void {
    this.#corked = true;
  }
  uncork(): void {
    this.#corked = false;
    this.uncorks++;
    if (this.fast) this.pending = 0;
  }
  ping(): void {}
  pong(): void {}
  close(code: number): void {
    this.texts.push(`close ${code}`);
    this.open = false;
  }
  destroy(): void {
    this.destroyed = true;
    this.open = false;
  }
  onDrain(listener: () => void): void {
    this.#listener = listener;
  }
  drain(): void {
    this.pending = 0;
    this.#listener();
  }
  get seqs(): number[] {
    return this.texts.filter((text) => text.includes('"seq"')).map((text) => JSON.parse(text).seq);
  }
}

function setUp(overrides: object = {}, keepsHeads = false) {
  const config = testConfig({
    limits: { messageBytes: "64KiB" },
    history: { bytes: "256KiB", count: 10_000 },
    slowClients: { connectionBytes: "256KiB", totalBytes: "4MiB" },
    ...overrides,
  });
  let now = 1000;
  const { hub, messageLog } = startHub(config, () => now, keepsHeads);
  const publish = (channel: string, bytes: number, eventName = "e") =>
    messageLog.append([message(channel, "x".repeat(bytes), { eventName })], { source: SOURCE });
  const reader = (view: View = MESSAGE) => {
    const wire = new TestWire();
    const caughtUp: string[] = [];
    const outlet: Outlet = new Outlet(hub, wire, view, {
      restarted: ({ channel }, seq) => outlet.controlText(`restarted ${channel.name} ${seq}`),
      caughtUp: ({ channel }) => caughtUp.push(channel.name),
    });
    const subscribe = (channel: string, since?: Since, old?: Subscription) => {
      const answer = hub.subscribe(outlet, channel, { since, old, view: old?.view });
      answer.replay();
      return answer;
    };
    return { wire, outlet, subscribe, caughtUp };
  };
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  return { hub, messageLog, publish, reader, turn, advance: (ms: number) => (now += ms) };
}

const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe("one turn", () => {
  it("is one write for a reader of several channels, in the order of the channels", async () => {
    const { publish, reader, turn } = setUp();
    const { wire, subscribe } = reader();
    for (const channel of ["a", "b", "c"]) subscribe(channel);
    for (const channel of ["a", "b", "a", "c"]) publish(channel, 10);
    await turn();
    const order = wire.texts.map((text) => JSON.parse(text).channel);
    expect([order, wire.uncorks, wire.pending]).toEqual([["a", "a", "b", "c"], 1, 0]);
    publish("b", 10);
    await turn();
    expect([wire.texts.length, wire.uncorks]).toEqual([5, 1]);
  });

  it("does not count what it joins as backlog: large batches leave one by one", async () => {
    const { publish, reader, turn } = setUp();
    const { wire, subscribe } = reader();
    const channels = range(1, 12).map(String);
    for (const channel of channels) subscribe(channel);
    // 12 x 40 KiB: twice the cap of the connection, and the kernel takes all of it.
    for (const channel of channels) publish(channel, 40 * KIB);
    await turn();
    expect([wire.texts.length, wire.uncorks, wire.destroyed]).toEqual([12, 0, false]);
  });

  it("keeps every message of a reader under latest that keeps up", async () => {
    const policies = [{ channels: "*", policy: "latest" }];
    const { hub, publish, reader, turn } = setUp({
      slowClients: { connectionBytes: "256KiB", totalBytes: "4MiB", policies },
    });
    const { wire, subscribe } = reader();
    for (const channel of ["a", "b"]) subscribe(channel);
    for (const channel of ["a", "a", "b", "a", "b"]) publish(channel, 30 * KIB);
    await turn();
    expect([wire.texts.length, hub.stats.messagesConflated]).toEqual([5, 0]);
  });
});

describe("the seam between what was and what comes", () => {
  it("a subscriber of this turn gets nothing that was published before it in the turn", async () => {
    const { hub, publish, reader, turn } = setUp();
    const early = reader();
    early.subscribe("c");
    publish("c", 10);
    const late = reader();
    expect(late.subscribe("c")).toMatchObject({ seq: 1, recovered: false });
    const recovering = reader();
    expect(recovering.subscribe("c", { epoch: hub.epoch, seq: 0 })).toMatchObject({
      seq: 1,
      recovered: true,
    });
    publish("c", 10);
    await turn();
    expect([early.wire.seqs, late.wire.seqs, recovering.wire.seqs]).toEqual([[1, 2], [2], [1, 2]]);
  });

  it("one who leaves in this turn gets what was published before", async () => {
    const { hub, publish, reader, turn } = setUp();
    const { wire, subscribe } = reader();
    const { subscription } = subscribe("c");
    publish("c", 10);
    hub.unsubscribe(subscription);
    publish("c", 10);
    await turn();
    expect(wire.seqs).toEqual([1]);
  });

  it("a close comes after everything that was published before it, and nothing comes after", async () => {
    const { hub, publish, reader, turn } = setUp();
    const { wire, outlet, subscribe } = reader();
    subscribe("c");
    publish("c", 10);
    hub.close(outlet, 4000, "x");
    publish("c", 10);
    outlet.control({ op: "ping" });
    await turn();
    expect(wire.texts.at(-1)).toBe("close 4000");
    expect(wire.seqs).toEqual([1]);
  });

  it("subscribing again during a replay names the point that was sent, and loses nothing", async () => {
    const { hub, publish, reader, turn } = setUp();
    for (let n = 0; n < 60; n++) publish("c", 4 * KIB);
    await turn();
    const { wire, subscribe } = reader();
    wire.fast = false;
    const { subscription } = subscribe("c", { epoch: hub.epoch, seq: 0 });
    const sent = wire.seqs.length;
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThan(60);
    expect(subscribe("c", undefined, subscription)).toMatchObject({ recovered: false, seq: sent });
    while (wire.seqs.length < 60) wire.drain();
    publish("c", 10);
    await turn();
    expect(wire.seqs).toEqual(range(1, 61));
  });
});

describe("one turn", () => {
  it("is one write per connection and channel, whatever the number of messages", async () => {
    const { publish, reader, turn } = setUp();
    const { wire, subscribe } = reader();
    subscribe("a");
    subscribe("b");
    for (let n = 0; n < 30; n++) publish(n % 2 ? "a" : "b", 10);
    expect(wire.writes).toBe(0);
    await turn();
    expect(wire.writes).toBe(2);
    expect(wire.texts.length).toBe(30);
  });

  it("gives bare payloads to whom asked for them", async () => {
    const { publish, reader, turn } = setUp();
    const { wire, subscribe } = reader(PAYLOAD);
    subscribe("a");
    publish("a", 3);
    await turn();
    expect(wire.texts).toEqual(['"xxx"']);
  });
});

describe("views", () => {
  const only = (...events: string[]) => viewOf("message", events);
  const seen = (wire: TestWire) => wire.texts.map((text) => JSON.parse(text).seq);

  it("are one object for one set of events, in whatever order", () => {
    expect(viewOf("message")).toBe(MESSAGE);
    expect(viewOf("payload")).toBe(PAYLOAD);
    expect(only("a", "b")).toBe(only("b", "a", "b"));
    expect(only("a")).not.toBe(only("b"));
    expect(viewOf("payload", ["a"])).not.toBe(only("a"));
  });

  it("share what is joined for them", () => {
    const { hub, publish } = setUp();
    for (const event of ["x", "y", "x"]) publish("c", 3, event);
    const bundle = new Bundle([...(hub.channels.get("c")?.history.entries() ?? [])]);
    for (const view of [MESSAGE, PAYLOAD, SSE, only("x"), viewOf("sse", ["y"])]) {
      expect(bundle.frames(view)).toBe(bundle.frames(view));
    }
    expect(bundle.frames(only("y", "x", "z"))).toBe(bundle.frames(MESSAGE));
    expect(bundle.frames(viewOf("sse", ["x", "y"]))).toBe(bundle.frames(SSE));
    expect(bundle.frames(only("z"))).toEqual({ frames: [], joined: Buffer.alloc(0) });
    expect(bundle.frames(only("x")).frames).toHaveLength(2);
  });

  it("with a filter: only these events live, in a replay and as the latest; no write for none", async () => {
    const policies = [{ channels: "latest", policy: "latest" }];
    const { hub, publish, reader, turn } = setUp({
      history: { bytes: "256KiB", count: 10_000 },
      slowClients: { connectionBytes: "256KiB", totalBytes: "4MiB", policies },
    });
    for (let n = 1; n <= 9; n++) publish("c", 3, n % 3 === 0 ? "x" : "y");
    const { wire, subscribe, caughtUp } = reader(only("x"));
    subscribe("c", { epoch: hub.epoch, seq: 1 });
    expect([seen(wire), caughtUp]).toEqual([[3, 6, 9], ["c"]]);
    for (const event of ["y", "x"]) publish("c", 3, event);
    await turn();
    expect([seen(wire), wire.writes]).toEqual([[3, 6, 9, 11], 2]);
    publish("c", 3, "y");
    await turn();
    expect(wire.writes).toBe(2);

    const slow = reader(only("x"));
    slow.subscribe("latest");
    slow.wire.pending = CAP / 2;
    for (const event of ["y", "x", "y", "x", "y"]) publish("latest", 10, event);
    await turn();
    expect(slow.outlet.waiting).toBe(true);
    slow.wire.drain();
    expect(seen(slow.wire)).toEqual([4]);
    expect([slow.outlet.held, slow.outlet.waiting]).toEqual([0, false]);
  });

  it("as events: the JSON text after data:, a line for each of its lines", async () => {
    const { messageLog, reader, turn } = setUp();
    const { wire, subscribe, outlet } = reader(SSE);
    subscribe("c");
    const texts = ['{"a":1}', '{\n"a":\r\n[1,\r2]\n}'];
    for (const payload of texts) {
      messageLog.append([message("c", 0, { payload })], { source: SOURCE });
    }
    outlet.controlText('{"op":"ping"}');
    await turn();
    const events = wire.buffers.map((bytes) => bytes.toString());
    expect(events[0]).toBe('data: {"op":"ping"}\n\n');
    const sent = events.slice(1).join("").split("\n\n").filter(Boolean);
    const data = sent.map((event) =>
      event
        .split("\n")
        .map((line) => line.replace(/^data: /, ""))
        .join("\n"),
    );
    expect(
      sent.every((event) => event.split("\n").every((line) => line.startsWith("data: "))),
    ).toBe(true);
    expect(data.map((text) => JSON.parse(text).payload)).toEqual([{ a: 1 }, { a: [1, 2] }]);
    expect(sent.join("")).not.toContain("\r");
  });
});

describe("a reader that does not read", () => {
  it("is dropped as soon as the next batch would exceed its cap, a turn after it stopped", async () => {
    const { hub, publish, reader, turn } = setUp();
    const { wire, subscribe, outlet } = reader();
    subscribe("c");
    wire.fast = false;
    let most = 0;
    for (let n = 0; n < 100 && !wire.destroyed; n++) {
      publish("c", 4 * KIB);
      await turn();
      most = Math.max(most, wire.pending);
    }
    expect(wire.destroyed).toBe(true);
    expect(most).toBeLessThanOrEqual(CAP);
    expect(most).toBeGreaterThan(CAP - 6 * KIB);
    expect([outlet.held === 0 || outlet.dead, hub.measure()]).toEqual([true, 0]);
  });

  it("is not judged by a burst within one turn: it goes on from the history", async () => {
    const { publish, reader, turn } = setUp({ history: { bytes: "256KiB", count: 10_000 } });
    const { wire, subscribe } = reader();
    subscribe("c");
    subscribe("d");
    wire.fast = false;
    // 400 KiB in one turn, each channel inside its history.
    for (let n = 0; n < 50; n++) {
      publish("c", 4 * KIB);
      publish("d", 4 * KIB);
    }
    await turn();
    expect(wire.destroyed).toBe(false);
    expect(wire.pending).toBeLessThanOrEqual(CAP);
    for (let n = 0; n < 20; n++) wire.drain();
    expect(wire.seqs.toSorted((a, b) => a - b)).toEqual(range(1, 50).flatMap((n) => [n, n]));
    wire.fast = true;
    publish("c", 1);
    await turn();
    expect(wire.seqs.at(-1)).toBe(51);
  });

  it("is dropped in the middle of a replay when the history moves on without it", async () => {
    const { hub, publish, reader, turn } = setUp();
    for (let n = 0; n < 60; n++) publish("c", 4 * KIB);
    await turn();
    const { wire, subscribe } = reader();
    wire.fast = false;
    expect(subscribe("c", { epoch: hub.epoch, seq: 0 }).recovered).toBe(true);
    for (let n = 0; n < 60; n++) publish("c", 4 * KIB);
    hub.flush();
    expect(wire.destroyed).toBe(false);
    wire.drain();
    // A message it was promised is gone: a gap must not be seen.
    expect(wire.destroyed).toBe(true);
    expect(wire.seqs).toEqual(range(1, wire.seqs.length));
  });

  it("gets a replay in pieces that leave room for live messages", async () => {
    const { hub, publish, reader, turn } = setUp();
    for (let n = 0; n < 60; n++) publish("c", 4 * KIB);
    await turn();
    const { wire, subscribe } = reader();
    wire.fast = false;
    subscribe("live");
    subscribe("c", { epoch: hub.epoch, seq: 0 });
    expect(wire.pending).toBeLessThanOrEqual(CAP - 48 * KIB);
    publish("live", 10 * KIB);
    await turn();
    expect(wire.destroyed).toBe(false);
    expect(wire.texts.at(-1)).toContain('"channel":"live"');
  });

  it("under latest keeps one message per event and channel, oldest first", async () => {
    const { hub, publish, reader, turn } = setUp({
      slowClients: {
        connectionBytes: "256KiB",
        totalBytes: "4MiB",
        policies: [{ channels: "*", policy: "latest" }],
      },
    });
    const { wire, subscribe, outlet } = reader();
    const { subscription } = subscribe("c");
    wire.fast = false;
    for (let n = 1; n <= 100; n++) {
      publish("c", 4 * KIB, n === 50 ? "rare" : `e${n % 2}`);
      await turn();
      expect(outlet.held).toBeLessThanOrEqual(CAP);
    }
    const written = wire.seqs.length;
    expect(written).toBeLessThan(40);
    expect(subscribe("c", undefined, subscription)).toMatchObject({
      recovered: false,
      seq: written,
    });
    wire.drain();
    expect(wire.seqs.slice(written)).toEqual([50, 99, 100]);
    expect(hub.stats.messagesConflated).toBe(100 - written - 3);
    publish("c", 1);
    await turn();
    expect(wire.seqs.at(-1)).toBe(101);
  });

  it("under latest is dropped when even the latest exceed its cap", async () => {
    const { publish, reader, turn } = setUp({
      slowClients: {
        connectionBytes: "256KiB",
        totalBytes: "4MiB",
        policies: [{ channels: "*", policy: "latest" }],
      },
    });
    const { wire, subscribe } = reader();
    subscribe("c");
    wire.fast = false;
    for (let n = 0; n < 100 && !wire.destroyed; n++) {
      publish("c", 4 * KIB, `event-${n}`);
      await turn();
    }
    expect(wire.destroyed).toBe(true);
    expect(wire.pending).toBeLessThanOrEqual(CAP / 2);
  });
});

describe("channels", () => {
  it("are forgotten when nobody reads them and nothing is left, and no sooner", async () => {
    const { hub, publish, reader, turn, advance } = setUp({
      history: { age: "1s", bytes: "256KiB" },
    });
    const { subscribe } = reader();
    const { subscription } = subscribe("read");
    publish("published", 10);
    publish("read", 10);
    await turn();
    hub.sweep();
    expect([...hub.channels.keys()]).toEqual(["read", "published"]);
    advance(1001);
    hub.sweep();
    expect([...hub.channels.keys()]).toEqual(["read"]);
    hub.unsubscribe(subscription);
    hub.sweep();
    expect(hub.channels.size).toBe(0);
    expect([hub.history.count, hub.history.bytes]).toEqual([0, 0]);
  });
});

describe("channels of which only last values are left", () => {
  it("keep their names and say what they hold, until that is over", async () => {
    const { hub, messageLog, turn, advance } = setUp({ history: { age: "1s", bytes: "256KiB" } });
    const tell = (eventName: string, retain?: number) =>
      messageLog.append([message("wall", "x", { eventName, ...(retain && { retain }) })], {
        source: SOURCE,
      });
    tell("a", 3600);
    tell("b", 3600);
    await turn();
    expect([...hub.names()]).toEqual(["wall"]);
    const both = hub.retained.figuresOf("wall");
    expect(both).toEqual({ retained: 2, retainedBytes: hub.retained.bytes });
    advance(1001);
    hub.sweep();
    expect([hub.channels.size, [...hub.names()]]).toEqual([0, ["wall"]]);
    expect(hub.retained.figuresOf("wall")).toEqual(both);
    tell("a");
    await turn();
    expect(hub.retained.figuresOf("wall")).toEqual({
      retained: 1,
      retainedBytes: both.retainedBytes / 2,
    });
    tell("b");
    await turn();
    advance(1001);
    hub.sweep();
    expect([...hub.names()]).toEqual([]);
    expect(hub.retained.figuresOf("wall")).toEqual({ retained: 0, retainedBytes: 0 });
  });
});

describe("very many channels with one message each", () => {
  it("stay inside history.totalBytes with what they cost, and are forgotten in time", async () => {
    const totalBytes = 2 * 1024 * KIB;
    const { hub, publish, turn } = setUp({ history: { bytes: "256KiB", totalBytes: "2MiB" } });
    let most = 0;
    for (let n = 0; n < 40_000; n++) {
      publish(`user:${n}`, 10);
      most = Math.max(most, hub.history.bytes);
      if (n % 1000 === 0) await turn();
    }
    expect(most).toBeLessThanOrEqual(totalBytes);
    expect(most).toBeGreaterThan(totalBytes / 2);
    // A message of 100 bytes costs 1600 with its channel.
    expect(hub.history.count).toBeLessThan(totalBytes / 1500);
    expect(hub.channels.size).toBeLessThan(hub.history.count + 12_000);
    expect(hub.headOf("user:0")).toBeGreaterThan(0);
  });
});

describe("a log that begins anew", () => {
  const numbered = (channel: string, seq: number, payload: unknown = seq): Numbered => ({
    ...message(channel, payload),
    seq,
  });
  const snapshot = (more: Partial<Snapshot>): Snapshot => ({
    epoch: "next",
    reason: "lost",
    heads: new Map(),
    messages: [],
    facts: [],
    ...more,
  });
  const seqsOf = (texts: readonly string[]) =>
    texts.map((text) => (text.startsWith("restarted") ? text : JSON.parse(text).seq));

  it("sends what was pending, then answers every subscription with its head, then goes on", async () => {
    const { hub, publish, reader, turn } = setUp({}, true);
    const { wire, subscribe } = reader();
    subscribe("a");
    subscribe("b");
    publish("a", 10);
    hub.reset(snapshot({ heads: new Map([["a", 7]]) }));
    hub.apply([numbered("a", 8), numbered("b", 1)]);
    await turn();
    expect(seqsOf(wire.texts)).toEqual([1, "restarted a 7", "restarted b 0", 8, 1]);
    expect(hub.epoch).toBe("next");
  });

  it("answers a subscription under replay, and the rest of the replay is not sent", async () => {
    const { hub, publish, reader, turn } = setUp({}, true);
    for (let n = 0; n < 60; n++) publish("c", 4 * KIB);
    await turn();
    const { wire, subscribe } = reader();
    wire.fast = false;
    expect(subscribe("c", { epoch: hub.epoch, seq: 0 }).recovered).toBe(true);
    const sent = wire.seqs.length;
    hub.reset(snapshot({ heads: new Map([["c", 3]]) }));
    hub.apply([numbered("c", 4)]);
    await turn();
    for (let n = 0; n < 20; n++) wire.drain();
    expect(seqsOf(wire.texts)).toEqual([...range(1, sent), "restarted c 3", 4]);
  });

  it("answers a client under latest, and what was kept for it goes", async () => {
    const policies = [{ channels: "*", policy: "latest" }];
    const { hub, publish, reader, turn } = setUp(
      { slowClients: { connectionBytes: "256KiB", totalBytes: "4MiB", policies } },
      true,
    );
    const { wire, subscribe } = reader();
    subscribe("c");
    wire.fast = false;
    for (let n = 0; n < 60; n++) {
      publish("c", 4 * KIB);
      await turn();
    }
    const sent = wire.seqs.length;
    expect(sent).toBeLessThan(60);
    hub.reset(snapshot({}));
    hub.apply([numbered("c", 1)]);
    await turn();
    wire.drain();
    expect(seqsOf(wire.texts)).toEqual([...range(1, sent), "restarted c 0", 1]);
  });

  it("fills the history with what the log still has, and sends none of it", async () => {
    const { hub, reader, turn } = setUp({}, true);
    const { wire, subscribe } = reader();
    subscribe("a");
    const heads = new Map([
      ["a", 7],
      ["quiet", 3],
      ["b", 2],
    ]);
    const messages = [numbered("a", 6), numbered("b", 2), numbered("a", 7)];
    hub.reset(snapshot({ epoch: "same", reason: "behind", heads, messages }));
    hub.apply([numbered("a", 8)]);
    await turn();
    expect(seqsOf(wire.texts)).toEqual(["restarted a 7", 8]);
    const other = reader();
    expect(other.subscribe("a", { epoch: "same", seq: 5 }).recovered).toBe(true);
    expect(other.subscribe("b", { epoch: "same", seq: 1 }).recovered).toBe(true);
    // One who had all of a channel without messages in the log goes on; nobody else can.
    expect(other.subscribe("quiet", { epoch: "same", seq: 3 })).toMatchObject({
      recovered: true,
      seq: 3,
    });
    await turn();
    expect(other.wire.seqs).toEqual([6, 7, 8, 2]);
    const late = reader();
    expect(late.subscribe("a", { epoch: "same", seq: 4 }).recovered).toBe(false);
    expect(late.subscribe("quiet", { epoch: "same", seq: 2 }).recovered).toBe(false);
  });

  it("keeps the exact head of a channel that is forgotten, where numbers go on exactly", async () => {
    const { hub, advance, turn } = setUp({ history: { age: "1s", bytes: "256KiB" } }, true);
    hub.reset(snapshot({ heads: new Map([["other", 100]]) }));
    hub.apply([numbered("c", 1), numbered("c", 2)]);
    await turn();
    advance(1001);
    hub.sweep();
    expect([hub.channels.size, hub.headOf("c"), hub.headOf("other"), hub.headOf("new")]).toEqual([
      0, 2, 100, 0,
    ]);
    hub.apply([numbered("c", 3), numbered("new", 1)]);
    expect(hub.headOf("c")).toBe(3);
  });

  it("refuses a number that is not the channel's next one", () => {
    const { hub } = setUp({}, true);
    hub.apply([numbered("c", 1)]);
    expect(() => hub.apply([numbered("c", 3)])).toThrow("the log gave c 3 after 1");
    const messages = [numbered("c", 1)];
    const wrong = snapshot({ heads: new Map([["c", 2]]), messages });
    expect(() => hub.reset(wrong)).toThrow("ends c at 1");
  });

  it("of the memory's own: a relay that serves again begins a new epoch and forgets ids", () => {
    const { hub, messageLog, publish } = setUp();
    const sent = message("c", 1);
    messageLog.append([sent], { source: SOURCE });
    expect(messageLog.append([sent], { source: SOURCE })).toMatchObject([
      { seq: 1, duplicate: true },
    ]);
    const before = hub.epoch;
    messageLog.beginAnew();
    expect(hub.epoch).not.toBe(before);
    expect(messageLog.epoch).toBe(hub.epoch);
    expect(messageLog.append([sent], { source: SOURCE })).toMatchObject([
      { seq: 1, duplicate: false },
    ]);
    expect(publish("c", 1)).toMatchObject([{ seq: 2 }]);
  });
});
