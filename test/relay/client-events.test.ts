/** Events that clients send to each other (docs/protocol.md, "Client events"). */
import { describe, expect, it, onTestFinished } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import { ENGINE_MISSING, RedisServer } from "../support/redis-server.ts";
import { relayFor } from "./publish-support.ts";
import { Client, type Frame, post, token, until } from "./support.ts";

const RULE = { clientEvents: { channels: ["room:*"] } };

/** A page of the user's that reads the channel. */
async function page(
  relay: Relay,
  user: string,
  { publish = ["room:*"] as unknown, channels = ["room:*"], entry = {}, lifetimeMs = 60_000 } = {},
): Promise<{ client: Client; conn: string }> {
  const client = await Client.connect(relay, {
    token: await token(channels, { subject: user, claims: { publish }, lifetimeMs }),
    subscribe: [{ channel: "room:1", ...entry }],
  });
  onTestFinished(() => client.terminate());
  const [connected] = await client.nextN(2);
  return { client, conn: connected?.conn as string };
}

/** Stands for lists in each other, too deep for `JSON.stringify`. */
const nested = (depth: number) => `nested ${depth}`;
const written = (frame: object) =>
  JSON.stringify(frame).replace(/"nested (\d+)"/, (_, depth) => {
    return `${"[".repeat(depth)}${"]".repeat(depth)}`;
  });

const typing = (more: object = {}) => ({
  op: "publish",
  channel: "room:1",
  eventName: "client:typing",
  payload: { on: true },
  ref: "7",
  ...more,
});

