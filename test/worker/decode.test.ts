import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Dequeued, decode, withCheckedText } from "../../worker/decode.ts";

const ID = "0123456789abcdef0123456789abcdef";

function raw(text: string | Uint8Array): Dequeued {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  return { id: ID, attempts: 0, body: { kind: "bytes", bytes } };
}

const header = (extra: object = {}) =>
  JSON.stringify({ v: 1, channel: "sales", eventName: "order", ts: 17, ...extra });

describe("decode of our own queue", () => {
  it("takes header line and payload text as they are", () => {
    const decoded = decode(raw(`${header()}\n {"n": 9007199254740993}`), undefined, 0);
    expect(decoded).toEqual({
      kind: "message",
      message: {
        channel: "sales",
        eventName: "order",
        ts: 17,
        id: ID,
        payload: ' {"n": 9007199254740993}',
      },
    });
  });

  it("takes the payload text from the string member on a JSON queue", () => {
    const value = { ...JSON.parse(header()), payload: '{"n":1}' };
    const decoded = decode({ id: ID, attempts: 0, body: { kind: "json", value } }, undefined, 0);
    expect(decoded).toMatchObject({ kind: "message", message: { payload: '{"n":1}' } });
  });

  it("reports a claim check with its id in lower case", () => {
    const claim = "ABCDEF00000000000000000000000001";
    const decoded = decode(raw(`${header({ claim })}\n`), undefined, 0);
    expect(decoded).toMatchObject({ kind: "claim", checkId: claim.toLowerCase() });
  });

  it("passes on for how long a message is kept as a last value", () => {
    expect(decode(raw(`${header({ retain: 60 })}\n1`), undefined, 0)).toMatchObject({
      message: { retain: 60, payload: "1" },
    });
    const value = { ...JSON.parse(header({ retain: 604_800 })), payload: "1" };
    expect(
      decode({ id: ID, attempts: 0, body: { kind: "json", value } }, undefined, 0),
    ).toMatchObject({ message: { retain: 604_800 } });
    const claim = "abcdef00000000000000000000000001";
    const checked = decode(raw(`${header({ claim, retain: 1 })}\n`), undefined, 0);
    expect(checked.kind === "claim" && withCheckedText(checked, "2")).toMatchObject({
      message: { retain: 1, payload: "2" },
    });
  });

  it.each([0, 604_801, 1.5, "60", null])("refuses a time of %j to keep it", (retain) => {
    expect(decode(raw(`${header({ retain })}\n1`), undefined, 0)).toMatchObject({
      poison: { code: "bad_header", reason: "the header's retain is not 1 to 604800 seconds" },
    });
  });

  it.each([
    ["bad_header", "{}", "no header line"],
    ["bad_header", "nonsense\n{}", "not JSON"],
    ["bad_header", "[]\n{}", "not a JSON object"],
    ["unsupported_version", `${header({ v: 3 })}\n{}`, "not 1 or 2"],
    ["unsupported_version", `${header({ v: "2" })}\n{}`, "not 1 or 2"],
    ["bad_name", `${header({ channel: "" })}\n{}`, "channel must not be empty"],
    ["bad_name", `${header({ eventName: "a*" })}\n{}`, "eventName must not contain"],
    ["bad_header", `${header({ ts: -1 })}\n{}`, "ts is not a time"],
    ["bad_header", `${header({ claim: "x" })}\n`, "claim is not an id"],
    ["not_json", `${header()}\n{"a":}`, "not JSON"],
    ["not_json", `${header()}\n`, "not JSON"],
  ])("sets aside as %s: %s", (code, text, reason) => {
    expect(decode(raw(text), undefined, 0)).toMatchObject({
      kind: "poison",
      poison: { id: ID, code, reason: expect.stringContaining(reason), payload: text },
    });
  });

  it("keeps bytes that are no UTF-8 as base64", () => {
    const decoded = decode(raw(Buffer.from([0xff, 0xfe])), undefined, 0);
    expect(decoded).toMatchObject({
      kind: "poison",
      poison: { code: "not_utf8", payload: "base64://4=" },
    });
  });

  it("names channel and event of poison as soon as they are known", () => {
    const decoded = decode(raw(`${header()}\nnonsense`), undefined, 0);
    expect(decoded).toMatchObject({ poison: { channel: "sales", eventName: "order" } });
  });

  it("never throws, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.string(), (bytes, text) => {
        decode(raw(bytes), undefined, 0);
        decode(raw(`${header()}\n${text}`), undefined, 0);
        decode(raw(text), { channel: "c" }, 0);
      }),
    );
  });
});

