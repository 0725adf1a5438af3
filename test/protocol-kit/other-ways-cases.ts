/** Without the subprotocol, and without WebSockets. */
import { afterEach, describe, expect, it } from "vitest";
import { until } from "./client.ts";
import { EventReader, poll } from "./event-stream.ts";
import type { Kit } from "./kit-world.ts";

export function describeOtherWays({
  get,
  unique,
  privateChannel,
  token,
  open,
  subscriber,
  publish,
}: Kit): void {
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
}