describe("client events", () => {
  it("reach all others who read the channel, once, and not the sender", async () => {
    const relay = await relayFor(RULE);
    const [scott, adams, king] = [
      await page(relay, "SCOTT"),
      await page(relay, "ADAMS"),
      await page(relay, "KING"),
    ];
    const before = Date.now();
    scott.client.send(typing());
    expect(await scott.client.next()).toEqual({ op: "published", ref: "7" });
    for (const { client } of [adams, king]) {
      const event = await client.next();
      expect(event).toEqual({
        op: "event",
        channel: "room:1",
        eventName: "client:typing",
        from: { user: "SCOTT", conn: scott.conn },
        ts: expect.any(Number),
        payload: { on: true },
      });
      expect(event.ts).toBeGreaterThanOrEqual(before);
    }
    // What comes next is the message: nobody got anything twice, and the sender no echo.
    await post(relay, { channel: "room:1", payload: "after" });
    for (const { client } of [scott, adams, king]) {
      expect(await client.next()).toMatchObject({ payload: "after", seq: 1 });
    }
    expect(scott.conn).toMatch(/^[0-9a-f]{16}$/);
  });

  it("whoever sends as many as it is told it may has commands left for its answers to pings", async () => {
    const told = async (perSecond: number, commandsPerSecond: number) => {
      const relay = await relayFor({
        clientEvents: { channels: ["room:*"], perSecond },
        limits: { commandsPerSecond },
      });
      const client = await Client.connect(relay, { token: await token(["room:1"]) });
      onTestFinished(() => client.terminate());
      return (await client.next()).events;
    };
    expect(await told(1000, 20)).toEqual({ bytes: 4096, perSecond: 19 });
    expect(await told(20, 20)).toEqual({ bytes: 4096, perSecond: 19 });
    expect(await told(10, 20)).toEqual({ bytes: 4096, perSecond: 10 });
    expect(await told(10, 1)).toEqual({ bytes: 4096, perSecond: 1 });
  });

  it("are no messages: not stored, no number, nothing for who comes later or asks for the past", async () => {
    const relay = await relayFor(RULE);
    const scott = await page(relay, "SCOTT");
    scott.client.send(typing({ ref: undefined }));
    scott.client.send(typing());
    expect(await scott.client.next()).toMatchObject({ op: "published" });
    const late = await page(relay, "KING", { entry: { since: { last: 10 } } });
    await post(relay, { channel: "room:1", payload: 1 });
    expect(await late.client.next()).toMatchObject({ payload: 1, seq: 1 });
  });

  it("are denied by default: without a rule, without the claim, without the right to read", async () => {
    const closed = await relayFor();
    const one = await page(closed, "SCOTT");
    expect(one.conn).toBeUndefined();
    one.client.send(typing());
    expect(await one.client.next()).toMatchObject({
      op: "error",
      code: "publish_forbidden",
      channel: "room:1",
      ref: "7",
    });

    const relay = await relayFor({ clientEvents: { channels: ["room:*", "other"] } });
    const reader = await page(relay, "SCOTT", { publish: [] });
    reader.client.send(typing());
    expect(await reader.client.next()).toMatchObject({ code: "publish_forbidden", ref: "7" });
    // The claim alone is not enough: it counts where a token also grants reading.
    const writer = await page(relay, "ADAMS", { publish: ["*"] });
    writer.client.send(typing({ channel: "other" }));
    expect(await writer.client.next()).toMatchObject({ code: "publish_forbidden" });
    // Nor is a public channel.
    writer.client.send(typing({ channel: "public" }));
    expect(await writer.client.next()).toMatchObject({ code: "publish_forbidden" });
    const metrics = await relay.registry.metrics();
    expect(metrics).toContain('rtm_relay_client_events_total{result="publish_forbidden"} 3');
  });

  it("end with the right: a token that was revoked sends nothing any more", async () => {
    const relay = await relayFor({
      ...RULE,
      apiKeys: [
        {
          name: "worker",
          key: "test-key-0123456789",
          trusted: true,
          scopes: ["publish", "manage"],
        },
      ],
    });
    const scott = await page(relay, "SCOTT", { channels: ["room:*", "else"] });
    await post(relay, { op: "unsubscribe", user: "SCOTT", channel: "room:1" });
    expect(await scott.client.next()).toMatchObject({ op: "unsubscribed" });
    scott.client.send(typing());
    expect(await scott.client.next()).toMatchObject({ code: "publish_forbidden" });
  });

  it.each([
    ["a name without the prefix", { eventName: "typing" }, "bad_event_name"],
    ["a server's name", { eventName: "order-created" }, "bad_event_name"],
    ["no name", { eventName: undefined }, "bad_event_name"],
    ["a name with a star", { eventName: "client:*" }, "bad_event_name"],
    ["no channel", { channel: undefined }, "bad_channel"],
    ["a pattern", { channel: "room:*" }, "bad_channel"],
    ["a payload above the limit", { payload: "x".repeat(4096) }, "message_too_large"],
    ["a payload that is nested too deeply", { payload: nested(1025) }, "bad_frame"],
    ["a payload for which there is no stack", { payload: nested(32_000) }, "bad_frame"],
    ["a ref that is too long", { ref: "x".repeat(65) }, "bad_frame"],
  ])("%s is refused", async (_what, more, code) => {
    const relay = await relayFor(RULE);
    const [scott, king] = [await page(relay, "SCOTT"), await page(relay, "KING")];
    scott.client.ws.send(written(typing(more)));
    expect(await scott.client.next()).toMatchObject({ op: "error", code });
    scott.client.send(typing());
    await scott.client.next();
    // The first that arrives is the good one.
    expect(await king.client.next()).toMatchObject({ payload: { on: true } });
  });

  it("are bounded for each connection, and for a channel; nobody is closed for it", async () => {
    const relay = await relayFor({
      clientEvents: { channels: ["room:*"], perSecond: 1 },
    });
    const [scott, king] = [await page(relay, "SCOTT"), await page(relay, "KING")];
    const answers = async ({ client }: { client: Client }) => {
      for (let n = 0; n < 10; n++) client.send(typing({ payload: n }));
      const frames: Frame[] = [];
      while (frames.length < 10) {
        const frame = await client.next();
        if (frame.op !== "event") frames.push(frame);
      }
      return frames;
    };
    // A burst of twice the rate; what refills meanwhile may let one more pass.
    const first = await answers(scott);
    expect(first.slice(0, 2)).toMatchObject([{ op: "published" }, { op: "published" }]);
    const limited = { op: "error", code: "publish_limit", channel: "room:1", ref: "7" };
    expect(first).toContainEqual({ ...limited, message: expect.stringContaining("more than 1 ") });
    expect(scott.client.closed).toBeUndefined();
    const wide = await relayFor({
      clientEvents: { channels: ["room:*"], perSecond: 1000, channelPerSecond: 1 },
    });
    await answers(await page(wide, "SCOTT"));
    const all = await answers(await page(wide, "ADAMS"));
    expect(all).toContainEqual({ ...limited, message: expect.stringContaining("in the channel") });
    expect(king.client.closed).toBeUndefined();
  });

  it("respect the filter of a subscription", async () => {
    const relay = await relayFor(RULE);
    const scott = await page(relay, "SCOTT");
    const some = await page(relay, "KING", { entry: { events: ["client:moved", "order"] } });
    scott.client.send(typing());
    scott.client.send(typing({ eventName: "client:moved" }));
    expect(await some.client.next()).toMatchObject({ eventName: "client:moved" });
  });

  it("reach event streams, which cannot send, and no plain URL subscription", async () => {
    const relay = await relayFor(RULE);
    const scott = await page(relay, "SCOTT");
    const rights = await token(["room:*"]);
    const plain = await Client.open(relay, `/ws?channel=room:1&token=${rights}`);
    onTestFinished(() => plain.terminate());
    const abort = new AbortController();
    onTestFinished(() => abort.abort());
    const stream = await fetch(`http://127.0.0.1:${relay.port}/stream`, {
      method: "POST",
      headers: { "content-type": "text/plain" },
      body: JSON.stringify({ op: "connect", token: rights, subscribe: [{ channel: "room:1" }] }),
      signal: abort.signal,
    });
    const reader = (stream.body as ReadableStream<Uint8Array>).getReader();
    let text = "";
    const read = async (wanted: string) => {
      while (!text.includes(wanted)) text += Buffer.from((await reader.read()).value ?? []);
    };
    await read('"subscribed"');
    await until("both are there", async () => {
      const { body } = await post(relay, { channel: "room:1", eventName: "probe", payload: 0 });
      return body.recipients === 3;
    });
    scott.client.send(typing());
    await read('"op":"event"');
    await post(relay, { channel: "room:1", payload: "after" });
    let frame = await plain.next();
    while (frame.eventName === "probe") frame = await plain.next();
    expect(frame).toMatchObject({ payload: "after" });
  });

  it("are not given to a client that does not read, and do not end it", async () => {
    const relay = await relayFor({
      clientEvents: {
        channels: ["room:*"],
        perSecond: 1000,
        channelPerSecond: 100_000,
        bytes: "64KiB",
      },
      limits: { commandsPerSecond: 100_000, frameBytes: "128KiB" },
    });
    const [scott, slow] = [await page(relay, "SCOTT"), await page(relay, "KING")];
    slow.client.stopReading();
    const payload = "x".repeat(60_000);
    const count = 300;
    for (let n = 0; n < count; n++) scott.client.send(typing({ payload, ref: String(n) }));
    const answers = await scott.client.nextN(count);
    const sent = answers.filter(({ op }) => op === "published").length;
    // 18 MB were sent, and the cap of a connection is 4 MiB: it would have been ended.
    expect(sent).toBe(count);
    slow.client.startReading();
    await post(relay, { channel: "room:1", payload: "after" });
    let got = 0;
    let frame = await slow.client.next();
    for (; frame.op === "event"; frame = await slow.client.next()) got++;
    expect(frame).toMatchObject({ payload: "after" });
    expect(got).toBeLessThan(count);
  });

  it("say no name where presence hides it", async () => {
    const relay = await relayFor({
      clientEvents: { channels: ["room:*", "hall"] },
      presence: {
        rules: [{ channels: "room:*", hashUsers: true }],
        hashSecret: "x".repeat(32),
      },
    });
    const rights = { channels: ["room:*", "hall"], publish: ["*"] };
    const [scott, king] = [await page(relay, "SCOTT", rights), await page(relay, "KING", rights)];
    for (const channel of ["room:2", "hall"]) {
      king.client.send({ op: "subscribe", subscribe: [{ channel }] });
      await king.client.next();
    }
    const seenIn = async (channel: string) => {
      scott.client.send(typing({ channel, ref: undefined }));
      return ((await king.client.next()) as unknown as { from: object }).from;
    };
    const [one, two] = [await seenIn("room:1"), await seenIn("room:2")];
    const hidden = { user: expect.stringMatching(/^[\w-]{22}$/), conn: expect.any(String) };
    expect(one).toEqual(hidden);
    expect(await seenIn("room:1")).toEqual(one);
    // The connection would tell too, once it is seen where names are shown.
    expect(await seenIn("hall")).toEqual({ user: "SCOTT", conn: scott.conn });
    const parts = [...Object.values(one), ...Object.values(two), scott.conn];
    expect(new Set(parts).size).toBe(5);
    expect((one as { conn: string }).conn).toMatch(/^[0-9a-f]{16}$/);
  });
});