describe("decode of a control item", () => {
  const control = (op: unknown, body: unknown, ts: unknown = 17) =>
    decode(raw(`${JSON.stringify({ v: 2, op, ts })}\n${JSON.stringify(body)}`), undefined, 0);

  it.each([
    ["revoke", { user: "SCOTT", self: "user:SCOTT" }],
    ["revoke", { sid: "0a".repeat(16) }],
    ["unsubscribe", { user: "SCOTT", self: "user:SCOTT", channel: "room:1" }],
    ["disconnect", { user: "SCOTT", self: "user:SCOTT", stop: true }],
    ["forget", { channel: "room:1", eventName: "price" }],
  ])("takes %s as the relay takes it", (op, body) => {
    expect(control(op, body)).toEqual({ kind: "control", id: ID, item: { op, ...body }, ts: 17 });
  });

  it("takes the item's text from the string member on a JSON queue", () => {
    const value = { v: 2, op: "revoke", ts: 17, payload: '{"user":"SCOTT"}' };
    const decoded = decode({ id: ID, attempts: 0, body: { kind: "json", value } }, undefined, 0);
    expect(decoded).toMatchObject({ item: { op: "revoke", user: "SCOTT" } });
  });

  it.each([
    ["unsupported_version", "ban", { user: "SCOTT" }, 'the header\'s op is "ban"'],
    ["unsupported_version", undefined, { user: "SCOTT" }, "the header's op is undefined"],
    ["unsupported_version", "toString", { user: "SCOTT" }, "the header's op is"],
    ["bad_header", "revoke", {}, "the control item: revoke needs"],
    ["bad_header", "revoke", { user: 7 }, "the control item: user must be"],
    ["bad_header", "revoke", { user: "SCOTT", channel: "a" }, "revoke has no member channel"],
    ["bad_header", "forget", ["a"], "the control item is not a JSON object"],
  ])("sets aside as %s: %s %j", (code, op, body, reason) => {
    expect(control(op, body)).toMatchObject({
      kind: "poison",
      poison: { id: ID, code, reason: expect.stringContaining(reason) },
    });
  });

  it.each(["v", "op"])(
    "sets aside a header whose %s is a long text, or deeper than the stack",
    (name) => {
      const deep = `${"[".repeat(32_000)}${"]".repeat(32_000)}`;
      for (const value of [deep, '{"a":1}', `"${"x".repeat(100_000)}"`, "1e400", "null"]) {
        const decoded = decode(
          raw(`{"v":2,"op":"revoke","${name}":${value},"ts":1}\n{}`),
          undefined,
          0,
        );
        expect(decoded).toMatchObject({ kind: "poison", poison: { code: "unsupported_version" } });
        if (decoded.kind === "poison") expect(decoded.poison.reason.length).toBeLessThan(120);
      }
    },
  );

  it("sets aside one without a time, or whose body is no JSON", () => {
    expect(control("revoke", { user: "SCOTT" }, -1)).toMatchObject({
      poison: { code: "bad_header" },
    });
    expect(decode(raw('{"v":2,"op":"revoke","ts":1}\n{'), undefined, 0)).toMatchObject({
      poison: { code: "not_json" },
    });
  });
});

describe("decode of a foreign queue", () => {
  it("addresses bare JSON by the configuration", () => {
    expect(decode(raw("[1]"), { channel: "dashboard" }, 99)).toEqual({
      kind: "message",
      message: { channel: "dashboard", eventName: "message", ts: 99, id: ID, payload: "[1]" },
    });
  });

  it("takes JMS text, and sets aside what was cut off", () => {
    const body = { kind: "text", text: '{"a":1}', truncated: false } as const;
    expect(
      decode({ id: ID, attempts: 0, body }, { channel: "c", eventName: "e" }, 1),
    ).toMatchObject({
      kind: "message",
      message: { eventName: "e", payload: '{"a":1}' },
    });
    const cut = { id: ID, attempts: 0, body: { ...body, truncated: true } };
    expect(decode(cut, { channel: "c" }, 1)).toMatchObject({ poison: { code: "too_large" } });
  });

  it("writes a JSON value as text", () => {
    const body = { kind: "json", value: { a: [1, null] } } as const;
    expect(decode({ id: ID, attempts: 0, body }, { channel: "c" }, 1)).toMatchObject({
      message: { payload: '{"a":[1,null]}' },
    });
  });
});

describe("withCheckedText", () => {
  const claim = {
    kind: "claim",
    checkId: "c1",
    id: ID,
    header: { channel: "s", eventName: "e", ts: 1 },
  } as const;

  it("completes the message", () => {
    expect(withCheckedText(claim, "[]")).toMatchObject({
      kind: "message",
      message: { payload: "[]" },
    });
  });

  it("sets aside a missing row and text that is no JSON", () => {
    expect(withCheckedText(claim, undefined)).toMatchObject({ poison: { code: "claim_missing" } });
    expect(withCheckedText(claim, "{")).toMatchObject({
      poison: { code: "not_json", payload: "{" },
    });
  });
});
