import { afterEach, describe, expect, it } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import { EventReader } from "../protocol-kit/event-stream.ts";
import { message, post, SOURCE, startTestRelay, token, until } from "./support.ts";

let relay: Relay;
const readers: EventReader[] = [];

afterEach(async () => {
  for (const reader of readers.splice(0)) reader.destroy();
  await relay.close();
});

async function sse(query: string, headers: Record<string, string> = {}): Promise<EventReader> {
  const reader = await EventReader.open(relay, `/sse?${query}`, { headers });
  readers.push(reader);
  return reader;
}

const publish = (channel: string, payload: unknown, more = {}) =>
  relay.publisher.publish([message(channel, payload, more)], SOURCE);

async function payloads(reader: EventReader, count: number): Promise<unknown[]> {
  return (await reader.nextN(count)).map(({ payload }) => payload);
}

const PUBLIC = { publicChannels: ["*"] };

describe("GET /sse", () => {
  it("answers each channel as an event of its own kind, then sends messages", async () => {
    relay = await startTestRelay(PUBLIC);
    await publish("a", 1);
    const reader = await sse("channel=a&channel=b");
    expect(reader.status).toBe(200);
    expect(reader.response.headers).toMatchObject({
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store, no-transform",
      "x-accel-buffering": "no",
    });
    expect(reader.response.headers["transfer-encoding"]).toBeUndefined();
    const [first, second] = [await reader.nextEvent(), await reader.nextEvent()];
    expect([first.type, second.type]).toEqual(["rtm", "rtm"]);
    expect(JSON.parse(first.data)).toMatchObject({
      op: "subscribed",
      channel: "a",
      seq: 1,
      recovered: false,
    });
    const { epoch } = JSON.parse(first.data);
    expect([first.id, second.id]).toEqual([`${epoch}:1,0`, `${epoch}:1,0`]);
    expect(reader.raw).toMatch(/^retry: 2000\n/);
    await publish("b", "x");
    await publish("a", "y");
    const events = [await reader.nextEvent(), await reader.nextEvent()];
    expect(events.map(({ type, id }) => [type, id])).toEqual([
      ["message", `${epoch}:1,1`],
      ["message", `${epoch}:2,1`],
    ]);
    expect(JSON.parse(events[0]?.data as string)).toMatchObject({ channel: "b", payload: "x" });
  });

  it("keeps the value of printed JSON, whatever its line breaks are", async () => {
    relay = await startTestRelay(PUBLIC);
    const reader = await sse("channel=a");
    await reader.next();
    const bodies = ["\n", "\r", "\r\n", "\n\n", "\r\r\n"].map(
      (line) => `{"channel":"a","payload":{${line} "a\\r\\n": [1,${line}2]${line}}}`,
    );
    for (const body of bodies) expect((await post(relay, body)).status).toBe(200);
    const expected = { "a\r\n": [1, 2] };
    expect(await payloads(reader, bodies.length)).toEqual(bodies.map(() => expected));
  });

  it("resumes two channels at the two points where it was cut", async () => {
    relay = await startTestRelay(PUBLIC);
    const reader = await sse("channel=a&channel=b");
    await reader.nextN(2);
    for (const n of [1, 2, 3]) await publish("a", `a${n}`);
    await publish("b", "b1");
    await reader.nextN(3);
    const { id } = await reader.nextEvent();
    reader.destroy();
    await publish("b", "b2");
    await publish("a", "a4");
    const again = await sse("channel=a&channel=b", { "last-event-id": id });
    const answers = await again.nextN(2);
    expect(answers.map(({ recovered }) => recovered)).toEqual([true, true]);
    expect((await payloads(again, 2)).sort()).toEqual(["a4", "b2"]);
    await publish("a", "a5");
    expect(await payloads(again, 1)).toEqual(["a5"]);
  });

  it("cut at any event, gives exactly what comes after it", async () => {
    relay = await startTestRelay(PUBLIC);
    const query = "channel=a&channel=b";
    const first = await sse(query);
    const start = await first.nextEvent();
    await first.nextEvent();
    for (let n = 1; n <= 6; n++) {
      await relay.publisher.publish(
        [message(n % 3 === 0 ? "b" : "a", n), message("a", n * 10)],
        SOURCE,
      );
    }
    const all = [start];
    while (all.length < 13) all.push(await first.nextEvent());
    const values = all.slice(1).map(({ data }) => JSON.parse(data).payload as number);
    for (const [cut, { id }] of all.entries()) {
      const again = await sse(query, { "last-event-id": id });
      await again.nextN(2);
      const rest = (await payloads(again, values.length - cut)) as number[];
      expect(rest.sort((a, b) => a - b)).toEqual(values.slice(cut).sort((a, b) => a - b));
      again.destroy();
    }
  });

  it("misses nothing of what is published while a replay is under way", async () => {
    relay = await startTestRelay({ ...PUBLIC, history: { count: 3000 } });
    const reader = await sse("channel=a");
    const { id } = await reader.nextEvent();
    reader.destroy();
    const padding = "x".repeat(500);
    for (let n = 1; n <= 1000; n++) await publish("a", [n, padding]);
    const again = await sse("channel=a", { "last-event-id": id });
    for (let n = 1001; n <= 1200; n++) await publish("a", [n, padding]);
    expect(await again.next()).toMatchObject({ op: "subscribed", recovered: true });
    const got = (await payloads(again, 1200)) as [number, string][];
    expect(got.map(([n]) => n)).toEqual(Array.from({ length: 1200 }, (_, index) => index + 1));
  });

  it.each(["nonsense", "other:1", "x:1,2", ""])(
    "goes on live after the id %j, and says that it may have missed something",
    async (id) => {
      relay = await startTestRelay(PUBLIC);
      await publish("a", 1);
      const reader = await sse("channel=a", { "last-event-id": id });
      expect(reader.status).toBe(200);
      expect(await reader.next()).toMatchObject({ op: "subscribed", seq: 1, recovered: false });
      await publish("a", 2);
      expect(await reader.next()).toMatchObject({ payload: 2, seq: 2 });
    },
  );

  it("believes Last-Event-ID before since, because only that moves on", async () => {
    relay = await startTestRelay(PUBLIC);
    for (const n of [1, 2, 3]) await publish("a", n);
    const { epoch } = await (await sse("channel=a")).next();
    const bySince = await sse(`channel=a&since=${epoch}:1`);
    expect(await bySince.next()).toMatchObject({ recovered: true });
    expect(await payloads(bySince, 2)).toEqual([2, 3]);
    const byId = await sse(`channel=a&since=${epoch}:1`, { "last-event-id": `${epoch}:2` });
    await byId.next();
    expect(await payloads(byId, 1)).toEqual([3]);
  });

  it("sends only the events of its filter, and still moves its position", async () => {
    relay = await startTestRelay({ ...PUBLIC, heartbeat: { interval: "100ms" } });
    const reader = await sse("channel=a&event=x&event=y");
    const { epoch } = await reader.next();
    for (const eventName of ["x", "z", "y", "z", "z"]) await publish("a", 0, { eventName });
    expect((await reader.nextN(2)).map(({ eventName }) => eventName)).toEqual(["x", "y"]);
    await until("the position of the heartbeat", () => reader.lastEventId === `${epoch}:5`);
  });

  it("says something between messages", async () => {
    relay = await startTestRelay({ ...PUBLIC, heartbeat: { interval: "100ms" } });
    const reader = await sse("channel=a");
    await until("two comments", () => reader.comments >= 2);
  });

  it("ends after limits.streamAge with 4008, and goes on from there", async () => {
    relay = await startTestRelay({ ...PUBLIC, limits: { streamAge: "1s" } });
    const reader = await sse("channel=a");
    await reader.next();
    expect(await reader.nextEvent()).toMatchObject({
      type: "rtm",
      data: expect.stringContaining('"code":4008'),
    });
    await reader.end();
  });

  it("comes back to a node that took over: recovered:false, and on it goes in the new epoch", async () => {
    relay = await startTestRelay(PUBLIC);
    await publish("a", 1);
    const reader = await sse("channel=a&channel=b");
    const { epoch } = await reader.next();
    await reader.next();
    relay.setServing(false);
    expect(await reader.next()).toMatchObject({ op: "close", code: 4005 });
    relay.setServing(true);
    const again = await sse("channel=a&channel=b", { "last-event-id": `${epoch}:1,0` });
    const answer = await again.next();
    expect(answer).toMatchObject({ recovered: false });
    expect(answer.epoch).not.toBe(epoch);
  });
});

