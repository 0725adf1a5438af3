/** Clients that want some events of a channel only, and still keep their place in it. */
import { afterEach, describe, expect, it } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import { EventReader, poll } from "../protocol-kit/event-stream.ts";
import { Client, type Frame, message, SOURCE, startTestRelay } from "./support.ts";

let relay: Relay;
const clients: Client[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.terminate();
  await relay.close();
});

const PUBLIC = { publicChannels: ["*"] };

async function start(overrides: object = {}): Promise<void> {
  relay = await startTestRelay({ ...PUBLIC, ...overrides });
}

/** Publishes one message of each of these events, with the number that the relay gives it. */
async function publish(...events: string[]): Promise<void> {
  const messages = events.map((eventName) => message("c", eventName, { eventName }));
  await relay.publisher.publish(messages, SOURCE);
}

async function subscribe(entry: object): Promise<{ client: Client; answer: Frame }> {
  const client = await Client.connect(relay, { subscribe: [{ channel: "c", ...entry }] });
  clients.push(client);
  const [, answer] = await client.nextN(2);
  return { client, answer: answer as Frame };
}

describe("a filter", () => {
  it("lets through only its events, live and in a replay, and is repeated in the answer", async () => {
    await start();
    await publish("a", "b", "c");
    const { client, answer } = await subscribe({
      since: { ageMs: 60_000 },
      events: ["c", "a", "a"],
    });
    // A start of the relay is no proof for an age that reaches behind it.
    expect(answer).toMatchObject({ recovered: false, seq: 3, events: ["a", "c"] });
    await publish("b", "a", "b", "c");
    expect(await client.nextN(2)).toMatchObject([
      { eventName: "a", seq: 5 },
      { eventName: "c", seq: 7 },
    ]);
    const since = { epoch: answer.epoch, seq: 0 };
    const back = await subscribe({ since, events: ["a"] });
    expect(back.answer).toMatchObject({ recovered: true, seq: 7, events: ["a"] });
    expect(await back.client.nextN(3)).toMatchObject([
      { eventName: "a", seq: 1 },
      { eventName: "a", seq: 5 },
      { op: "position", channel: "c", seq: 7 },
    ]);
  });

  it("says nothing of a position that a message has told already", async () => {
    await start();
    const { answer } = await subscribe({});
    await publish("b", "a");
    const since = { epoch: answer.epoch, seq: 0 };
    const { client } = await subscribe({ since, events: ["a"] });
    await publish("a");
    expect(await client.nextN(2)).toMatchObject([{ seq: 2 }, { seq: 3 }]);
  });

  it("changes with the next subscribe, and ends with one that has none", async () => {
    await start();
    const { client, answer } = await subscribe({ events: ["a"] });
    client.send({ op: "subscribe", subscribe: [{ channel: "c", events: ["b"] }] });
    expect(await client.next()).toMatchObject({ op: "subscribed", events: ["b"], seq: 0 });
    await publish("a", "b");
    expect(await client.next()).toMatchObject({ eventName: "b", seq: 2 });
    client.send({ op: "subscribe", subscribe: [{ channel: "c", since: answer, events: null }] });
    const all = await client.nextN(3);
    expect(all[0]).toMatchObject({ op: "subscribed", recovered: true });
    expect(all[0]).not.toHaveProperty("events");
    expect(all.slice(1)).toMatchObject([{ seq: 1 }, { seq: 2 }]);
  });

  it("moves a position with a ping, so that a long quiet time costs no recovery", async () => {
    await start({ history: { count: 10 }, heartbeat: { interval: "1s" } });
    const { client, answer } = await subscribe({ events: ["a"] });
    await publish(...new Array(25).fill("b"));
    const position = await client.next();
    expect(position).toMatchObject({ op: "position", channel: "c", seq: 25 });
    await publish("a");
    expect(await client.next()).toMatchObject({ eventName: "a", seq: 26 });
    await client.close();
    await publish("b", "a");
    const { epoch } = answer;
    // Where it would stand without: too far behind.
    expect((await subscribe({ since: { epoch, seq: 0 } })).answer.recovered).toBe(false);
    const back = await subscribe({ since: { epoch, seq: position.seq }, events: ["a"] });
    expect(back.answer).toMatchObject({ recovered: true, seq: 28 });
    expect(await back.client.nextN(2)).toMatchObject([{ seq: 26 }, { seq: 28 }]);
  });

  it("of another kind is refused, and the message names it", async () => {
    await start();
    const entry = async (events: unknown) => (await subscribe({ events })).answer;
    const list = "subscribe[0].events must be a list of 1 to 20 names; all: leave it out";
    for (const events of ["a", {}, [], new Array(21).fill("a")]) {
      expect(await entry(events)).toMatchObject({ code: "bad_frame", message: list, channel: "c" });
    }
    expect(await entry(["a", "*"])).toMatchObject({
      code: "bad_event_name",
      message: "subscribe[0].events[1] must not contain control characters, lone surrogates or *",
    });
    expect(await entry(["a", 1])).toMatchObject({
      code: "bad_event_name",
      message: "subscribe[0].events[1] must be a string",
    });
  });

  it("works on a stream, and on a poll, which waits on when nothing wanted came", async () => {
    await start();
    const { answer } = await subscribe({});
    await publish("b", "a", "b");
    const since = { epoch: answer.epoch, seq: 0 };
    const connect = { subscribe: [{ channel: "c", since, events: ["a"] }] };
    const reader = await EventReader.stream(relay, connect);
    expect(await reader.nextN(4)).toMatchObject([
      { op: "connected" },
      { op: "subscribed", events: ["a"] },
      { seq: 2 },
      { op: "position", seq: 3 },
    ]);
    reader.destroy();
    const [entry] = connect.subscribe;
    const waiting = poll(relay, {
      waitMs: 20_000,
      subscribe: [{ ...entry, since: { ...since, seq: 2 } }],
    });
    await expect.poll(() => relay.registry.metrics()).toContain('rtm_relay_peers{kind="poll"} 1');
    await publish("b", "a");
    expect((await waiting).frames).toMatchObject([
      { op: "connected" },
      { op: "subscribed", recovered: true },
      { op: "position", seq: 3 },
      { eventName: "a", seq: 5 },
    ]);
  });

  it("of a plain URL: event, for channels and for all that is public", async () => {
    await start({ compat: { firehose: true } });
    const open = async (path: string) => {
      const client = await Client.open(relay, path);
      clients.push(client);
      return client;
    };
    const one = await open("/ws?channel=c&event=a&event=b&format=payload");
    const everything = await open("/ws?event=b");
    await publish("x", "a", "x", "b");
    expect([await one.nextText(), await one.nextText()]).toEqual(['"a"', '"b"']);
    expect(await everything.next()).toMatchObject({ eventName: "b", seq: 4 });
    const bad = await open(`/ws?channel=c${"&event=a%2A"}`);
    expect(await bad.end()).toMatchObject({ code: 4204, reason: expect.stringContaining("event") });
  });

  it("in any mix of readers, cuts and histories too short: all that is wanted, once, in order", async () => {
    await start({ history: { count: 12 } });
    let seed = 20_260_726;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return (seed >>> 8) % below;
    };
    const names = ["a", "b", "c", "d"];
    const published: string[] = [];
    class Reader {
      readonly events = names.filter(() => random(2) === 0);
      readonly seen: number[] = [];
      /** From here on all that is wanted has to be seen. */
      from = 0;
      client: Client | undefined;
      position: { epoch: string; seq: number } | undefined;
      refused = 0;

      async open(): Promise<void> {
        const { events, position } = this;
        const filter = events.length > 0 ? { events } : {};
        const { client, answer } = await subscribe({ ...filter, since: position });
        this.client = client;
        const { epoch, seq } = answer as unknown as { epoch: string; seq: number };
        if (answer.recovered) return;
        if (this.position) this.refused++;
        this.position = { epoch, seq };
        this.seen.length = 0;
        this.from = seq;
      }

      /** Takes what has arrived. */
      take(): void {
        for (const text of this.client?.received.splice(0) ?? []) {
          const { op, seq } = JSON.parse(text) as { op?: string; seq: number };
          const { epoch = "", seq: before = 0 } = this.position ?? {};
          expect(seq).toBeGreaterThan(before);
          this.position = { epoch, seq };
          if (op === undefined) this.seen.push(seq);
        }
      }

      async cut(): Promise<void> {
        this.take();
        this.client?.terminate();
        await this.client?.end();
        this.client = undefined;
      }

      get wanted(): number[] {
        const seqs = published.map((_, index) => index + 1).filter((seq) => seq > this.from);
        if (this.events.length === 0) return seqs;
        return seqs.filter((seq) => this.events.includes(published[seq - 1] as string));
      }
    }
    const readers = Array.from({ length: 8 }, () => new Reader());
    for (let round = 0; round < 60; round++) {
      const burst = Array.from({ length: random(6) }, () => names[random(4)] as string);
      published.push(...burst);
      if (burst.length > 0) await publish(...burst);
      for (const reader of readers) {
        if (random(3) > 0) continue;
        if (reader.client) await reader.cut();
        else await reader.open();
      }
    }
    for (const reader of readers) if (!reader.client) await reader.open();
    for (const reader of readers) {
      await expect
        .poll(() => {
          reader.take();
          return reader.seen;
        })
        .toEqual(reader.wanted);
    }
    // Both have been tried: histories that reached back, and some that did not.
    const refused = readers.reduce((sum, reader) => sum + reader.refused, 0);
    expect(refused).toBeGreaterThan(0);
  });
});
