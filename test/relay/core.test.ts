/** The pure parts: frames, spans of JSON text, patterns, rates, deadlines. */
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { channelPrefix, encodeMessage, formatFrame } from "../../relay/channels/encode.ts";
import { Slab } from "../../relay/channels/slab.ts";
import { isProblem, parseClientFrame, parsePosition } from "../../relay/clients/client-frame.ts";
import { Deadlines } from "../../relay/clients/deadlines.ts";
import { RateLimit } from "../../relay/clients/rate-limit.ts";
import { MAX_DEPTH } from "../../relay/contract/message.ts";
import { matchesAny, patternProblem } from "../../relay/contract/patterns.ts";
import { CODES } from "../../relay/contract/protocol.ts";
import { rawMember, splitItems } from "../../relay/http/json-span.ts";
import { frameText, textBytes, textFrame } from "../../relay/wire/frame.ts";

describe("frames", () => {
  it.each([0, 1, 125, 126, 127, 65_535, 65_536, 100_000])("carry %i bytes", (length) => {
    const frame = textFrame("x".repeat(length));
    expect(textBytes(frame)).toBe(length);
    expect(frameText(frame).toString()).toBe("x".repeat(length));
    expect(frame.length - length).toBe(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  });

  it("encode any message as the JSON that its parts say", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary" }),
        fc.string({ unit: "binary" }),
        fc.jsonValue(),
        (channel, eventName, value) => {
          const payload = JSON.stringify(value);
          const message = { channel, eventName, payload, id: "i", ts: 5 };
          const entry = encodeMessage(message, channelPrefix(channel), 7, 0);
          const text = frameText(entry.frame).toString();
          expect(text).toBe(
            JSON.stringify({ channel, eventName, payload: value, id: "i", seq: 7, ts: 5 }),
          );
          expect(frameText(formatFrame(entry, "payload")).toString()).toBe(payload);
        },
      ),
    );
  });
});

describe("rawMember", () => {
  it("finds the text as it was written, wherever it stands", () => {
    expect(rawMember('{"payload":1}', "payload")).toEqual(["1"]);
    expect(
      rawMember(' { "a" : [{"payload":2}, "]}" ] , "payload" : {"x": "\\"}"} } ', "payload"),
    ).toEqual(['{"x": "\\"}"}']);
    expect(rawMember('{"p\\u0061yload":9007199254740993}', "payload")).toEqual([
      "9007199254740993",
    ]);
    expect(rawMember('{"payload":1,"payload":"\\\\"}', "payload")).toEqual(['"\\\\"']);
    expect(rawMember('[{"payload":1.0},{},{"payload":null}]', "payload")).toEqual([
      "1.0",
      undefined,
      "null",
    ]);
    expect(rawMember("[]", "payload")).toEqual([]);
    expect(rawMember("[ ]", "payload")).toEqual([]);
    expect(rawMember("{}", "payload")).toEqual([undefined]);
  });

  it("agrees with JSON.parse on any object, any spacing, any depth", () => {
    const spaced = fc
      .tuple(
        fc.array(fc.dictionary(fc.oneof(fc.constant("payload"), fc.string()), fc.jsonValue())),
        fc.constantFrom(0, 1, "\t", "\n "),
      )
      .map(([value, space]) => ({ value, text: JSON.stringify(value, null, space) }));
    fc.assert(
      fc.property(spaced, ({ value, text }) => {
        const raw = rawMember(text, "payload");
        const parsed = raw.map((part) => (part === undefined ? undefined : JSON.parse(part)));
        const expected = JSON.parse(JSON.stringify(value)) as Record<string, unknown>[];
        expect(parsed).toEqual(
          expected.map((item) => (Object.hasOwn(item, "payload") ? item.payload : undefined)),
        );
      }),
      { numRuns: 500 },
    );
  });

  it("survives depth and long escapes", () => {
    const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
    expect(rawMember(`{"payload":${deep}}`, "payload")[0]).toBe(deep);
    const escapes = JSON.stringify('\\"'.repeat(100_000));
    expect(rawMember(`{"payload":${escapes},"b":1}`, "payload")[0]).toBe(escapes);
  });
});

describe("splitItems", () => {
  const parse = (text: string): unknown => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      return undefined;
    }
  };

  it("cuts a list where JSON.parse does, and nothing else", () => {
    const spaced = fc
      .tuple(fc.jsonValue({ maxDepth: 4 }), fc.constantFrom(0, 1, "\t", "\n "))
      .map(([value, space]) => JSON.stringify(value, null, space));
    fc.assert(
      fc.property(spaced, (text) => {
        const value = JSON.parse(text) as unknown;
        expect(splitItems(` ${text}\n`)?.map(parse)).toEqual(
          Array.isArray(value) ? value : [value],
        );
      }),
      { numRuns: 500 },
    );
  });

  it("makes no JSON of what is none", () => {
    const broken = fc
      .tuple(fc.jsonValue({ maxDepth: 3 }), fc.nat(), fc.nat(), fc.string({ maxLength: 2 }))
      .map(([value, at, cut, put]) => {
        const text = JSON.stringify([value, value]);
        const place = at % (text.length + 1);
        return text.slice(0, place) + put + text.slice(place + (cut % 3));
      });
    fc.assert(
      fc.property(broken, (text) => {
        const items = splitItems(text);
        const good = items?.every((item) => parse(item) !== undefined) ?? false;
        expect(good).toBe(parse(text) !== undefined);
      }),
      { numRuns: 3000 },
    );
  });

  it("takes nothing that is nested deeper than Oracle's JSON", () => {
    const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
    expect(splitItems(nested(MAX_DEPTH))).toHaveLength(1);
    expect(splitItems(nested(MAX_DEPTH + 1))).toBeUndefined();
    expect(splitItems("[".repeat(1_000_000))).toBeUndefined();
  });
});

