/** Client events: `publish` and `onEvent`, against a scripted relay and a real one. */
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import type { ClientEvent } from "../../../apex-plugins/client/listener.ts";
import type { EventLimits } from "../../../relay/contract/protocol.ts";
import { startTestRelay, token, until } from "../../relay/support.ts";
import { Arrivals, Page, type Peer, ScriptedRelay } from "./kit.ts";

const LIMITS = { events: { bytes: 100, perSecond: 1 } };

let relay: ScriptedRelay;
let page: Page;

beforeEach(async () => {
  relay = await ScriptedRelay.start();
  page = new Page(relay.url);
});

afterEach(async () => {
  page.connection.link.stop("test over");
  await relay.stop();
  vi.restoreAllMocks();
});

/** A client that listens to the channel "room", and what it was told. */
function listen(events?: string) {
  const told: string[] = [];
  const heard: ClientEvent[] = [];
  const live = new Arrivals<string>();
  const client = page.client();
  client.subscribe("room", {
    events,
    onMessage: ({ seq }) => told.push(`message ${seq}`),
    onDenied: (_channel, code) => told.push(`denied ${code}`),
    onSubscribed: (channel) => live.push(channel),
    onEvent: (event) => heard.push(event),
  });
  return { client, told, heard, live };
}

async function connected(limits: { events?: EventLimits } = LIMITS): Promise<Peer> {
  const peer = await relay.peers.next();
  await peer.accept(limits);
  peer.subscribed("room", 0, true);
  return peer;
}

const frames = ({ frames }: Peer) => frames.all.filter(({ op }) => op === "publish");

describe("publish", () => {
  it("is done when the relay has taken the event", async () => {
    const { client, live } = listen();
    const peer = await connected();
    await live.next();
    const sent = client.publish("room", "client:typing", { on: true });
    const frame = await peer.frames.next();
    expect(frame).toEqual({
      op: "publish",
      channel: "room",
      eventName: "client:typing",
      payload: { on: true },
      ref: expect.any(String),
    });
    peer.send({ op: "published", ref: "of somebody else" });
    peer.send({ op: "published", ref: (frame as { ref: string }).ref });
    await expect(sent).resolves.toBeUndefined();
    expect(page.connection.answers.size).toBe(0);
  });

  it("says why the relay refused it; the channel goes on, and nothing is reported", async () => {
    const { client, told, live } = listen();
    const peer = await connected();
    await live.next();
    const sent = client.publish("room", "client:typing");
    const { ref } = (await peer.frames.next()) as { ref: string };
    const refusal = { code: "publish_forbidden", message: "no token grants both" };
    peer.send({ op: "error", ...refusal, channel: "room", ref });
    peer.message("room", 1);
    await expect(sent).rejects.toMatchObject({
      name: "RtmPublishError",
      code: "publish_forbidden",
      message: "rtm: publish_forbidden: no token grants both",
    });
    await until("the message", () => told.length > 0);
    expect(told).toEqual(["message 1"]);
    expect(page.errors).toEqual([]);
  });

  it("waits for no connection: not before it, not without a subscription, not after it", async () => {
    const idle = page.client();
    await expect(idle.publish("room", "client:typing")).rejects.toMatchObject({
      code: "not_connected",
      message: "rtm: not_connected: the client is idle",
    });
    const { client, live } = listen();
    await expect(client.publish("room", "client:typing")).rejects.toMatchObject({
      code: "not_connected",
    });
    const peer = await connected();
    await live.next();
    page.connection.link.park();
    await peer.closed;
    await expect(client.publish("room", "client:typing")).rejects.toMatchObject({
      message: "rtm: not_connected: the client is parked",
    });
    page.connection.link.resume("parked");
    const next = await connected();
    await live.next();
    expect([...frames(peer), ...frames(next)]).toEqual([]);
  });

  it("ends with the connection that did not answer, and the next one is not asked", async () => {
    const { client, live } = listen();
    const peer = await connected();
    await live.next();
    const sent = client.publish("room", "client:typing");
    await peer.frames.next();
    peer.terminate();
    await expect(sent).rejects.toMatchObject({
      code: "not_connected",
      message: expect.stringContaining("broke before the relay answered"),
    });
    const next = await connected();
    await live.next();
    expect(frames(next)).toEqual([]);
    expect(page.connection.answers.size).toBe(0);
  });

  it("asks no relay that lets clients send nothing", async () => {
    const { client, live } = listen();
    const peer = await connected({});
    await live.next();
    await expect(client.publish("room", "client:typing")).rejects.toMatchObject({
      code: "not_supported",
    });
    expect(frames(peer)).toEqual([]);
  });

  it("keeps to itself what the relay would refuse or close the connection for", async () => {
    let now = 1_000_000;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    const { client, live } = listen();
    const peer = await connected({ events: { bytes: 70_000, perSecond: 1 } });
    await live.next();
    const code = (channel: string, payload?: unknown) => {
      const sent = client.publish(channel, "client:typing", payload);
      return sent.then(
        () => "published",
        ({ code }) => code,
      );
    };
    // A character of two bytes counts as two, and what is around it counts too: the frame ends the socket.
    expect(await code("room", "é".repeat(35_000))).toBe("message_too_large");
    expect(await code("room", "x".repeat(65_500))).toBe("message_too_large");
    expect(await code("room".repeat(20_000))).toBe("message_too_large");
    const ring: unknown[] = [];
    ring.push(ring);
    await expect(client.publish("room", "client:typing", ring)).rejects.toThrow(TypeError);
    // Twice as many as in a second are a burst.
    const answers = [code("room"), code("room"), code("room")];
    expect(await answers[2]).toBe("publish_limit");
    now += 999;
    expect(await code("room")).toBe("publish_limit");
    now += 1;
    answers[2] = code("room");
    for (let count = 0; count < 3; count++) {
      const { ref } = (await peer.frames.next()) as { ref: string };
      peer.send({ op: "published", ref });
    }
    expect(await Promise.all(answers)).toEqual(["published", "published", "published"]);
    expect(frames(peer)).toHaveLength(3);
  });
});

