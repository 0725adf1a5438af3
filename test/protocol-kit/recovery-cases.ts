/** Positions and ages: everything after them, or none of it. */
import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { type Client, type Frame, until } from "./client.ts";
import type { Kit } from "./kit-world.ts";

export function describeRecovery({
  get,
  privateChannel,
  token,
  connect,
  subscriber,
  publish,
}: Kit): void {
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
}
