/** Tokens, what ends them, who is seen, and which pages may come. */
import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { until } from "./client.ts";
import type { Kit } from "./kit-world.ts";

export function describeRights({
  get,
  privateChannel,
  token,
  open,
  connect,
  subscriber,
  publish,
  expectAlive,
}: Kit): void {
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
}
