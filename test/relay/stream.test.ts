import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import { EventReader, poll } from "../protocol-kit/event-stream.ts";
import { Client, message, SOURCE, startTestRelay, token, until } from "./support.ts";

let relay: Relay;
const readers: EventReader[] = [];

afterEach(async () => {
  for (const reader of readers.splice(0)) reader.destroy();
  await relay.close();
});

async function stream(connect: object = {}, headers = {}): Promise<EventReader> {
  const reader = await EventReader.stream(relay, connect, headers);
  readers.push(reader);
  return reader;
}

const publish = (channel: string, payload: unknown, more = {}) =>
  relay.publisher.publish([message(channel, payload, more)], SOURCE);

async function metric(name: string): Promise<number> {
  const text = await relay.registry.metrics();
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${name} `));
  return line === undefined ? Number.NaN : Number(line.split(" ").at(-1));
}

const PUBLIC = { publicChannels: ["*"] };
const KIB = 1024;

describe("POST /stream", () => {
  it("answers a connect frame with the frames of rtm.v1", async () => {
    relay = await startTestRelay();
    const reader = await stream({ token: await token(["a"]), subscribe: [{ channel: "a" }] });
    expect(reader.status).toBe(200);
    const [connected, subscribed] = await reader.nextN(2);
    expect(connected).toMatchObject({ op: "connected", protocol: "rtm.v1" });
    expect(subscribed).toMatchObject({ op: "subscribed", channel: "a", recovered: false });
    await publish("a", { n: 1 });
    expect(await reader.next()).toMatchObject({ channel: "a", payload: { n: 1 }, seq: 1 });
    expect(await metric('rtm_relay_peers{kind="stream"}')).toBe(1);
    reader.destroy();
    await until("the relay to notice", async () => (await metric("rtm_relay_connections")) === 0);
  });

  it("recovers what came since a position", async () => {
    relay = await startTestRelay(PUBLIC);
    for (const n of [1, 2, 3]) await publish("a", n);
    const first = await stream({ subscribe: [{ channel: "a" }] });
    const [, { epoch }] = (await first.nextN(2)) as [unknown, { epoch: string }];
    const again = await stream({ subscribe: [{ channel: "a", since: { epoch, seq: 1 } }] });
    expect((await again.nextN(4)).slice(1)).toMatchObject([
      { op: "subscribed", recovered: true, seq: 3 },
      { payload: 2 },
      { payload: 3 },
    ]);
  });

  it("takes several tokens, and answers each but the first like refresh", async () => {
    relay = await startTestRelay();
    const tokens = [await token(["a"]), "nonsense", await token(["b"])];
    const subscribe = [{ channel: "a" }, { channel: "b" }];
    const reader = await stream({ tokens, subscribe });
    expect(await reader.nextN(5)).toMatchObject([
      { op: "connected" },
      { op: "error", code: "token_invalid" },
      { op: "refreshed" },
      { op: "subscribed", channel: "a" },
      { op: "subscribed", channel: "b" },
    ]);
  });

  it("says why it refuses as a close frame, with the close codes of WebSockets", async () => {
    relay = await startTestRelay({ publicChannels: [] });
    for (const [connect, code] of [
      [{ token: "nonsense" }, 4101],
      [{}, 4102],
      [{ token: await token(["a"]), tokens: [] }, 4200],
    ] as const) {
      const reader = await stream(connect);
      expect(reader.status).toBe(200);
      expect(await reader.next()).toMatchObject({ op: "close", code });
      await reader.end();
    }
  });

  it("is closed when its last token ends", async () => {
    relay = await startTestRelay({
      tokens: { secrets: [{ kid: "k1", secret: SECRET }], clockTolerance: "0s" },
    });
    const reader = await stream({ token: await token(["a"], { lifetimeMs: 1500 }) });
    await reader.next();
    expect(await reader.next()).toMatchObject({ op: "close", code: 4100 });
  });

  it("is not closed for silence, but ends after limits.streamAge", async () => {
    relay = await startTestRelay({
      ...PUBLIC,
      heartbeat: { interval: "100ms" },
      limits: { streamAge: "1s" },
    });
    const reader = await stream();
    const opened = performance.now();
    await reader.next();
    expect(await reader.next()).toMatchObject({ op: "close", code: 4008 });
    expect(performance.now() - opened).toBeGreaterThan(500);
    expect(reader.raw).toContain('data: {"op":"ping"}');
  });

  it("is closed by a stop, after what was pending", async () => {
    relay = await startTestRelay(PUBLIC);
    const reader = await stream({ subscribe: [{ channel: "a" }] });
    await reader.nextN(2);
    const accepted = publish("a", 1);
    const drained = relay.drain();
    await accepted;
    const frames = await reader.nextN(2);
    expect(frames).toMatchObject([{ payload: 1 }, { op: "close", code: 4000 }]);
    await drained;
  });

  it("drops a reader that stops reading, and others get everything", async () => {
    relay = await startTestRelay({
      ...PUBLIC,
      limits: { messageBytes: "8KiB" },
      history: { bytes: "256KiB" },
      slowClients: { connectionBytes: "256KiB" },
    });
    const slow = await stream({ subscribe: [{ channel: "a" }] });
    await slow.nextN(2);
    slow.response.pause();
    const good = await stream({ subscribe: [{ channel: "a" }] });
    await good.nextN(2);
    const dropped = 'rtm_relay_slow_client_disconnects_total{reason="slow_client"}';
    let sent = 0;
    while (!((await metric(dropped)) > 0)) {
      for (let n = 0; n < 20; n++) {
        await publish("a", "x".repeat(4 * KIB));
        await new Promise((resolve) => setImmediate(resolve));
      }
      sent += 20;
      expect(sent).toBeLessThan(20_000);
      expect(await metric("rtm_relay_held_bytes")).toBeLessThanOrEqual(2 * 256 * KIB);
      await good.nextN(20);
    }
  });

  it("refuses what is no connect frame, too large, or of another type", async () => {
    relay = await startTestRelay(PUBLIC);
    const open = (body: string, type = "text/plain") =>
      EventReader.open(relay, "/stream", { body, headers: { "content-type": type } });
    const bad = await open("nonsense");
    expect(await bad.next()).toMatchObject({ op: "close", code: 4200 });
    expect((await open("x".repeat(65 * KIB))).status).toBe(413);
    expect((await open("{}", "text/xml")).status).toBe(415);
  });

  it("ends when another request comes on its connection", async () => {
    relay = await startTestRelay(PUBLIC);
    const socket = connectTcp(relay.port, "127.0.0.1");
    socket.setEncoding("utf8");
    let got = "";
    socket.on("data", (text) => {
      got += text;
    });
    const body = '{"op":"connect"}';
    socket.write(
      `POST /stream HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await until("the stream", () => got.includes("connected"));
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await once(socket, "close");
    expect(got).not.toContain("bridge");
    expect(await metric("rtm_relay_connections")).toBe(0);
  });

  it("answers requests that were sent ahead of it before it, and none behind it", async () => {
    relay = await startTestRelay(PUBLIC);
    const socket = connectTcp(relay.port, "127.0.0.1");
    const body = '{"op":"connect","waitMs":30000}';
    const request = `POST /poll HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    socket.on("error", () => {});
    socket.write(request.repeat(20));
    await once(socket.resume(), "close");
    await until("no poll is left", async () => (await metric("rtm_relay_connections")) === 0);
  });

  it("counts against the limit of connections, and of the person's", async () => {
    relay = await startTestRelay({ ...PUBLIC, limits: { connectionsPerSubject: 1 } });
    const self = await token(["a"], { claims: { self: "user:SCOTT" } });
    const first = await stream({ token: self });
    expect(await first.next()).toMatchObject({ op: "connected" });
    const second = await stream({ token: self });
    expect(await second.next()).toMatchObject({ op: "close", code: 4004 });
    const socket = await Client.connect(relay, { token: self });
    expect(await socket.end()).toMatchObject({ code: 4004 });
  });

  it("of a page of another origin: 4202, as for a WebSocket", async () => {
    relay = await startTestRelay({ ...PUBLIC, origins: ["https://good.example"] });
    const bad = await stream({}, { origin: "https://evil.example" });
    expect(await bad.next()).toMatchObject({ op: "close", code: 4202 });
    const good = await stream({}, { origin: "https://good.example" });
    expect(await good.next()).toMatchObject({ op: "connected" });
    expect(good.response.headers["access-control-allow-origin"]).toBe("https://good.example");
  });
});

const SECRET = "0123456789abcdef0123456789abcdef";

/** A subscription to channel a from its first message on. */
async function fromFirst(): Promise<object[]> {
  const { frames } = await poll(relay, { waitMs: 0, subscribe: [{ channel: "a" }] });
  const { epoch } = frames[1] as { epoch: string };
  return [{ channel: "a", since: { epoch, seq: 0 } }];
}

describe("POST /poll", () => {
  it("is answered at once with what there is", async () => {
    relay = await startTestRelay(PUBLIC);
    await publish("a", 1);
    const subscribe = await fromFirst();
    const { frames, more, status } = await poll(relay, { waitMs: 0, subscribe });
    expect(status).toBe(200);
    expect(frames).toMatchObject([
      { op: "connected" },
      { op: "subscribed", recovered: true, seq: 1 },
      { payload: 1 },
    ]);
    expect(more).toBe(false);
    await until("it is no connection", async () => (await metric("rtm_relay_connections")) === 0);
    expect(await metric("rtm_relay_polls_total")).toBe(2);
  });

  it("waits for the next message when there is nothing", async () => {
    relay = await startTestRelay(PUBLIC);
    const asked = poll(relay, { subscribe: await fromFirst() });
    await until("it waits", async () => (await metric('rtm_relay_peers{kind="poll"}')) === 1);
    await publish("a", 1);
    const { frames } = await asked;
    expect(frames.at(-1)).toMatchObject({ payload: 1 });
  });

  it("waits no longer than it was told to", async () => {
    relay = await startTestRelay(PUBLIC);
    const subscribe = await fromFirst();
    const { frames } = await poll(relay, { waitMs: 50, subscribe });
    expect(frames.map(({ op }) => op)).toEqual(["connected", "subscribed"]);
    const refused = await poll(relay, { waitMs: 30_001, subscribe });
    expect(refused.frames).toMatchObject([{ op: "close", code: 4200 }]);
  });

  it.each([
    ["a channel that is not granted", { subscribe: [{ channel: "b" }] }, "error"],
    ["a channel that cannot be recovered", { subscribe: [{ channel: "public" }] }, "subscribed"],
    ["a bad token", { token: "nonsense" }, "close"],
  ])("is answered at once for %s", async (_what, connect, op) => {
    relay = await startTestRelay();
    const { frames } = await poll(relay, connect);
    expect(frames.at(-1)?.op).toBe(op);
  });

  it("gives a long history in answers of bounded size, each asked for with the last position", async () => {
    relay = await startTestRelay({ ...PUBLIC, history: { count: 2000 } });
    for (let n = 1; n <= 1500; n++) await publish("a", [n, "x".repeat(700)]);
    let subscribe = await fromFirst();
    const got: number[] = [];
    let answers = 0;
    for (let more = true; more; answers++) {
      const answer = await poll(relay, { waitMs: 0, subscribe });
      more = answer.more;
      const { epoch, recovered } = answer.frames[1] as { epoch: string; recovered: boolean };
      expect(recovered).toBe(true);
      const messages = answer.frames.slice(2);
      expect(JSON.stringify(messages).length).toBeLessThan(300 * KIB);
      got.push(...messages.map(({ payload }) => (payload as [number])[0]));
      subscribe = [{ channel: "a", since: { epoch, seq: messages.at(-1)?.seq } }];
    }
    expect(got).toEqual(Array.from({ length: 1500 }, (_, index) => index + 1));
    expect(answers).toBeGreaterThan(3);
  });

  it("whose answer was lost is repeated in full", async () => {
    relay = await startTestRelay(PUBLIC);
    const subscribe = await fromFirst();
    await publish("a", 1);
    const ask = () => poll(relay, { waitMs: 0, subscribe });
    for (const answer of [await ask(), await ask()]) {
      expect(answer.frames.at(-1)).toMatchObject({ payload: 1, seq: 1 });
    }
  });

  it("is answered with close when the relay stops", async () => {
    relay = await startTestRelay(PUBLIC);
    const asked = poll(relay, { subscribe: await fromFirst() });
    await until("it waits", async () => (await metric('rtm_relay_peers{kind="poll"}')) === 1);
    const drained = relay.drain();
    expect((await asked).frames.at(-1)).toMatchObject({ op: "close", code: 4000 });
    await drained;
  });
});
