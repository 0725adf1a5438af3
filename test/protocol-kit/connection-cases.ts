/** Connecting and subscribing, and what then comes. */
import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { type Frame, until } from "./client.ts";
import type { Kit } from "./kit-world.ts";

export function describeConnection({
  get,
  privateChannel,
  token,
  open,
  connect,
  subscriber,
  publish,
  expectAlive,
}: Kit): void {
  describe("messages", () => {
    it("have their keys in order and the payload byte for byte", async () => {
      const channel = privateChannel();
      const client = await subscriber([channel]);
      const id = randomUUID();
      const body = `{"channel":"${channel}","eventName":"é€😀","payload": {"n": 9007199254740993, "a":[1.0,"\\u0041"]},"id":"${id}","ts":123}`;
      expect((await publish(body)).body).toEqual({ ok: true, id, recipients: 1 });
      expect(await client.nextText()).toBe(
        `{"channel":"${channel}","eventName":"é€😀","payload":{"n": 9007199254740993, "a":[1.0,"\\u0041"]},"id":"${id}","seq":1,"ts":123}`,
      );
    });

    it("count per channel, without gaps, and arrive in order", async () => {
      const [a, b] = [privateChannel(), privateChannel()];
      const client = await subscriber([a, b]);
      const batch = Array.from({ length: 40 }, (_, n) => ({ channel: n % 2 ? a : b, payload: n }));
      await publish(batch);
      const frames = await client.nextN(40);
      for (const channel of [a, b]) {
        const own = frames.filter((frame) => frame.channel === channel);
        const first = own[0]?.seq as number;
        expect(own.map((frame) => frame.seq)).toEqual(own.map((_, index) => first + index));
        expect(own.map((frame) => frame.payload)).toEqual(
          batch.filter((message) => message.channel === channel).map(({ payload }) => payload),
        );
      }
    });

    it("reach nobody but the subscribers of their channel", async () => {
      const [mine, other] = [privateChannel(), privateChannel()];
      const client = await subscriber([mine]);
      await publish({ channel: other, payload: "not for you" });
      await publish({ channel: mine, payload: "for you" });
      expect(await client.next()).toMatchObject({ payload: "for you" });
    });
  });

  describe("connect", () => {
    it("is answered by connected, with ping interval, expiry and limits", async () => {
      const client = await connect({ token: await token(["x"]) });
      const frame = await client.next();
      expect(frame).toMatchObject({ op: "connected", protocol: "rtm.v1" });
      expect(frame.pingMs).toBeGreaterThan(0);
      expect(frame.expiresInMs).toBeGreaterThan(200_000);
      expect(frame.expiresInMs).toBeLessThanOrEqual(300_000);
      expect(Object.keys(frame.limits as object)).toEqual([
        "frameBytes",
        "messageBytes",
        "channels",
      ]);
    });

    it("answers each entry of subscribe in order", async () => {
      const [a, b] = [privateChannel(), privateChannel()];
      const client = await connect({
        token: await token([a, b]),
        subscribe: [
          { channel: a },
          { channel: "no\u0000name" },
          { channel: "forbidden" },
          { channel: b },
        ],
      });
      const frames = await client.nextN(5);
      expect(frames.map((frame) => frame.code ?? frame.op)).toEqual([
        "connected",
        "subscribed",
        "bad_channel",
        "channel_forbidden",
        "subscribed",
      ]);
      expect(frames[3]).toMatchObject({ channel: "forbidden" });
    });

    it.each([
      ["no JSON", "hello"],
      ["an array", "[]"],
      ["another op", '{"op":"pong"}'],
      ["an unknown op", '{"op":"hello"}'],
      ["an unknown op that fits into no close frame", `{"op":"${"€".repeat(100)}"}`],
      ["a token that is no string", '{"op":"connect","token":1}'],
      ["subscribe that is no list", '{"op":"connect","subscribe":{}}'],
    ])("closes with 4200 when the first frame is %s", async (_what, text) => {
      const client = await open("/ws", { protocol: "rtm.v1" });
      client.ws.send(text);
      expect((await client.end()).code).toBe(4200);
    });

    it("closes with 4200 when connect comes twice", async () => {
      const client = await subscriber([privateChannel()]);
      client.send({ op: "connect" });
      expect((await client.end()).code).toBe(4200);
    });

    it("closes with 4201 after a binary frame", async () => {
      const client = await open("/ws", { protocol: "rtm.v1" });
      client.ws.send(Buffer.from('{"op":"connect"}'));
      expect((await client.end()).code).toBe(4201);
    });

    it("closes with 4003 without a connect frame in time", async ({ skip }) => {
      if (!get().quick) skip("the relay's connect deadline is not short");
      const client = await open("/ws", { protocol: "rtm.v1" });
      expect((await client.end()).code).toBe(4003);
    });

    it("works on / as well as on /ws, and refuses other paths and subprotocols", async () => {
      await open("/", { protocol: "rtm.v1" });
      await expect(open("/elsewhere", { protocol: "rtm.v1" })).rejects.toThrow("404");
      await expect(open("/ws", { protocol: "other" })).rejects.toThrow("400");
    });
  });

  describe("frames after connect", () => {
    it.each([
      ["bad_frame", "no json"],
      ["bad_frame", "[]"],
      ["bad_frame", "null"],
      ["bad_frame", '{"op":1}'],
      ["bad_frame", '{"op":"subscribe"}'],
      ["bad_frame", '{"op":"subscribe","subscribe":[1]}'],
      ["bad_frame", '{"op":"unsubscribe","channels":"a"}'],
      ["bad_frame", '{"op":"refresh"}'],
      ["unknown_op", '{"op":"toString"}'],
      ["bad_channel", '{"op":"subscribe","subscribe":[{}]}'],
      ["bad_channel", '{"op":"subscribe","subscribe":[{"channel":""}]}'],
      ["bad_channel", '{"op":"subscribe","subscribe":[{"channel":"a*"}]}'],
      ["bad_channel", `{"op":"subscribe","subscribe":[{"channel":"${"é".repeat(65)}"}]}`],
      ["bad_channel", '{"op":"subscribe","subscribe":[{"channel":"\\ud800"}]}'],
      ["bad_channel", '{"op":"unsubscribe","channels":[""]}'],
      ["bad_since", '{"op":"subscribe","subscribe":[{"channel":"a","since":5}]}'],
      ["bad_since", '{"op":"subscribe","subscribe":[{"channel":"a","since":{}}]}'],
      ["bad_since", '{"op":"subscribe","subscribe":[{"channel":"a","since":{"ageMs":-1}}]}'],
      [
        "bad_since",
        '{"op":"subscribe","subscribe":[{"channel":"a","since":{"epoch":"e","seq":1.5}}]}',
      ],
      ["channel_forbidden", '{"op":"subscribe","subscribe":[{"channel":"forbidden"}]}'],
      ["token_invalid", '{"op":"refresh","token":"x"}'],
    ])("answers %s to %s and goes on", async (code, text) => {
      const client = await subscriber([privateChannel()]);
      client.ws.send(text);
      expect(await client.next()).toMatchObject({ op: "error", code, message: expect.any(String) });
      await expectAlive(client);
    });

    it("ignores members it does not know", async () => {
      const client = await subscriber([privateChannel()]);
      client.send({ op: "pong", extra: [1] });
      await expectAlive(client);
    });

    it("closes with 1009 after a frame above limits.frameBytes", async () => {
      const client = await connect({ token: await token(["x"]) });
      const { limits } = (await client.next()) as { limits: { frameBytes: number } } & Frame;
      client.ws.send(JSON.stringify({ op: "pong", x: "x".repeat(limits.frameBytes) }));
      expect((await client.end()).code).toBe(1009);
    });

    it("closes with 1007 after invalid UTF-8", async () => {
      const client = await subscriber([privateChannel()]);
      client.ws.send(Buffer.from([0x22, 0xff, 0x22]), { binary: false });
      expect((await client.end()).code).toBe(1007);
    });

    it("answers too_many_channels above limits.channels", async () => {
      const client = await connect({ token: await token(["*"]) });
      const { limits } = (await client.next()) as { limits: { channels: number } } & Frame;
      const names = Array.from({ length: limits.channels + 1 }, () => privateChannel());
      for (let at = 0; at < names.length; at += 50) {
        const subscribe = names.slice(at, at + 50).map((channel) => ({ channel }));
        client.send({ op: "subscribe", subscribe });
      }
      const frames = await client.nextN(names.length);
      expect(frames.slice(0, -1).every(({ op }) => op === "subscribed")).toBe(true);
      expect(frames.at(-1)).toMatchObject({
        op: "error",
        code: "too_many_channels",
        channel: names.at(-1),
      });
      await expectAlive(client);
    });

    it("closes with 4006 after far too many frames", async () => {
      const client = await subscriber([privateChannel()]);
      for (let count = 0; count < 20_000 && !client.closed; count++) {
        client.send({ op: "pong" });
        if (count % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      expect((await client.end()).code).toBe(4006);
    });

    it("sends pings, and closes with 4002 when nothing answers", async ({ skip }) => {
      if (!get().quick) skip("the relay's heartbeat is not short");
      const alive = await subscriber([privateChannel()]);
      const silent = await subscriber([privateChannel()]);
      silent.silent = true;
      expect((await silent.end()).code).toBe(4002);
      expect(silent.pings).toBeGreaterThan(0);
      await until("a ping to the one that answers", () => alive.pings > 2);
      await expectAlive(alive);
    });
  });

  describe("subscribe and unsubscribe", () => {
    it("ends a subscription when asked", async () => {
      const [a, b] = [privateChannel(), privateChannel()];
      const client = await subscriber([a, b]);
      client.send({ op: "unsubscribe", channels: [a] });
      expect(await client.next()).toEqual({ op: "unsubscribed", channel: a });
      await publish([
        { channel: a, payload: 1 },
        { channel: b, payload: 2 },
      ]);
      expect(await client.next()).toMatchObject({ channel: b, payload: 2 });
    });

    it("answers a repeated subscription again and sends nothing twice", async () => {
      const channel = privateChannel();
      const client = await subscriber([channel]);
      await publish({ channel, payload: 1 });
      expect(await client.next()).toMatchObject({ payload: 1 });
      client.send({ op: "subscribe", subscribe: [{ channel }] });
      expect(await client.next()).toMatchObject({ op: "subscribed", seq: 1, recovered: false });
      expect((await publish({ channel, payload: 2 })).body.recipients).toBe(1);
      expect(await client.next()).toMatchObject({ payload: 2, seq: 2 });
    });
  });

  it("answers WebSocket pings with pongs", async () => {
    const client = await subscriber([privateChannel()]);
    const pong = new Promise<string>((resolve) => {
      client.ws.once("pong", (data) => resolve(data.toString()));
    });
    client.ws.ping("hello");
    expect(await pong).toBe("hello");
    expect(client.ws.readyState).toBe(WebSocket.OPEN);
  });
}