describe("rights of GET /sse", () => {
  const bearer = async (channels: string[], options = {}) => ({
    authorization: `Bearer ${await token(channels, options)}`,
  });

  it("come with the header Authorization or the parameter token", async () => {
    relay = await startTestRelay();
    const byHeader = await sse("channel=a", await bearer(["a"]));
    expect(await byHeader.next()).toMatchObject({ op: "subscribed" });
    const byParameter = await sse(`channel=a&token=${await token(["a"])}`);
    expect(await byParameter.next()).toMatchObject({ op: "subscribed" });
  });

  it("leave out what is not granted, and keep its place in the id", async () => {
    relay = await startTestRelay();
    const reader = await sse("channel=b&channel=a", await bearer(["a"]));
    const event = await reader.nextEvent();
    expect(JSON.parse(event.data)).toMatchObject({ op: "subscribed", channel: "a" });
    expect(event.id).toMatch(/^[^:]+:-,0$/);
  });

  it("lose one channel by a revocation, with an event and its place in the id", async () => {
    relay = await startTestRelay();
    const headers = await bearer(["a", "b"], { subject: "SCOTT" });
    const reader = await sse("channel=a&channel=b", headers);
    await reader.nextN(2);
    await relay.publisher.control([{ op: "unsubscribe", user: "SCOTT", channel: "a" }], SOURCE);
    const event = await reader.nextEvent();
    const code = "token_revoked";
    expect(JSON.parse(event.data)).toEqual({ op: "unsubscribed", channel: "a", code });
    expect(event.id).toMatch(/^[^:]+:-,0$/);
    await relay.publisher.control([{ op: "unsubscribe", user: "SCOTT", channel: "b" }], SOURCE);
    expect(await reader.next()).toMatchObject({ op: "unsubscribed", channel: "b" });
    expect(await reader.next()).toMatchObject({ op: "close", code: 4103 });
    await reader.end();
  });

  it("end with the token", async () => {
    relay = await startTestRelay({ tokens: { ...TOKENS, clockTolerance: "0s" } });
    const headers = await bearer(["a"], { lifetimeMs: 1500 });
    const reader = await sse("channel=a", headers);
    await reader.next();
    const frames = [await reader.next()];
    if (frames[0]?.op === "unsubscribed") frames.push(await reader.next());
    expect(frames.at(-1)).toMatchObject({ op: "close", code: 4100 });
    await reader.end();
    expect((await sse("channel=a", headers)).status).toBe(401);
  });

  it.each([
    ["a bad token", "channel=a&token=x", 401, 4101],
    ["no token", "channel=a", 401, 4102],
    ["no channel", "", 400, 4204],
    ["a bad since", "channel=a&since=1", 400, 4204],
    ["a since for one of two", "channel=a&channel=b&since=e:1", 400, 4204],
    ["a format", "channel=public&format=payload", 400, 4204],
    ["a bad event", "channel=public&event=*", 400, 4204],
  ])("%s: a status with which an EventSource gives up", async (_what, query, status, code) => {
    relay = await startTestRelay();
    const reader = await sse(query);
    expect(reader.status).toBe(status);
    await reader.end();
    expect(JSON.parse(reader.raw)).toMatchObject({ op: "close", code });
  });

  it("a token for other channels: 403", async () => {
    relay = await startTestRelay();
    expect((await sse("channel=a", await bearer(["b"]))).status).toBe(403);
  });

  it("another origin: 403, and the page can read why", async () => {
    relay = await startTestRelay({ ...PUBLIC, origins: ["https://good.example"] });
    const reader = await sse("channel=a", { origin: "https://evil.example" });
    expect(reader.status).toBe(403);
    const good = await sse("channel=a", { origin: "https://good.example" });
    expect(good.status).toBe(200);
    expect(good.response.headers["access-control-allow-origin"]).toBe("https://good.example");
  });

  it.each([
    ["a full relay", { limits: { connections: 1 } }, 4004],
    ["a stopping one", {}, 4000],
  ])(
    "%s: status 200 and a close event, so that an EventSource comes back",
    async (what, more, code) => {
      relay = await startTestRelay({ ...PUBLIC, ...more });
      const first = await sse("channel=a");
      await first.next();
      if (what === "a full relay") {
        const second = await sse("channel=a");
        expect(second.status).toBe(200);
        expect(await second.next()).toMatchObject({ op: "close", code });
        await second.end();
        return;
      }
      const drained = relay.drain();
      expect(await first.next()).toMatchObject({ op: "close", code });
      await first.end();
      await drained;
    },
  );
});

const TOKENS = { secrets: [{ kid: "k1", secret: "0123456789abcdef0123456789abcdef" }] };