describe("onEvent", () => {
  const event = (eventName: string, channel = "room") => ({
    op: "event",
    channel,
    eventName,
    from: { user: "KING", conn: "9f2c" },
    ts: 5,
    payload: { on: true },
  });

  it("tells each listener of the channel what it wants; one that throws takes nothing away", async () => {
    const bad = page.client().subscribe("room", {
      onEvent() {
        throw new Error("bad listener");
      },
    });
    const [all, some] = [listen(), listen("client:moved")];
    const peer = await connected();
    await all.live.next();
    peer.send(event("client:typing"));
    peer.send(event("client:moved"));
    peer.send(event("client:moved", "elsewhere"));
    peer.message("room", 1);
    await until("the message", () => all.told.length > 0);
    const { op: _op, ...typing } = event("client:typing");
    expect(all.heard).toMatchObject([typing, { eventName: "client:moved" }]);
    expect(some.heard).toMatchObject([{ eventName: "client:moved" }]);
    expect(page.errors.map(String)).toEqual(["Error: bad listener", "Error: bad listener"]);
    bad.close();
    peer.send(event("client:typing"));
    await until("it is told", () => all.heard.length === 3);
    expect(page.errors).toHaveLength(2);
  });
});

it("on a real relay: others hear it, the sender does not; what is refused harms nothing", async () => {
  const real = await startTestRelay({
    clientEvents: { channels: ["room:*"], perSecond: 50, bytes: "1KiB" },
  });
  onTestFinished(() => real.close());
  const visitor = (subject: string, publish: string[]) => {
    const visit = new Page(`ws://127.0.0.1:${real.port}/ws`);
    const heard: ClientEvent[] = [];
    const told: string[] = [];
    const client = visit.client(() => token(["room:*"], { subject, claims: { publish } }));
    client.subscribe("room:1", {
      onEvent: (event) => heard.push(event),
      onSubscribed: () => told.push("subscribed"),
      onDenied: (_channel, code) => told.push(code),
    });
    onTestFinished(() => client.close());
    return { visit, client, heard, told };
  };
  const [scott, king] = [visitor("SCOTT", ["room:*"]), visitor("KING", [])];
  await until("both are there", () => scott.told.length + king.told.length === 2);
  const refused = async (from: typeof scott, ...event: Parameters<typeof scott.client.publish>) =>
    from.client.publish(...event).then(
      () => "published",
      ({ code }) => code,
    );
  expect(await refused(king, "room:1", "client:typing")).toBe("publish_forbidden");
  expect(await refused(scott, "hall", "client:typing")).toBe("publish_forbidden");
  expect(await refused(scott, "room:1", "typing")).toBe("bad_event_name");
  expect(await refused(scott, "room:*", "client:typing")).toBe("bad_channel");
  expect(await refused(scott, "room:1", "client:typing", "x".repeat(1023))).toBe(
    "message_too_large",
  );
  // It subscribes to one room and sends to another one that its token grants.
  expect(await refused(scott, "room:2", "client:typing")).toBe("published");
  const many = Array.from({ length: 200 }, (_, n) => refused(scott, "room:1", "client:moved", n));
  const answers = await Promise.all(many);
  expect(answers.slice(0, 50)).toEqual(Array(50).fill("published"));
  expect(answers).toContain("publish_limit");
  await until("all have come", () => {
    return king.heard.length === answers.filter((code) => code === "published").length;
  });
  expect(king.heard[0]).toMatchObject({
    channel: "room:1",
    eventName: "client:moved",
    from: { user: "SCOTT" },
    payload: 0,
  });
  expect(scott.heard).toEqual([]);
  for (const { told, visit } of [scott, king]) {
    expect(told).toEqual(["subscribed"]);
    expect(visit.errors).toEqual([]);
    const connections = visit.statuses.all.filter(({ state }) => state === "connected");
    expect(connections).toHaveLength(1);
    expect(visit.connection.link.is("connected")).toBe(true);
  }
});
