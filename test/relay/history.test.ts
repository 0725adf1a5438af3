import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ChannelHistory, Entry } from "../../relay/channels/channel-history.ts";
import { CHANNEL_COST, ENTRY_COST, History } from "../../relay/channels/history.ts";
import type { Since } from "../../relay/contract/protocol.ts";
import { DuplicateWindow } from "../../relay/log/duplicates.ts";
import { textFrame } from "../../relay/wire/frame.ts";

const LIMITS = {
  count: 5,
  bytes: 1000,
  age: 1000,
  totalCount: 12,
  totalBytes: 3000 + 12 * ENTRY_COST + 3 * CHANNEL_COST,
};
const EPOCH = "e1";

function entry(seq: number, at: number, bytes = 20): Entry {
  const frame = textFrame("x".repeat(bytes));
  return { seq, at, eventName: "e", frame, payloadStart: 2, payloadEnd: 3 };
}

function append(
  history: History,
  channelHistory: ChannelHistory,
  at: number,
  bytes?: number,
): void {
  history.append(channelHistory, entry(channelHistory.seq + 1, at, bytes));
}

describe("History", () => {
  it("keeps count, bytes and age, per channel and in all", () => {
    const history = new History(LIMITS, 0);
    const [a, b, c] = [history.open("c"), history.open("c"), history.open("c")];
    for (let n = 0; n < 8; n++) append(history, a, 10 + n);
    expect([a.size, a.evictedSeq, a.evictedAt]).toEqual([5, 3, 12]);
    for (let n = 0; n < 5; n++) append(history, b, 30 + n);
    for (let n = 0; n < 5; n++) append(history, c, 50 + n);
    // 12 in all: the oldest of all channels went.
    expect([a.size, b.size, c.size, history.count]).toEqual([2, 5, 5, 12]);
    append(history, c, 60, 950);
    expect(c.size).toBe(3);
    append(history, c, 61, 2000);
    expect([c.size, c.evictedSeq]).toEqual([0, 7]);
    history.expire(1033);
    expect([a.size, b.size]).toEqual([0, 2]);
    expect([history.count, history.bytes]).toEqual([2, b.bytes + 2 * ENTRY_COST + CHANNEL_COST]);
  });

  it("recovers an age only when nothing after it was evicted, with the margin", () => {
    const history = new History(LIMITS, 0);
    const channelHistory = history.open("c");
    for (let n = 1; n <= 7; n++) append(history, channelHistory, n * 100);
    const ask = (ageMs: number) =>
      history.recover(channelHistory, { ageMs }, { epoch: EPOCH, now: 1000, marginMs: 50 });
    // Message 2 (accepted at 200) is the last evicted one.
    expect(ask(740)).toEqual({ recovered: true, from: 3 });
    expect(ask(750)).toEqual({ recovered: false, from: 8 });
    expect(ask(450)).toEqual({ recovered: true, from: 5 });
    expect(ask(449)).toEqual({ recovered: true, from: 6 });
    expect(ask(0)).toEqual({ recovered: true, from: 8 });
  });

  it("cannot recover an age that reaches behind its start", () => {
    const history = new History(LIMITS, 500);
    const channelHistory = history.open("c");
    const options = { epoch: EPOCH, now: 1000, marginMs: 0 };
    expect(history.recover(channelHistory, { ageMs: 499 }, options).recovered).toBe(true);
    expect(history.recover(channelHistory, { ageMs: 500 }, options).recovered).toBe(false);
  });

  it("a forgotten channel comes back above every number it can have had", () => {
    const history = new History(LIMITS, 0);
    const a = history.open("c");
    for (let n = 1; n <= 9; n++) append(history, a, n);
    history.forget("c", a);
    expect(history.count).toBe(0);
    const again = history.open("c");
    const ask = (seq: number) =>
      history.recover(again, { epoch: EPOCH, seq }, { epoch: EPOCH, now: 10, marginMs: 0 });
    expect(ask(9)).toEqual({ recovered: true, from: 10 });
    expect(ask(8).recovered).toBe(false);
    append(history, again, 20);
    expect(again.seq).toBe(10);
    expect(ask(9)).toEqual({ recovered: true, from: 10 });
    expect(ask(5).recovered).toBe(false);
    const age = { epoch: EPOCH, now: 20, marginMs: 0 };
    expect(history.recover(again, { ageMs: 10 }, age).recovered).toBe(true);
    expect(history.recover(again, { ageMs: 11 }, age).recovered).toBe(false);
  });

  it("never claims a recovery that leaves something out (against a model that forgets nothing)", () => {
    const command = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          do: fc.constant("append" as const),
          channel: fc.nat(3),
          bytes: fc.integer({ min: 1, max: 400 }),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({
          do: fc.constant("wait" as const),
          ms: fc.integer({ min: 1, max: 600 }),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ do: fc.constant("forget" as const), channel: fc.nat(3) }),
      },
      {
        weight: 3,
        arbitrary: fc.record({
          do: fc.constant("position" as const),
          channel: fc.nat(3),
          back: fc.integer({ min: -2, max: 12 }),
        }),
      },
      {
        weight: 3,
        arbitrary: fc.record({
          do: fc.constant("age" as const),
          channel: fc.nat(3),
          ageMs: fc.nat(2000),
        }),
      },
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 200 }), fc.boolean(), (commands, keepsHeads) => {
        let now = 1;
        const history = new History(LIMITS, 0, keepsHeads ? new Map() : undefined);
        const histories = new Map<number, ChannelHistory>();
        const model = new Map<number, { seq: number; at: number }[]>();
        const historyOf = (channel: number) => {
          const channelHistory = histories.get(channel) ?? history.open(String(channel));
          histories.set(channel, channelHistory);
          return channelHistory;
        };
        const modelOf = (channel: number) => {
          const list = model.get(channel) ?? [];
          model.set(channel, list);
          return list;
        };
        for (const step of commands) {
          now += 1;
          if (step.do === "wait") {
            now += step.ms;
            history.expire(now);
            continue;
          }
          const channelHistory = historyOf(step.channel);
          const all = modelOf(step.channel);
          if (step.do === "append") {
            const last = all.at(-1)?.seq ?? 0;
            append(history, channelHistory, now, step.bytes);
            if (keepsHeads) expect(channelHistory.seq).toBe(last + 1);
            else expect(channelHistory.seq).toBeGreaterThan(last);
            all.push({ seq: channelHistory.seq, at: now });
          } else if (step.do === "forget") {
            history.forget(String(step.channel), channelHistory);
            histories.delete(step.channel);
          } else {
            const since: { ageMs?: number; epoch?: string; seq?: number } =
              step.do === "age"
                ? { ageMs: step.ageMs }
                : { epoch: EPOCH, seq: Math.max(0, channelHistory.seq - step.back) };
            const answer = history.recover(channelHistory, since as Since, {
              epoch: EPOCH,
              now,
              marginMs: 0,
            });
            const wanted = all.filter((message) =>
              "seq" in since
                ? message.seq > (since.seq as number)
                : message.at >= now - (since.ageMs as number),
            );
            if (!answer.recovered) {
              expect(answer.from).toBe(channelHistory.seq + 1);
            } else {
              const given = channelHistory.slice(
                answer.from,
                channelHistory.seq,
                Number.POSITIVE_INFINITY,
              );
              expect(given.map(({ seq }) => seq)).toEqual(wanted.map(({ seq }) => seq));
            }
          }
          expect(history.count).toBeLessThanOrEqual(LIMITS.totalCount);
          expect(history.bytes).toBeLessThanOrEqual(LIMITS.totalBytes);
          expect(channelHistory.size).toBeLessThanOrEqual(LIMITS.count);
          expect([...channelHistory.entries()].map(({ seq }) => seq)).toEqual(
            Array.from(
              { length: channelHistory.size },
              (_, index) => channelHistory.evictedSeq + 1 + index,
            ),
          );
        }
        const sum = [...histories.values()].reduce(
          (total, channelHistory) => total + channelHistory.size,
          0,
        );
        expect(history.count).toBe(sum);
        const kept = [...histories.values()].filter((channelHistory) => channelHistory.size > 0);
        const bytes = kept.reduce((total, channelHistory) => total + channelHistory.bytes, 0);
        expect(history.bytes).toBe(bytes + sum * ENTRY_COST + kept.length * CHANNEL_COST);
      }),
      { numRuns: 300 },
    );
  });
});

