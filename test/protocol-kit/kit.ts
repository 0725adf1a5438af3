/**
 * The protocol kit: black-box tests of a relay against docs/protocol.md. It knows a URL and
 * credentials, nothing else; limits are taken from the relay's own `connected` frame.
 */
import { randomUUID } from "node:crypto";
import { SignJWT } from "jose";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { Client, type Frame, post, type Target, until, urlOf } from "./client.ts";
import { EventReader, poll } from "./event-stream.ts";

export interface KitTarget {
  readonly target: Target;
  /** An API key that may publish to every channel the kit uses, and is `trusted`. */
  readonly apiKey: string;
  /** An API key that is not trusted and may only publish below `<privatePrefix>open`. */
  readonly limitedKey?: string | undefined;
  /** A secret that signs tokens, and its `kid`. */
  readonly secret: string;
  readonly kid: string;
  /** Channel names that begin so need a token. */
  readonly privatePrefix: string;
  /** Channel names that begin so are public; undefined when there are none. */
  readonly publicPrefix?: string | undefined;
  /** An origin in the allow-list. */
  readonly allowedOrigin?: string | undefined;
  /** More messages than the relay takes in one POST. */
  readonly tooManyMessages?: number | undefined;
  /** A rule of the relay lets users be seen in private channels. */
  readonly presence: boolean;
  /** The relay's times are short enough to wait for, and its caps small enough to reach. */
  readonly quick: boolean;
}

