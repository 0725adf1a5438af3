/** What clients send to each other past the history of a channel. */
import { describe, expect, it } from "vitest";
import type { Client, Frame } from "./client.ts";
import type { Kit } from "./kit-world.ts";

export function describeEvents({
  get,
  privateChannel,
  token,
  connect,
  subscriber,
  publish,
}: Kit): void {
  /** A client that may send to the channel and is subscribed to nothing, and how the relay greeted it. */
  const sender = async (channel: string, claim: unknown = [channel]) => {
    const client = await connect({
      token: await token([channel], { sub: "SCOTT", publish: claim }),
    });
    const greeting = await client.next();
    expect(greeting).toMatchObject({ op: "connected" });
    return { client, greeting: greeting as Greeting };
  };

  const send = (client: Client, channel: string, more: object = {}) =>
    client.send({ op: "publish", channel, eventName: "client:typing", ref: "1", ...more });

  describe("client events", () => {
    it("are refused without the claim, by the ref, and the connection goes on", async () => {
      const channel = privateChannel();
      const { client } = await sender(channel, []);
      client.send({ op: "subscribe", subscribe: [{ channel }] });
      expect(await client.next()).toMatchObject({ op: "subscribed" });
      send(client, channel);
      expect(await client.next()).toMatchObject({
        op: "error",
        code: "publish_forbidden",
        channel,
        ref: "1",
      });
      await publish({ channel, payload: 1 });
      expect(await client.next()).toMatchObject({ channel, payload: 1 });
    });

    it("reach the others from a publisher that is subscribed to nothing, with its name", async ({
      skip,
    }) => {
      if (!get().events) return skip("no rule lets clients send events");
      const channel = privateChannel();
      const reader = await subscriber([channel]);
      const { client, greeting } = await sender(channel);
      expect(greeting.conn).toMatch(/./);
      send(client, channel, { payload: { on: true } });
      expect(await client.next()).toEqual({ op: "published", ref: "1" });
      expect(await reader.next()).toEqual({
        op: "event",
        channel,
        eventName: "client:typing",
        from: { user: "SCOTT", conn: greeting.conn },
        ts: expect.any(Number),
        payload: { on: true },
      });
    });

    it("come back to nobody who sends them, have no number, and are not replayed", async ({
      skip,
    }) => {
      if (!get().events) return skip("no rule lets clients send events");
      const channel = privateChannel();
      const { client } = await sender(channel);
      client.send({ op: "subscribe", subscribe: [{ channel }] });
      const { epoch } = await client.next();
      send(client, channel, { ref: undefined });
      send(client, channel);
      // Without a ref nothing answers; there is no echo between the two.
      expect(await client.next()).toEqual({ op: "published", ref: "1" });
      await publish({ channel, payload: "first" });
      expect(await client.next()).toMatchObject({ payload: "first", seq: 1 });
      const late = await connect({
        token: await token([channel]),
        subscribe: [{ channel, since: { epoch, seq: 0 } }],
      });
      expect(await late.nextN(3)).toMatchObject([
        { op: "connected" },
        { op: "subscribed", recovered: true, seq: 1 },
        { payload: "first", seq: 1 },
      ]);
    });

    it("begin with client:, and a server's name stays a server's", async ({ skip }) => {
      if (!get().events) return skip("no rule lets clients send events");
      const channel = privateChannel();
      const reader = await subscriber([channel]);
      const { client } = await sender(channel);
      send(client, channel, { eventName: "order-created" });
      expect(await client.next()).toMatchObject({ op: "error", code: "bad_event_name", ref: "1" });
      await publish({ channel, payload: "real" });
      expect(await reader.next()).toMatchObject({ payload: "real" });
    });

    it("above the limits of connected are refused, and nothing else happens", async ({ skip }) => {
      if (!get().events) return skip("no rule lets clients send events");
      const channel = privateChannel();
      const reader = await subscriber([channel]);
      const { client, greeting } = await sender(channel);
      const { bytes, perSecond } = greeting.events;
      send(client, channel, { payload: "x".repeat(bytes - 1) });
      expect(await client.next()).toMatchObject({ code: "message_too_large", ref: "1" });
      send(client, channel, { payload: "x".repeat(bytes - 2) });
      expect(await client.next()).toMatchObject({ op: "published" });
      expect(await reader.next()).toMatchObject({ op: "event" });
      if (perSecond > 20) return skip("many may be sent");
      const count = 4 * perSecond;
      for (let n = 0; n < count; n++) send(client, channel, { payload: n, ref: String(n) });
      const answers = await client.nextN(count);
      const sent = answers.filter(({ op }) => op === "published");
      expect(sent.length).toBeGreaterThanOrEqual(perSecond);
      const refused = { op: "error", code: "publish_limit", channel, message: expect.any(String) };
      for (const answer of answers) {
        if (answer.op === "error") expect(answer).toEqual({ ...refused, ref: expect.any(String) });
      }
      expect(answers.length).toBeGreaterThan(sent.length);
      // Who was refused has sent nothing.
      await publish({ channel, payload: "after" });
      const heard = await reader.nextN(sent.length + 1);
      expect(heard.map(({ payload }) => payload)).toEqual([
        ...sent.map(({ ref }) => Number(ref)),
        "after",
      ]);
      expect(client.closed).toBeUndefined();
    });
  });
}

interface Greeting extends Frame {
  readonly conn: string;
  readonly events: { readonly bytes: number; readonly perSecond: number };
}
