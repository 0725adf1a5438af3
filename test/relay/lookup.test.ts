/** GET /api/channels, /api/history and /api/members; and how much a key may post. */
import { afterEach, describe, expect, it } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import { API_KEY, Client, message, post, SOURCE, startTestRelay, token, until } from "./support.ts";

let relay: Relay;
afterEach(() => relay.close());

const KEYS = [
  { name: "reader", key: "reader-key-0123456789", scopes: ["read"] },
  { name: "sales", key: "sales-key-0123456789", scopes: ["read"], channels: ["sales*"] },
  { name: "worker", key: API_KEY, trusted: true },
];

const start = async (overrides: object = {}) => {
  relay = await startTestRelay({ apiKeys: KEYS, ...overrides });
};

async function get(path: string, name = "reader") {
  const headers = { "x-api-key": name === "worker" ? API_KEY : `${name}-key-0123456789` };
  const response = await fetch(`http://127.0.0.1:${relay.port}/api/${path}`, { headers });
  const text = await response.text();
  return { status: response.status, text, body: JSON.parse(text) };
}

const publish = (channel: string, ...payloads: string[]) =>
  relay.publisher.publish(
    payloads.map((payload) => message(channel, 0, { payload })),
    SOURCE,
  );

describe("channels", () => {
  it("lists by name, a page after the other, what the key grants", async () => {
    await start();
    for (let n = 0; n < 30; n++) await publish(`sales:${String(n).padStart(2, "0")}`, "1", "2");
    await publish("stock", "1");
    const client = await Client.connect(relay, {
      token: await token(["sales:07"]),
      subscribe: [{ channel: "sales:07" }],
    });
    await client.nextN(2);
    const seen: string[] = [];
    for (let after = ""; ; ) {
      const { body } = await get(`channels?limit=7&prefix=sales&after=${after}`);
      for (const { channel } of body.channels) seen.push(channel);
      if (body.after === null) break;
      after = body.after;
    }
    expect(seen).toEqual(
      Array.from({ length: 30 }, (_, n) => `sales:${String(n).padStart(2, "0")}`),
    );
    expect((await get("channels?prefix=sales:07")).body).toMatchObject({
      channels: [
        {
          ...{ channel: "sales:07", subscribers: 1, seq: 2, messages: 2 },
          ...{ retained: 0, retainedBytes: 0 },
        },
      ],
      after: null,
    });
    await relay.publisher.publish([message("stock", 1, { retain: 3600 })], SOURCE);
    const { body: stock } = await get("channels?prefix=stock");
    expect(stock.channels).toEqual([
      {
        ...{ channel: "stock", subscribers: 0, seq: 2, messages: 2 },
        ...{ retained: 1, retainedBytes: expect.any(Number) },
      },
    ]);
    expect(stock.channels[0].retainedBytes).toBeGreaterThan(50);
    const all = (await get("channels?limit=1000")).body.channels;
    expect(all.at(-1)).toMatchObject({ channel: "stock" });
    const some = (await get("channels?limit=1000", "sales")).body.channels;
    expect(some).toHaveLength(30);
  });
});

describe("a channel of which nothing but a last value is left", () => {
  it("is listed, for the console too", async () => {
    await start({ history: { count: 100, totalCount: 100 } });
    await relay.publisher.publish([message("wall", 1, { retain: 3600 })], SOURCE);
    expect((await get("channels")).body.channels).toHaveLength(1);
    // So many channels without messages are not left to the next regular sweep.
    const others = Array.from({ length: 10_200 }, (_, n) => message(`other:${n}`, n));
    await relay.publisher.publish(others, SOURCE);
    const retained = { retained: 1, retainedBytes: expect.any(Number) };
    const wall = [...relay.inspection.channels()].find(({ channel }) => channel === "wall");
    const gone = { seq: undefined, subscriptions: 0, kept: 0, keptBytes: 0 };
    expect(wall).toMatchObject({ ...gone, ...retained });
    expect((await get("channels?prefix=wall")).body.channels).toEqual([
      { channel: "wall", subscribers: 0, seq: 1, messages: 0, ...retained },
    ]);
  });
});