/** Registers the tests. `get` is called inside them. */
export function protocolKit(get: () => KitTarget): void {
  const clients: Client[] = [];

  afterEach(async () => {
    for (const client of clients.splice(0)) {
      client.terminate();
      await client.end();
    }
  });

  const unique = (prefix: string) => `${prefix}${randomUUID()}`;
  const privateChannel = () => unique(get().privatePrefix);

  async function token(
    channels: unknown,
    claims: { sub?: unknown; exp?: number | undefined; nbf?: number } = {},
    header: { kid?: string | undefined; alg?: string } = {},
    secret = get().secret,
  ): Promise<string> {
    const exp = "exp" in claims ? claims.exp : Math.floor(Date.now() / 1000) + 300;
    const body = { sub: "kit", channels, ...claims, ...(exp === undefined ? {} : { exp }) };
    if (exp === undefined) delete (body as { exp?: number }).exp;
    const kid = "kid" in header ? header.kid : get().kid;
    return await new SignJWT(body as never)
      .setProtectedHeader({ alg: header.alg ?? "HS256", ...(kid === undefined ? {} : { kid }) })
      .sign(Buffer.from(secret));
  }

  async function open(path = "/ws", options: Parameters<typeof Client.open>[2] = {}) {
    const client = await Client.open(get().target, path, options);
    clients.push(client);
    return client;
  }

  async function connect(frame: object): Promise<Client> {
    const client = await open("/ws", { protocol: "rtm.v1" });
    client.send({ op: "connect", ...frame });
    return client;
  }

  /** A client with a token for `channels` that is subscribed to them. */
  async function subscriber(channels: readonly string[]): Promise<Client> {
    const client = await connect({
      token: await token(channels),
      subscribe: channels.map((channel) => ({ channel })),
    });
    expect(await client.next()).toMatchObject({ op: "connected" });
    for (const channel of channels) {
      expect(await client.next()).toMatchObject({ op: "subscribed", channel });
    }
    return client;
  }

  const publish = (body: unknown, headers: Record<string, string> = {}) =>
    post(get().target, body, { "x-api-key": get().apiKey, ...headers });

  /** The relay goes on after whatever was sent before. */
  async function expectAlive(client: Client): Promise<void> {
    const channel = unique("never-subscribed-");
    client.send({ op: "unsubscribe", channels: [channel] });
    expect(await client.next()).toEqual({ op: "unsubscribed", channel });
  }

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

  describe("presence", () => {
    const asking = async (channel: string, user: string, claims: object | undefined) => {
      const client = await connect({
        token: await token([channel], { sub: user, ...(claims ? { presence: claims } : {}) }),
        subscribe: [{ channel, presence: { join: true, watch: true } }],
      });
      expect(await client.next()).toMatchObject({ op: "connected" });
      const subscribed = await client.next();
      expect(subscribed).toMatchObject({ op: "subscribed", channel });
      return { client, subscribed };
    };

    it("is denied without the claim, and the subscription stands", async () => {
      const channel = privateChannel();
      const { client, subscribed } = await asking(channel, "SCOTT", undefined);
      expect(subscribed).not.toHaveProperty("user");
      expect(await client.next()).toMatchObject({
        op: "error",
        code: "presence_forbidden",
        channel,
      });
      await publish({ channel, payload: 1 });
      expect(await client.next()).toMatchObject({ channel, payload: 1 });
    });

    it("lists who is there, then tells who comes and who leaves", async ({ skip }) => {
      if (!get().presence) return skip("no rule lets users be seen");
      const channel = privateChannel();
      const claims = { join: [channel], watch: [channel], info: { name: "Scott" } };
      const { client, subscribed } = await asking(channel, "SCOTT", claims);
      expect(subscribed).toMatchObject({ user: "SCOTT" });
      expect(await client.next()).toMatchObject({
        op: "members",
        channel,
        count: 1,
        members: [{ user: "SCOTT", info: { name: "Scott" }, connections: 1 }],
        more: false,
      });
      const king = await asking(channel, "KING", { join: [channel], watch: [channel] });
      const joined = [{ user: "KING", connections: 1 }];
      expect(await client.next()).toEqual({
        op: "presence",
        channel,
        count: 2,
        left: [],
        joined,
      });
      king.client.send({ op: "unsubscribe", channels: [channel] });
      expect(await client.next()).toEqual({
        op: "presence",
        channel,
        count: 1,
        left: ["KING"],
        joined: [],
      });
    });
  });

  describe("recovery", () => {
    async function ask(
      channel: string,
      since: object,
      events?: readonly string[],
    ): Promise<{ client: Client; answer: Frame }> {
      const client = await connect({
        token: await token([channel]),
        subscribe: [{ channel, since, events }],
      });
      await client.next();
      return { client, answer: await client.next() };
    }

    async function published(
      count: number,
    ): Promise<{ channel: string; epoch: string; seq: number }> {
      const channel = privateChannel();
      const client = await subscriber([channel]);
      const payloads = Array.from({ length: count }, (_, n) => ({ channel, payload: n + 1 }));
      if (count > 0) await publish(payloads);
      client.send({ op: "subscribe", subscribe: [{ channel }] });
      let frame = await client.next();
      while (frame.op !== "subscribed") frame = await client.next();
      return { channel, epoch: frame.epoch as string, seq: frame.seq as number };
    }

    it("replays everything after a position, and ends at the seq of subscribed", async () => {
      const { channel, epoch, seq } = await published(5);
      const { client, answer } = await ask(channel, { epoch, seq: seq - 3 });
      expect(answer).toMatchObject({ op: "subscribed", recovered: true, seq });
      await publish({ channel, payload: "live" });
      const frames = await client.nextN(4);
      expect(frames.map((frame) => frame.payload)).toEqual([3, 4, 5, "live"]);
      expect(frames.at(-1)?.seq).toBe(seq + 1);
    });

    it("recovers a client that has received nothing yet", async () => {
      const { channel, epoch, seq } = await published(0);
      await publish({ channel, payload: "first" });
      const { client, answer } = await ask(channel, { epoch, seq });
      expect(answer).toMatchObject({ recovered: true, seq: seq + 1 });
      expect(await client.next()).toMatchObject({ payload: "first" });
    });

    it("with a filter leaves out other events, and says how far it has got", async () => {
      const { channel, epoch, seq } = await published(0);
      await publish(["a", "b", "a", "b"].map((eventName) => ({ channel, eventName, payload: 0 })));
      const { client, answer } = await ask(channel, { epoch, seq }, ["a"]);
      expect(answer).toMatchObject({ recovered: true, seq: seq + 4, events: ["a"] });
      await publish(["b", "a"].map((eventName) => ({ channel, eventName, payload: 1 })));
      expect(await client.nextN(4)).toMatchObject([
        { eventName: "a", seq: seq + 1 },
        { eventName: "a", seq: seq + 3 },
        { op: "position", channel, seq: seq + 4 },
        { eventName: "a", seq: seq + 6 },
      ]);
      client.send({ op: "subscribe", subscribe: [{ channel, events: [] }] });
      expect(await client.next()).toMatchObject({ op: "error", code: "bad_frame", channel });
      client.send({ op: "subscribe", subscribe: [{ channel, events: ["*"] }] });
      expect(await client.next()).toMatchObject({ op: "error", code: "bad_event_name", channel });
    });

    it("has nothing to replay at the channel's seq, and says so", async () => {
      const { channel, epoch, seq } = await published(2);
      const { client, answer } = await ask(channel, { epoch, seq });
      expect(answer).toMatchObject({ recovered: true, seq });
      await publish({ channel, payload: "next" });
      expect(await client.next()).toMatchObject({ payload: "next", seq: seq + 1 });
    });

    it.each([
      [
        "a position from the future",
        ({ epoch, seq }: { epoch: string; seq: number }) => ({ epoch, seq: seq + 1 }),
      ],
      ["another epoch", ({ seq }: { seq: number }) => ({ epoch: randomUUID(), seq })],
      ["an age that reaches behind the relay's memory", () => ({ ageMs: 1e12 })],
    ])("refuses %s, and replays nothing", async (_what, since) => {
      const state = await published(3);
      const { client, answer } = await ask(state.channel, since(state));
      expect(answer).toMatchObject({ op: "subscribed", recovered: false, seq: state.seq });
      await publish({ channel: state.channel, payload: "live" });
      expect(await client.next()).toMatchObject({ payload: "live" });
    });

    it("replays everything that is younger than an age, once the relay remembers so long", async () => {
      let asked: { client: Client; answer: Frame; channel: string; seq: number } | undefined;
      // A relay that has just started remembers no longer than it runs.
      await until("the age to be recovered", async () => {
        const since = performance.now();
        const { channel, seq } = await published(3);
        const ageMs = Math.ceil(performance.now() - since);
        asked = { ...(await ask(channel, { ageMs })), channel, seq };
        if (asked.answer.recovered !== true) asked.client.terminate();
        return asked.answer.recovered === true;
      });
      const { client, answer, channel, seq } = asked as NonNullable<typeof asked>;
      expect(answer).toMatchObject({ op: "subscribed", seq });
      await publish({ channel, payload: "live" });
      const frames = await client.nextN(4);
      expect(frames.map((frame) => frame.payload)).toEqual([1, 2, 3, "live"]);
    });

    it("goes on for a reader that fell behind: dropped, it recovers or is told that it cannot", async ({
      skip,
    }) => {
      if (!get().quick) skip();
      const channel = privateChannel();
      const slow = await connect({ token: await token([channel]), subscribe: [{ channel }] });
      const { limits } = (await slow.next()) as { limits: { messageBytes: number } };
      const { epoch } = await slow.next();
      slow.stopReading();
      const payload = "x".repeat(limits.messageBytes / 2);
      let recipients: unknown = 1;
      for (let count = 0; count < 200 && recipients === 1; count++) {
        ({ recipients } = (await publish({ channel, payload })).body);
      }
      expect(recipients).toBe(0);
      slow.startReading();
      // 4002: on a busy machine its silence is noticed before its backlog.
      expect([4001, 4002, 1006]).toContain((await slow.end()).code);
      const read = slow.received.map((text) => (JSON.parse(text) as { seq: number }).seq);
      expect(read).toEqual(read.map((_, index) => index + 1));
      const { client, answer } = await ask(channel, { epoch, seq: read.length });
      const last = answer.seq as number;
      const rest = answer.recovered ? last - read.length : 0;
      await publish({ channel, payload: "live" });
      const seqs = (await client.nextN(rest + 1)).map((frame) => frame.seq);
      expect(seqs).toEqual(seqs.map((_, index) => last - rest + 1 + index));
    });
  });

  describe("tokens", () => {
    const now = () => Math.floor(Date.now() / 1000);

    it.each([
      ["none", 4102, () => undefined],
      ["no JWT", 4101, async () => "x.y.z"],
      ["another secret", 4101, () => token(["x"], {}, {}, "another-secret-0123456789-0123456789")],
      ["an unknown kid", 4101, () => token(["x"], {}, { kid: "unknown" })],
      ["another algorithm", 4101, () => token(["x"], {}, { alg: "HS384" }, "s".repeat(48))],
      ["no exp", 4101, () => token(["x"], { exp: undefined })],
      ["no sub", 4101, () => token(["x"], { sub: undefined })],
      ["an empty sub", 4101, () => token(["x"], { sub: "" })],
      ["a sub of 257 characters", 4101, () => token(["x"], { sub: "s".repeat(257) })],
      ["channels that are no list", 4101, () => token("x")],
      ["a * in the middle", 4101, () => token(["a*b"])],
      ["nbf in the future", 4101, () => token(["x"], { nbf: now() + 120 })],
      ["exp in the past", 4100, () => token(["x"], { exp: now() - 600 })],
    ])("%s: connect closes with %i", async (what, code, make) => {
      if (what === "none" && get().publicPrefix !== undefined) code = 0;
      const client = await connect({ token: await make(), subscribe: [{ channel: "x" }] });
      if (code === 0) {
        // With public channels a client without a token may stay, and sees only those.
        expect(await client.next()).toMatchObject({ op: "connected", expiresInMs: null });
        expect(await client.next()).toMatchObject({ code: "channel_forbidden" });
      } else expect((await client.end()).code).toBe(code);
    });

    it("tolerates 30 s between the clocks", async () => {
      const late = await connect({ token: await token(["x"], { exp: now() - 10 }) });
      expect(await late.next()).toMatchObject({ op: "connected" });
      const early = await connect({ token: await token(["x"], { nbf: now() + 10 }) });
      expect(await early.next()).toMatchObject({ op: "connected" });
    });

    it("grant exact names and prefixes, nothing else", async () => {
      const prefix = get().privatePrefix;
      const client = await connect({
        token: await token([`${prefix}exact`, `${prefix}area:*`]),
        subscribe: ["exact", "exact2", "area:1", "area"].map((name) => ({
          channel: prefix + name,
        })),
      });
      const frames = await client.nextN(5);
      expect(frames.slice(1).map(({ op }) => op)).toEqual([
        "subscribed",
        "error",
        "subscribed",
        "error",
      ]);
    });

    it("add up, and each ends with its own exp", async () => {
      const [short, long] = [privateChannel(), privateChannel()];
      const client = await connect({
        token: await token([short], { exp: now() + 2 }),
        subscribe: [{ channel: short }],
      });
      await client.nextN(2);
      client.send({ op: "subscribe", subscribe: [{ channel: long }], token: await token([long]) });
      expect(await client.next()).toMatchObject({ op: "refreshed" });
      expect(await client.next()).toMatchObject({ op: "subscribed", channel: long });
      expect(await client.next()).toEqual({
        op: "unsubscribed",
        channel: short,
        code: "token_expired",
      });
      await publish([
        { channel: short, payload: 1 },
        { channel: long, payload: 2 },
      ]);
      expect(await client.next()).toMatchObject({ channel: long, payload: 2 });
    });

    it("close the socket with 4100 when the last one has ended", async () => {
      const client = await connect({ token: await token(["x"], { exp: now() + 1 }) });
      expect((await client.end()).code).toBe(4100);
    });

    it("are refreshed in time", async () => {
      const channel = privateChannel();
      const exp = now() + 2;
      const client = await connect({
        token: await token([channel], { exp }),
        subscribe: [{ channel }],
      });
      await client.nextN(2);
      client.send({ op: "refresh", token: await token([channel], { exp: now() + 300 }) });
      const answer = await client.next();
      expect(answer).toMatchObject({ op: "refreshed" });
      expect(answer.expiresInMs).toBeGreaterThan(200_000);
      await until("the first token to end", () => Date.now() > exp * 1000 + 100);
      await publish({ channel, payload: "still here" });
      expect(await client.next()).toMatchObject({ payload: "still here" });
    });

    it("of another sub are refused, and change nothing", async () => {
      const client = await subscriber([privateChannel()]);
      const other = privateChannel();
      client.send({
        op: "subscribe",
        subscribe: [{ channel: other }],
        token: await token([other], { sub: "somebody else" }),
      });
      expect(await client.next()).toMatchObject({ code: "token_subject_mismatch" });
      expect(await client.next()).toMatchObject({ code: "channel_forbidden", channel: other });
      await expectAlive(client);
    });

    it("above limits.channels in force are refused, and change nothing", async () => {
      const first = privateChannel();
      const client = await connect({ token: await token([first]) });
      const { limits } = (await client.next()) as { limits: { channels: number } };
      for (let count = 1; count <= limits.channels; count++) {
        client.send({ op: "refresh", token: await token([privateChannel()]) });
        const expected =
          count < limits.channels ? { op: "refreshed" } : { op: "error", code: "token_limit" };
        expect(await client.next()).toMatchObject(expected);
      }
      client.send({ op: "subscribe", subscribe: [{ channel: first }] });
      expect(await client.next()).toMatchObject({ op: "subscribed", channel: first });
    });
  });

  describe("control", () => {
    const whom = () => `kit-${randomUUID()}`;

    it.for([
      ["revoke", {}, 4103],
      ["disconnect", {}, 4007],
      ["disconnect", { stop: true }, 4207],
    ] as const)("%s %j closes with %i", async ([op, more, code], { skip }) => {
      const [user, channel] = [whom(), privateChannel()];
      const made = await token([channel], { sub: user });
      const client = await connect({ token: made, subscribe: [{ channel }] });
      await client.nextN(2);
      const { status, body } = await publish({ op, user, ...more });
      if (body.code === "scope_missing") return skip("the key has not the scope manage");
      expect([status, body]).toMatchObject([200, { ok: true }]);
      expect((await client.end()).code).toBe(code);
      const again = await connect({ token: made });
      if (code !== 4103) expect(await again.next()).toMatchObject({ op: "connected" });
      else expect((await again.end()).code).toBe(4103);
    });

    it("unsubscribe takes one channel, also from the old token", async ({ skip }) => {
      const [user, taken, kept] = [whom(), privateChannel(), privateChannel()];
      const made = await token([taken, kept], { sub: user });
      const client = await connect({ token: made, subscribe: [{ channel: taken }] });
      await client.nextN(2);
      const { body } = await publish({ op: "unsubscribe", user, channel: taken });
      if (body.code === "scope_missing") return skip("the key has not the scope manage");
      expect(await client.next()).toEqual({
        op: "unsubscribed",
        channel: taken,
        code: "token_revoked",
      });
      const entries = [{ channel: taken }, { channel: kept }];
      client.send({ op: "subscribe", token: made, subscribe: entries });
      expect(await client.nextN(3)).toMatchObject([
        { op: "refreshed" },
        { op: "error", code: "channel_forbidden", channel: taken },
        { op: "subscribed", channel: kept },
      ]);
    });

    it("a rule that an item breaks is named", async ({ skip }) => {
      const { status, body } = await publish({ op: "revoke", user: "a", sid: "b" });
      if (body.code === "scope_missing") return skip("the key has not the scope manage");
      expect([status, body.code]).toEqual([400, "bad_control"]);
    });
  });

  describe("publishing socket", () => {
    const publisher = async () => {
      const options = { protocol: "rtm.publish.v1", headers: { "x-api-key": get().apiKey } };
      const socket = await open("/api/publish", options);
      return { socket, ready: await socket.next() };
    };

    it("is open to keys only", async () => {
      await expect(open("/api/publish", { protocol: "rtm.publish.v1" })).rejects.toThrow("401");
      const key = encodeURIComponent(get().apiKey);
      const inUrl = open(`/api/publish?x-api-key=${key}`, { protocol: "rtm.publish.v1" });
      await expect(inUrl).rejects.toThrow("401");
    });

    it("answers each frame with its number, in order, as a POST is answered", async () => {
      const channel = privateChannel();
      const { socket, ready } = await publisher();
      expect(ready).toMatchObject({ op: "ready", protocol: "rtm.publish.v1" });
      expect(ready.window).toBeGreaterThan(0);
      const reader = await subscriber([channel]);
      const id = randomUUID();
      socket.send({
        op: "publish",
        n: 5,
        messages: [{ channel, id, payload: 1 }, { channel: "*" }],
      });
      socket.send({ op: "publish", n: 5, messages: [{ channel, id, payload: 1 }] });
      expect(await socket.nextN(2)).toMatchObject([
        {
          op: "results",
          n: 5,
          results: [
            { ok: true, id },
            { ok: false, code: "bad_channel" },
          ],
        },
        { op: "results", n: 5, results: [{ ok: true, id, duplicate: true }] },
      ]);
      expect((await publish({ channel, id, payload: 1 })).body).toMatchObject({ duplicate: true });
      await publish({ channel, payload: 2 });
      expect((await reader.nextN(2)).map(({ payload }) => payload)).toEqual([1, 2]);
    });

    it("takes nothing behind a refused frame before resume", async () => {
      const channel = privateChannel();
      const { socket } = await publisher();
      const one = { op: "publish", n: 2, messages: [{ channel }] };
      socket.send({ op: "publish", n: 1, messages: [1] });
      socket.send(one);
      socket.send({ op: "resume" });
      socket.send({ ...one, n: 3 });
      expect(await socket.nextN(3)).toMatchObject([
        { op: "refused", n: 1, code: "bad_json" },
        { op: "refused", n: 2, code: "unavailable" },
        { op: "results", n: 3, results: [{ ok: true }] },
      ]);
    });

    it("closes after what is no frame", async () => {
      const { socket } = await publisher();
      socket.ws.send("{}");
      expect((await socket.end()).code).toBe(4200);
    });
  });

  describe("origins", () => {
    it("closes pages of a strange origin with 4202", async () => {
      const client = await open("/ws", {
        protocol: "rtm.v1",
        headers: { origin: "https://strange.example" },
      });
      expect((await client.end()).code).toBe(4202);
    });

    it("lets pages of an allowed origin in", async ({ skip }) => {
      const { allowedOrigin } = get();
      if (allowedOrigin === undefined) skip("no allowed origin was given");
      const client = await open("/ws", {
        protocol: "rtm.v1",
        headers: { origin: allowedOrigin as string },
      });
      client.send({ op: "connect", token: await token(["x"]) });
      expect(await client.next()).toMatchObject({ op: "connected" });
    });
  });

  describe("plain URL subscriptions", () => {
    const query = (parameters: Record<string, string>) => `/ws?${new URLSearchParams(parameters)}`;

    it("get messages only, and bare payloads with format=payload", async () => {
      const channel = privateChannel();
      const rights = await token([channel]);
      const whole = await open(query({ channel, token: rights }));
      const bare = await open(query({ channel, token: rights, format: "payload" }));
      // Nothing tells a plain client that it is subscribed; the number of recipients does.
      await until("both to be subscribed", async () => {
        return (await publish({ channel, payload: "probe" })).body.recipients === 2;
      });
      await publish(`{"channel":"${channel}","payload": [1.0 ,2]}`);
      let text = await bare.nextText();
      while (text === '"probe"') text = await bare.nextText();
      expect(text).toBe("[1.0 ,2]");
      let frame = await whole.next();
      while (frame.payload === "probe") frame = await whole.next();
      expect(frame).toMatchObject({ channel, payload: [1, 2] });
    });

    it("replay from since, and close with 4205 when it cannot be recovered", async () => {
      const channel = privateChannel();
      const rights = await token([channel]);
      const first = await subscriber([channel]);
      first.send({ op: "subscribe", subscribe: [{ channel }] });
      const { epoch, seq } = await first.next();
      await publish([1, 2].map((payload) => ({ channel, payload })));
      const recovered = await open(query({ channel, token: rights, since: `${epoch}:${seq}` }));
      expect((await recovered.nextN(2)).map(({ payload }) => payload)).toEqual([1, 2]);
      const refused = await open(query({ channel, token: rights, since: `${epoch}:99999` }));
      expect((await refused.end()).code).toBe(4205);
    });

    it.each([
      ["a bad channel", { channel: "a*" }, 4204],
      ["a bad format", { channel: "a", format: "xml" }, 4204],
      ["a bad since", { channel: "a", since: "x" }, 4204],
      ["a bad token", { channel: "a", token: "x" }, 4101],
      ["no token", { channel: "needs-a-token" }, 4102],
    ])("with %s are closed", async (_what, parameters, code) => {
      const client = await open(query(parameters as Record<string, string>));
      expect((await client.end()).code).toBe(code);
    });

    it("with since and several channels are closed with 4204", async () => {
      const client = await open("/ws?channel=a&channel=b&since=e:1");
      expect((await client.end()).code).toBe(4204);
    });

    it("with a token for none of the channels are closed with 4203", async () => {
      const client = await open(query({ channel: "a", token: await token(["b"]) }));
      expect((await client.end()).code).toBe(4203);
    });

    it("read public channels without a token", async ({ skip }) => {
      const { publicPrefix } = get();
      if (publicPrefix === undefined) skip("no public channels were given");
      const channel = unique(publicPrefix as string);
      const client = await open(query({ channel }));
      await until("the subscription", async () => {
        return (await publish({ channel, payload: 1 })).body.recipients === 1;
      });
      expect(await client.next()).toMatchObject({ channel });
    });

    it("ignore what the client sends", async () => {
      const channel = privateChannel();
      const client = await open(query({ channel, token: await token([channel]) }));
      client.ws.send("hello");
      client.ws.send(Buffer.from([1, 2, 3]));
      await until("the subscription", async () => {
        return (await publish({ channel, payload: 1 })).body.recipients === 1;
      });
      expect(await client.next()).toMatchObject({ payload: 1 });
    });
  });

  describe("REST", () => {
    it("takes event_name, the default event, and no payload", async () => {
      const channel = privateChannel();
      const client = await subscriber([channel]);
      await publish({ channel, event_name: "alias", payload: {} });
      await publish({ channel });
      expect(await client.next()).toMatchObject({ eventName: "alias", payload: {} });
      expect(await client.next()).toMatchObject({ eventName: "message", payload: null });
    });

    it("answers an array with one result per message", async () => {
      const channel = privateChannel();
      const { status, body } = await publish([
        { channel, payload: 1 },
        { channel: "no*", payload: 2 },
        { channel, eventName: 3 },
      ]);
      expect(status).toBe(200);
      expect(body).toMatchObject({
        ok: false,
        results: [
          { ok: true, recipients: 0, id: expect.any(String) },
          { ok: false, code: "bad_channel" },
          { ok: false, code: "bad_event_name" },
        ],
      });
    });

    it("does not send an id twice, and says duplicate", async () => {
      const channel = privateChannel();
      const client = await subscriber([channel]);
      const id = randomUUID();
      expect((await publish({ channel, id, payload: 1 })).body).toEqual({
        ok: true,
        id,
        recipients: 1,
      });
      const again = await publish({ channel, id, payload: 1 });
      expect(again.body).toMatchObject({ ok: true, id, duplicate: true });
      await publish({ channel, payload: 2 });
      expect((await client.nextN(2)).map(({ payload }) => payload)).toEqual([1, 2]);
    });

    it.each([
      ["bad_channel", 400, '{"payload":1}'],
      ["bad_channel", 400, '{"channel":7}'],
      ["bad_channel", 400, `{"channel":"${"x".repeat(129)}"}`],
      ["bad_event_name", 400, '{"channel":"c","eventName":""}'],
      ["bad_id", 400, '{"channel":"c","id":"a\\nb"}'],
      ["bad_id", 400, '{"channel":"c","id":5}'],
      ["bad_ts", 400, '{"channel":"c","ts":"now"}'],
      ["bad_ts", 400, '{"channel":"c","ts":1.5}'],
      ["bad_json", 400, ""],
      ["bad_json", 400, '{"channel":'],
      ["bad_json", 400, '"text"'],
      ["bad_json", 400, "null"],
      ["bad_json", 400, "[1]"],
      ["bad_json", 400, '[{"channel":"c"},null]'],
    ])("answers %s (%i) to %s", async (code, status, text) => {
      const answer = await publish(text);
      expect(answer.status).toBe(status);
      expect(answer.body).toMatchObject({ ok: false, code, message: expect.any(String) });
    });

    it("answers message_too_large above limits.messageBytes, and takes what is just below", async () => {
      const channel = privateChannel();
      const client = await connect({ token: await token([channel]) });
      const { limits } = (await client.next()) as { limits: { messageBytes: number } } & Frame;
      const tooLarge = await publish({ channel, payload: "x".repeat(limits.messageBytes) });
      expect(tooLarge).toMatchObject({ status: 413, body: { code: "message_too_large" } });
      const fits = await publish({ channel, payload: "x".repeat(limits.messageBytes - 600) });
      expect(fits.status).toBe(200);
    });

    it("answers batch_too_large to too many messages, and takes none of them", async ({ skip }) => {
      const { tooManyMessages } = get();
      if (tooManyMessages === undefined) return skip();
      const channel = privateChannel();
      const client = await subscriber([channel]);
      const batch = Array.from({ length: tooManyMessages }, () => ({ channel, payload: "no" }));
      const { status, body } = await publish(batch);
      expect([status, body.ok, body.code]).toEqual([413, false, "batch_too_large"]);
      await publish({ channel, payload: "yes" });
      expect(await client.next()).toMatchObject({ payload: "yes" });
    });

    it("answers unauthorized without a known key", async () => {
      for (const key of ["", "unknown-key-0123456789"]) {
        const answer = await publish({ channel: "c" }, { "x-api-key": key });
        expect(answer).toMatchObject({ status: 401, body: { ok: false, code: "unauthorized" } });
      }
    });

    it("keeps a key to its channels, and takes id and ts from trusted keys only", async ({
      skip,
    }) => {
      const { limitedKey, privatePrefix } = get();
      if (limitedKey === undefined) skip("no limited key was given");
      const headers = { "x-api-key": limitedKey as string };
      const forbidden = await publish({ channel: `${privatePrefix}closed` }, headers);
      expect(forbidden).toMatchObject({ status: 403, body: { code: "channel_forbidden" } });
      const channel = unique(`${privatePrefix}open`);
      const client = await subscriber([channel]);
      // Refused as a whole: the client below gets the next message as its first.
      const keep = { ...headers, "x-rtm-ids": "keep" };
      const untrusted = await publish([{ channel, id: "mine" }], keep);
      expect(untrusted).toMatchObject({ status: 403, body: { code: "key_not_trusted" } });
      const { body } = await publish({ channel, id: "mine", ts: 1 }, headers);
      expect(body.id).not.toBe("mine");
      const frame = await client.next();
      expect(frame.id).toBe(body.id);
      expect(frame.ts).toBeGreaterThan(1);
    });

    it("answers unsupported_media_type to anything but JSON", async () => {
      const type = { "content-type": "text/plain" };
      const plain = await publish({ channel: "c" }, type);
      expect(plain).toMatchObject({ status: 415, body: { code: "unsupported_media_type" } });
      const charset = { "content-type": "application/json; charset=utf-8" };
      expect((await publish({ channel: "c" }, charset)).status).toBe(200);
    });

    it("answers bad_json to invalid UTF-8", async () => {
      const bytes = Buffer.from('{"channel":"c","payload":"\xff"}', "latin1");
      expect(await publish(bytes)).toMatchObject({ status: 400, body: { code: "bad_json" } });
    });

    it("answers the predecessor's health text, /healthz and /readyz", async () => {
      const url = urlOf(get().target);
      const get_ = async (path: string) => {
        const response = await fetch(url + path);
        return { status: response.status, text: await response.text() };
      };
      expect(await get_("/")).toEqual({
        status: 200,
        text: "RTM WebSocket / REST bridge is running",
      });
      expect((await get_("/healthz")).status).toBe(200);
      expect(await get_("/readyz")).toEqual({ status: 200, text: '{"ready":true}' });
    });
  });

  describe("without WebSockets", () => {
    const readers: EventReader[] = [];
    afterEach(() => {
      for (const reader of readers.splice(0)) reader.destroy();
    });

    async function stream(connect: object): Promise<EventReader> {
      const reader = await EventReader.stream(get().target, connect);
      readers.push(reader);
      return reader;
    }

    it("POST /stream: the frames of rtm.v1 as events, and recovery by position", async () => {
      const channel = privateChannel();
      const reader = await stream({ token: await token([channel]), subscribe: [{ channel }] });
      expect(reader.response.headers["content-type"]).toMatch(/^text\/event-stream/);
      const [connected, subscribed] = await reader.nextN(2);
      expect(connected).toMatchObject({ op: "connected", protocol: "rtm.v1" });
      expect(subscribed).toMatchObject({ op: "subscribed", channel });
      await publish({ channel, payload: 1 });
      expect(await reader.next()).toMatchObject({ channel, payload: 1 });
      reader.destroy();
      await publish({ channel, payload: 2 });
      const { epoch, seq } = subscribed as { epoch: string; seq: number };
      const subscribe = [{ channel, since: { epoch, seq: seq + 1 } }];
      const again = await stream({ token: await token([channel]), subscribe });
      expect((await again.nextN(3)).slice(1)).toMatchObject([
        { op: "subscribed", recovered: true },
        { payload: 2 },
      ]);
    });

    it("POST /stream: several tokens, answered in their order; a refusal is a close frame", async () => {
      const channels = [privateChannel(), privateChannel()] as const;
      const tokens = [await token([channels[0]]), "nonsense", await token([channels[1]])];
      const subscribe = channels.map((channel) => ({ channel }));
      const reader = await stream({ tokens, subscribe });
      expect((await reader.nextN(5)).map(({ op }) => op)).toEqual([
        "connected",
        "error",
        "refreshed",
        "subscribed",
        "subscribed",
      ]);
      const refused = await stream({ token: "nonsense" });
      expect(await refused.next()).toMatchObject({ op: "close", code: 4101 });
      await refused.end();
    });

    it("POST /poll: waits for news, and gives a lost answer again", async () => {
      const channel = privateChannel();
      const connect = { token: await token([channel]), subscribe: [{ channel }] };
      const first = await poll(get().target, { ...connect, waitMs: 0 });
      const { epoch, seq } = first.frames[1] as { epoch: string; seq: number };
      const ask = { ...connect, subscribe: [{ channel, since: { epoch, seq } }] };
      const waiting = poll(get().target, ask);
      await publish({ channel, payload: 1 });
      for (const { frames, more } of [await waiting, await poll(get().target, ask)]) {
        expect(frames.at(-1)).toMatchObject({ payload: 1 });
        expect(more).toBe(false);
      }
    });

    it("GET /sse: messages with ids that lead back to where the reader was", async () => {
      const channels = [privateChannel(), privateChannel()] as const;
      const query = channels.map((channel) => `channel=${channel}`).join("&");
      const authorization = `Bearer ${await token(channels)}`;
      const open = async (headers: Record<string, string>) => {
        const reader = await EventReader.open(get().target, `/sse?${query}`, { headers });
        readers.push(reader);
        return reader;
      };
      const reader = await open({ authorization });
      expect((await reader.nextEvent()).type).toBe("rtm");
      await reader.nextEvent();
      await publish({ channel: channels[1], payload: { line: "\r\n" } });
      const { type, data, id } = await reader.nextEvent();
      expect(type).toBe("message");
      expect(JSON.parse(data)).toMatchObject({ payload: { line: "\r\n" } });
      reader.destroy();
      await publish({ channel: channels[0], payload: 2 });
      const again = await open({ authorization, "last-event-id": id });
      expect(await again.nextN(3)).toMatchObject([
        { op: "subscribed", recovered: true },
        { op: "subscribed", recovered: true },
        { payload: 2 },
      ]);
      const refused = await EventReader.open(get().target, `/sse?${query}&token=nonsense`);
      expect(refused.status).toBe(401);
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