describe("parseClientFrame", () => {
  const codes = new Set<string>(CODES);

  it("answers anything at all with a frame or a code of the table", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.json(),
      fc
        .record(
          {
            op: fc.oneof(
              fc.constantFrom(
                "connect",
                "subscribe",
                "unsubscribe",
                "refresh",
                "pong",
                "__proto__",
              ),
              fc.jsonValue(),
            ),
            token: fc.jsonValue(),
            channels: fc.oneof(fc.array(fc.jsonValue()), fc.jsonValue()),
            subscribe: fc.oneof(
              fc.array(
                fc.oneof(
                  fc.jsonValue(),
                  fc.record(
                    { channel: fc.jsonValue(), since: fc.jsonValue() },
                    { requiredKeys: [] },
                  ),
                  fc.record({
                    channel: fc.string(),
                    since: fc.record(
                      { epoch: fc.jsonValue(), seq: fc.jsonValue(), ageMs: fc.jsonValue() },
                      { requiredKeys: [] },
                    ),
                  }),
                ),
              ),
              fc.jsonValue(),
            ),
          },
          { requiredKeys: [] },
        )
        .map((frame) => JSON.stringify(frame)),
    );
    fc.assert(
      fc.property(text, (text) => {
        const frame = parseClientFrame(text);
        if (isProblem(frame)) expect(codes).toContain(frame.code);
        else if (frame.op === "connect" || frame.op === "subscribe") {
          for (const entry of frame.subscribe) {
            if (isProblem(entry)) expect(codes).toContain(entry.code);
            else expect(typeof entry.channel).toBe("string");
          }
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("survives depth", () => {
    const deep = "[".repeat(300_000);
    expect(parseClientFrame(deep)).toMatchObject({ code: "bad_frame" });
    expect(parseClientFrame(`{"op":"pong","x":${deep}${"]".repeat(300_000)}}`)).toEqual({
      op: "pong",
    });
  });

  it("reads positions of plain URLs", () => {
    expect(parsePosition("e-1:41")).toEqual({ epoch: "e-1", seq: 41 });
    for (const bad of ["", "e", ":1", "e:", "e:-1", "e:1.5", "e:1:2", `e:${"9".repeat(16)}`]) {
      expect(parsePosition(bad)).toBeUndefined();
    }
  });
});

describe("patterns", () => {
  it("match exact names and prefixes", () => {
    expect(matchesAny(["a", "b:*"], "a")).toBe(true);
    expect(matchesAny(["a", "b:*"], "ab")).toBe(false);
    expect(matchesAny(["a", "b:*"], "b:x")).toBe(true);
    expect(matchesAny(["*"], "anything")).toBe(true);
    expect(matchesAny([], "a")).toBe(false);
  });

  it("are refused with * elsewhere", () => {
    expect(patternProblem("a*")).toBeUndefined();
    expect(patternProblem("*")).toBeUndefined();
    for (const bad of ["", "a*b", "**", "*a", 5, "a\n"])
      expect(patternProblem(bad)).toBeTypeOf("string");
  });
});

describe("RateLimit", () => {
  it("allows a burst, then the rate", () => {
    const limits = { perSecond: 10, burst: 5 };
    const rate = new RateLimit(limits, 0);
    expect([1, 2, 3, 4, 5, 6].map(() => rate.take(1, 0, limits))).toEqual([
      true,
      true,
      true,
      true,
      true,
      false,
    ]);
    expect(rate.take(1, 100, limits)).toBe(true);
    expect(rate.take(1, 100, limits)).toBe(false);
    expect(rate.take(5, 10_000, limits)).toBe(true);
    expect(rate.take(6, 99_000, limits)).toBe(false);
  });
});

describe("Deadlines", () => {
  it("fire each owner once, in time, unless moved or deleted", () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    try {
      const fired: string[] = [];
      const deadlines = new Deadlines<string>((owner) => fired.push(owner));
      deadlines.set("b", 200);
      deadlines.set("a", 100);
      deadlines.set("gone", 100);
      deadlines.set("moved", 100);
      deadlines.delete("gone");
      deadlines.set("moved", 300);
      vi.advanceTimersByTime(99);
      expect(fired).toEqual([]);
      vi.advanceTimersByTime(1);
      expect(fired).toEqual(["a"]);
      vi.advanceTimersByTime(100);
      expect(fired).toEqual(["a", "b"]);
      deadlines.set("far", 3e9);
      vi.advanceTimersByTime(1000);
      expect(fired).toEqual(["a", "b", "moved"]);
      vi.advanceTimersByTime(3e9);
      expect(fired).toEqual(["a", "b", "moved", "far"]);
      deadlines.clear();
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("Slab", () => {
  it("gives memory that does not overlap, in slabs no larger than what is kept", () => {
    const slab = new Slab();
    const first = slab.allocate(100, 0);
    expect([first.length, first.buffer.byteLength]).toEqual([100, 100]);
    const [a, b, c] = [slab.allocate(100, 250), slab.allocate(100, 350), slab.allocate(100, 450)];
    expect(a.buffer).toBe(b.buffer);
    expect([a.byteOffset, b.byteOffset, a.buffer.byteLength]).toEqual([0, 100, 250]);
    expect([c.byteOffset, c.buffer.byteLength]).toEqual([0, 450]);
    expect(slab.allocate(100_000, 10).buffer.byteLength).toBe(100_000);
    expect(slab.allocate(10, 1e9).buffer.byteLength).toBe(16 * 1024);
  });
});