describe("ChannelHistory.slice", () => {
  it("gives one message at least, and no more than fits", () => {
    const history = new History({ ...LIMITS, bytes: 10_000, totalBytes: 20_000 }, 0);
    const channelHistory = history.open("c");
    for (const bytes of [300, 300, 100]) append(history, channelHistory, 1, bytes);
    expect(channelHistory.slice(1, 3, 10).map(({ seq }) => seq)).toEqual([1]);
    expect(channelHistory.slice(2, 3, 420).map(({ seq }) => seq)).toEqual([2, 3]);
    expect(channelHistory.slice(2, 2, 420).map(({ seq }) => seq)).toEqual([2]);
    expect(channelHistory.slice(4, 9, 420)).toEqual([]);
  });
});

describe("DuplicateWindow", () => {
  it("knows an id for its window, and no more ids than it may", () => {
    const window = new DuplicateWindow({ count: 3, window: 100 });
    window.add("q", "c", "a", 0, 7);
    expect(window.find("q", "c", "a", 100)).toBe(7);
    expect(window.find("q", "c", "a", 101)).toBeUndefined();
    for (const id of ["b", "c", "d"]) window.add("q", "c", id, 50, 0);
    expect(window.find("q", "c", "a", 50)).toBeUndefined();
    expect(window.size).toBe(3);
    window.add("q", "c", "b", 160, 1);
    window.expire(151);
    expect([...window.entries()].map(({ seq }) => seq)).toEqual([1]);
    window.expire(261);
    expect([...window.entries()]).toEqual([]);
  });

  it("stays inside its count whatever is added (and keeps none with count 0)", () => {
    const none = new DuplicateWindow({ count: 0, window: 100 });
    none.add("q", "c", "a", 0, 1);
    expect([none.size, none.find("q", "c", "a", 0)]).toEqual([0, undefined]);
    const window = new DuplicateWindow({ count: 10, window: 1e9 });
    for (let n = 0; n < 10_000; n++) window.add("q", "c", String(n % 17), n, n);
    expect(window.size).toBe(10);
    expect([...window.entries()].length).toBe(10);
    expect(window.find("q", "c", String(9999 % 17), 9999)).toBe(9999);
  });

  it("finds every id that it should while it grows and wraps", () => {
    const window = new DuplicateWindow({ count: 1000, window: 500 });
    for (let n = 0; n < 5000; n++) {
      window.add("q", "c", String(n), n, n);
      if (n % 700 === 0) window.expire(n);
      for (const back of [0, 1, 250, 499]) {
        const id = n - back;
        if (id >= 0) expect(window.find("q", "c", String(id), n)).toBe(id);
      }
      expect(window.find("q", "c", String(n - 501), n)).toBeUndefined();
    }
  });

  it("keeps sources and channels apart: none fills or poisons the window of another", () => {
    const window = new DuplicateWindow({ count: 5, window: 1e9 });
    window.add("queue:A", "c", "id", 0, 1);
    expect(window.find("key:b", "c", "id", 0)).toBeUndefined();
    expect(window.find("queue:A", "d", "id", 0)).toBeUndefined();
    for (let n = 0; n < 100; n++) window.add("key:b", "c", String(n), 0, n);
    expect(window.find("queue:A", "c", "id", 0)).toBe(1);
  });

  it("bounds the sources: the one that was quiet for longest goes", () => {
    const window = new DuplicateWindow({ count: 5, window: 1e9 });
    for (let n = 0; n < 1000; n++) window.add(`key:${n}`, "c", "id", n, n);
    window.add("key:0", "c", "other", 1000, 1);
    window.add("key:1000", "c", "id", 1001, 1);
    const sources = new Set([...window.entries()].map(({ source }) => source));
    expect([sources.size, sources.has("key:0"), sources.has("key:1")]).toEqual([1000, true, false]);
  });

  it("gives back what it held, for its source and channel only", () => {
    const first = new DuplicateWindow({ count: 5, window: 1e9 });
    first.add("queue:A", "c", "id", 3, 4);
    const second = new DuplicateWindow({ count: 5, window: 1e9 });
    for (const seen of first.entries()) second.restore(seen);
    expect(second.find("queue:A", "c", "id", 3)).toBe(4);
    expect(second.find("queue:A", "x", "id", 3)).toBeUndefined();
    expect(second.find("key:b", "c", "id", 3)).toBeUndefined();
  });
});