describe("history", () => {
  it("gives messages byte for byte, the newest or those behind a position", async () => {
    await start();
    await publish("sales", "9007199254740993", '{"a" :\n1.0}', "3", "4");
    const newest = await get("history?channel=sales&limit=2");
    expect(newest.body).toMatchObject({ seq: 4, recovered: false, more: false });
    expect(newest.body.messages.map(({ seq }: { seq: number }) => seq)).toEqual([3, 4]);
    const { epoch } = newest.body;
    const behind = await get(`history?channel=sales&since=${epoch}:0&limit=3`);
    expect(behind.body).toMatchObject({ recovered: true, more: true });
    expect(behind.text).toContain('"payload":9007199254740993,');
    expect(behind.text).toContain('"payload":{"a" :\n1.0},');
    expect((await get("history?channel=sales&since=other:1")).body).toMatchObject({
      recovered: false,
      messages: [],
    });
    expect((await get("history?channel=nothing")).body).toMatchObject({ seq: 0, messages: [] });
    // Nobody who only looks makes a channel.
    expect((await get("channels?prefix=nothing")).body.channels).toEqual([]);
  });
});

describe("members", () => {
  it("says who is present", async () => {
    await start({ presence: { rules: [{ channels: "room*" }] } });
    for (const subject of ["SCOTT", "KING"]) {
      const presence = { join: ["room*"], info: { name: subject } };
      const client = await Client.connect(relay, {
        token: await token(["room:1"], { subject, claims: { self: `user:${subject}`, presence } }),
        subscribe: [{ channel: "room:1", presence: { join: true } }],
      });
      expect((await client.nextN(2))[1]).toMatchObject({ op: "subscribed" });
    }
    await until(
      "both to be seen",
      async () => (await get("members?channel=room:1")).body.count === 2,
    );
    const { body } = await get("members?channel=room:1&limit=1");
    expect(body).toMatchObject({
      count: 2,
      members: [{ user: "KING", connections: 1, info: { name: "KING" } }],
      after: "KING",
    });
    // The relay has just begun: some may be missing for so many whole milliseconds.
    expect(Number.isInteger(body.settleMs)).toBe(true);
    const rest = (await get("members?channel=room:1&after=KING")).body;
    expect(rest).toMatchObject({ members: [{ user: "SCOTT" }], after: null });
    expect((await get("members?channel=sales")).body).toMatchObject({ count: 0, members: [] });
  });
});

describe("whoever looks", () => {
  it.each([
    ["channels", "worker", 403, "scope_missing"],
    ["history?channel=stock", "sales", 403, "channel_forbidden"],
    ["members?channel=stock", "sales", 403, "channel_forbidden"],
    ["channels", "nobody", 401, "unauthorized"],
    ["channels?limit=0", "reader", 400, "bad_query"],
    ["channels?limit=1001", "reader", 400, "bad_query"],
    ["channels?limit=x", "reader", 400, "bad_query"],
    ["history", "reader", 400, "bad_channel"],
    ["history?channel=a*", "reader", 400, "bad_channel"],
    ["history?channel=a&since=1", "reader", 400, "bad_since"],
  ])("at %s as %s is answered %i %s", async (path, name, status, code) => {
    await start();
    expect(await get(path, name)).toMatchObject({ status, body: { ok: false, code } });
  });

  it("is told to wait while the relay does not serve", async () => {
    relay = await startTestRelay({ apiKeys: KEYS }, { serving: false });
    expect(await get("channels")).toMatchObject({ status: 503, body: { code: "unavailable" } });
  });
});

describe("a key's rate", () => {
  const limited = (trusted: boolean) => ({
    apiKeys: [{ name: "worker", key: API_KEY, trusted, itemsPerSecond: 1 }],
    limits: { batchMessages: 10 },
  });
  const batch = (count: number) => Array.from({ length: count }, () => ({ channel: "sales" }));

  it("takes a body as a whole, or nothing of it with 429, whatever was in it", async () => {
    await start(limited(false));
    expect((await post(relay, batch(7))).status).toBe(200);
    const refused = await post(relay, batch(9));
    expect(refused).toMatchObject({ status: 429, body: { ok: false, code: "rate_limited" } });
    expect(refused.headers.get("retry-after")).toBe("2");
    expect((await post(relay, batch(2))).status).toBe(200);
    expect(relay.registry.getSingleMetric("rtm_relay_messages_accepted_total")).toBeDefined();
    const text = await relay.registry.metrics();
    expect(text).toMatch(/^rtm_relay_messages_accepted_total 9$/m);
  });

  it("holds up a trusted key with 503, so that a worker sets nothing aside", async () => {
    await start(limited(true));
    expect((await post(relay, batch(10))).status).toBe(200);
    expect(await post(relay, batch(9))).toMatchObject({
      status: 503,
      body: { code: "unavailable" },
    });
  });
});