describe.skipIf(ENGINE_MISSING !== "")(`client events on a shared log${ENGINE_MISSING}`, () => {
  it("reach readers on other nodes, once, and are not in the log", async () => {
    const engine = await RedisServer.start();
    const node = () =>
      relayFor({
        clientEvents: { channels: ["room:*"], perSecond: 1000, channelPerSecond: 1000 },
        limits: { commandsPerSecond: 100_000 },
        log: { kind: "valkey", url: engine.url, grace: "60s" },
      });
    const [a, b] = [await node(), await node()];
    const [scott, onA, onB] = [
      await page(a, "SCOTT"),
      await page(a, "ADAMS"),
      await page(b, "KING"),
    ];
    // The line between the nodes may open later than the relays.
    let n = 0;
    await until("the other node hears", () => {
      scott.client.send(typing({ payload: n++, ref: undefined }));
      return onB.client.received.length > 0;
    });
    scott.client.send(typing({ payload: "last" }));
    const upToLast = async ({ client }: { client: Client }) => {
      const payloads: unknown[] = [];
      while (payloads.at(-1) !== "last") payloads.push((await client.next()).payload);
      return payloads;
    };
    const [local, remote] = [await upToLast(onA), await upToLast(onB)];
    expect(local).toEqual([...Array(n).keys(), "last"]);
    expect(remote).toEqual(local.slice(local.length - remote.length));
    // Another group may have the same names in another database of the engine.
    const other = await relayFor({
      clientEvents: { channels: ["room:*"], perSecond: 1000, channelPerSecond: 1000 },
      limits: { commandsPerSecond: 100_000 },
      log: { kind: "valkey", url: `${engine.url}/1`, grace: "60s" },
    });
    const stranger = await page(other, "SCOTT");
    const meets = async (of: number) =>
      Number(((await engine.command("PUBSUB", "CHANNELS", "*")) as string[]).length) === of;
    await until("it listens", () => meets(2));
    stranger.client.send(typing({ payload: "of another group" }));
    expect(await stranger.client.next()).toMatchObject({ op: "published" });
    scott.client.send(typing({ payload: "of ours" }));
    expect(await onB.client.next()).toMatchObject({ payload: "of ours" });
    expect(await onA.client.next()).toMatchObject({ payload: "of ours" });
    const metrics = async (relay: Relay) =>
      (await relay.registry.metrics()).match(/(?<=^rtm_log_client_events_total\{.*\} )\d+$/gm);
    expect(await metrics(b)).toEqual(["0", "0", `${remote.length + 1}`]);
    await until("all is counted", async () => {
      const [sent, dropped] = ((await metrics(a)) ?? []).map(Number) as [number, number];
      return sent + dropped === n + 2 && sent > remote.length;
    });
    await post(b, { channel: "room:1", payload: "after" });
    expect(await onA.client.next()).toMatchObject({ payload: "after", seq: 1 });
    expect(await onB.client.next()).toMatchObject({ payload: "after", seq: 1 });
  });
});
