/** Clients that want the newest messages of each event where nothing can be recovered. */
import { afterEach, describe, expect, it } from "vitest";
import { ChannelHistory } from "../../relay/channels/channel-history.ts";
import { MemoryLog } from "../../relay/log/memory-log.ts";
import type { Relay } from "../../relay/relay.ts";
import { EventReader, poll } from "../protocol-kit/event-stream.ts";
import { Client, type Frame, message, SOURCE, startTestRelay, testConfig } from "./support.ts";

let relay: Relay;
const clients: Client[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.terminate();
  await relay?.close();
});

async function start(overrides: object = {}): Promise<void> {
  relay = await startTestRelay({ publicChannels: ["*"], ...overrides });
}

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

const seqs = async (client: Client, count: number) =>
  (await client.nextN(count)).map(({ seq }) => seq);

describe("last", () => {
  it("gives the newest of each event in the channel's order, then live messages", async () => {
    await start();
    await publish("a", "b", "a", "c", "b");
    const { client, answer } = await subscribe({ since: { last: 1 } });
    expect(answer).toMatchObject({
      recovered: false,
      seq: 5,
      last: { sent: 3, complete: true },
    });
    await publish("a");
    expect(await seqs(client, 4)).toEqual([3, 4, 5, 6]);
    const two = await subscribe({ since: { last: 2 }, events: ["a", "c"] });
    expect(two.answer).toMatchObject({ events: ["a", "c"], last: { sent: 3, complete: true } });
    expect(await seqs(two.client, 3)).toEqual([3, 4, 6]);
  });

  it("stands behind a position that can be recovered, and helps where it cannot", async () => {
    await start({ history: { count: 3 } });
    const { answer } = await subscribe({});
    await publish("a", "a", "a", "a", "b");
    const { epoch } = answer;
    const back = await subscribe({ since: { epoch, seq: 3, last: 1 } });
    expect(back.answer).toMatchObject({ recovered: true, seq: 5 });
    expect(back.answer).not.toHaveProperty("last");
    expect(await seqs(back.client, 2)).toEqual([4, 5]);
    const late = await subscribe({ since: { epoch, seq: 1, last: 1 } });
    // Of an event that nobody knows of any more there may have been one.
    expect(late.answer).toMatchObject({ recovered: false, last: { sent: 2, complete: false } });
    expect(await seqs(late.client, 2)).toEqual([4, 5]);
  });

  it("is complete only when nothing that may be wanted can be missing", async () => {
    await start({ history: { count: 4 } });
    const last = async (n: number, ...events: string[]) => {
      const filter = events.length > 0 ? { events } : {};
      return (await subscribe({ since: { last: n }, ...filter })).answer.last;
    };
    expect(await last(1)).toEqual({ sent: 0, complete: true });
    expect(await last(1, "a")).toEqual({ sent: 0, complete: false });
    await publish("a", "b", "a");
    expect(await last(10)).toEqual({ sent: 3, complete: true });
    expect(await last(2, "a", "b")).toEqual({ sent: 3, complete: true });
    expect(await last(1, "a", "x")).toEqual({ sent: 1, complete: false });
    await publish("a", "a");
    // The first one is evicted: all there are of b, which may be more, and enough of a.
    expect(await last(1)).toEqual({ sent: 2, complete: false });
    expect(await last(3, "a")).toEqual({ sent: 3, complete: true });
    expect(await last(4, "a")).toEqual({ sent: 3, complete: false });
    expect(await last(1, "a", "b")).toEqual({ sent: 2, complete: true });
    expect(await last(2, "a", "b")).toEqual({ sent: 3, complete: false });
  });

  it("agrees with a plain search in any channel", () => {
    let seed = 7;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return (seed >>> 8) % below;
    };
    for (let round = 0; round < 500; round++) {
      const history = new ChannelHistory(0, 0);
      const names = Array.from({ length: random(20) }, () => "abc"[random(3)] as string);
      for (const [index, eventName] of names.entries()) {
        const frame = Buffer.alloc(1);
        const entry = { seq: index + 1, at: 0, eventName, frame, payloadStart: 0, payloadEnd: 0 };
        history.push({ entry, history, older: undefined, newer: undefined });
        history.seq = index + 1;
      }
      const evicted = random(names.length + 1);
      for (let n = 0; n < evicted; n++) history.shift();
      const count = 1 + random(3);
      const events = random(2) === 0 ? undefined : new Set(["a", "x"].slice(0, 1 + random(2)));
      const kept = names.map((name, index) => ({ name, seq: index + 1 })).slice(evicted);
      const newest = kept.filter(
        ({ name, seq }) =>
          (!events || events.has(name)) &&
          kept.filter((other) => other.name === name && other.seq > seq).length < count,
      );
      const found = (name: string) => newest.filter((one) => one.name === name).length;
      const complete = events
        ? [...events].every((name) => found(name) === count || (found(name) > 0 && evicted === 0))
        : evicted === 0;
      const chosen = newest.map(({ seq }) => seq);
      expect(history.newest(count, events)).toEqual({ chosen, complete });
    }
  });

  it("waits for a client that reads slowly, and what is published meanwhile comes after it", async () => {
    await start({
      history: { bytes: "4MiB" },
      slowClients: { connectionBytes: "8MiB" },
    });
    const text = "x".repeat(100 * 1024);
    const big = (n: number) => message("c", text, { eventName: `e${n}` });
    for (let n = 0; n < 30; n++) await relay.publisher.publish([big(n)], SOURCE);
    const client = await Client.connect(relay, {});
    clients.push(client);
    await client.next();
    client.stopReading();
    client.send({ op: "subscribe", subscribe: [{ channel: "c", since: { last: 1 } }] });
    await expect.poll(() => relay.registry.metrics()).toMatch(/rtm_relay_subscriptions 1\b/);
    await publish("live");
    client.startReading();
    expect(await client.next()).toMatchObject({ seq: 30, last: { sent: 30, complete: true } });
    expect(await seqs(client, 31)).toEqual(Array.from({ length: 31 }, (_, index) => index + 1));
  });

  it("of another kind is refused", async () => {
    await start();
    for (const since of [
      { last: 0 },
      { last: 11 },
      { last: "1" },
      { epoch: "e", seq: 1, last: 0 },
    ]) {
      const { answer } = await subscribe({ since });
      expect(answer).toMatchObject({
        code: "bad_since",
        message: expect.stringContaining("last (1 to 10)"),
      });
    }
  });

  it("works on a stream and in a poll", async () => {
    await start();
    await publish("a", "b", "a");
    const connect = { subscribe: [{ channel: "c", since: { last: 1 } }] };
    const wanted = [
      { op: "connected" },
      { op: "subscribed", seq: 3, last: { sent: 2, complete: true } },
      { seq: 2 },
      { seq: 3 },
    ];
    const reader = await EventReader.stream(relay, connect);
    expect(await reader.nextN(4)).toMatchObject(wanted);
    reader.destroy();
    expect((await poll(relay, connect)).frames).toMatchObject(wanted);
  });
});

describe("last in a URL", () => {
  const ids = async (client: Client, count: number) =>
    (await client.nextN(count)).map(({ seq, channel }) => `${channel}${seq}`);

  async function open(query: string): Promise<Client> {
    const client = await Client.open(relay, `/ws?${query}`);
    clients.push(client);
    return client;
  }

  it("begins a plain subscription with the newest of each event of its channels", async () => {
    await start();
    await publish("a", "b", "a");
    await relay.publisher.publish([message("d", 0)], SOURCE);
    const both = await open("channel=c&channel=d&last=1");
    expect((await ids(both, 3)).sort()).toEqual(["c2", "c3", "d1"]);
    const filtered = await open("channel=c&last=2&event=a");
    expect(await ids(filtered, 2)).toEqual(["c1", "c3"]);
    const bare = await open("channel=c&last=1&event=b&format=payload");
    expect(await bare.nextText()).toBe('"b"');
    await publish("b");
    expect(await ids(both, 1)).toEqual(["c4"]);
    expect(await bare.nextText()).toBe('"b"');
  });

  it("takes the place of 4205 where a position cannot be recovered, and not of the position", async () => {
    await start({ history: { count: 2 } });
    const { answer } = await subscribe({});
    await publish("a", "b", "a");
    const back = await open(`channel=c&last=1&since=${answer.epoch}:2`);
    expect(await ids(back, 1)).toEqual(["c3"]);
    const late = await open(`channel=c&last=1&since=${answer.epoch}:0`);
    expect(await ids(late, 2)).toEqual(["c2", "c3"]);
    const without = await open(`channel=c&since=${answer.epoch}:0`);
    expect((await without.end()).code).toBe(4205);
  });

  it("makes a plain subscription come back when the log begins anew", async () => {
    const { duplicates } = testConfig();
    const messageLog = new MemoryLog({ duplicates, clock: () => performance.now() });
    relay = await startTestRelay({ publicChannels: ["*"] }, { messageLog });
    await publish("a");
    const lasting = await open("channel=c&last=1");
    await lasting.next();
    messageLog.beginAnew();
    expect((await lasting.end()).code).toBe(4000);
  });

  it("is answered on an event stream, and asked for again until all have come", async () => {
    await start();
    await publish("a", "b", "a");
    const reader = await EventReader.open(relay, "/sse?channel=c&channel=d&last=1");
    const events = [];
    for (let n = 0; n < 4; n++) events.push(await reader.nextEvent());
    expect(events.map(({ data }) => JSON.parse(data))).toMatchObject([
      { op: "subscribed", channel: "c", last: { sent: 2, complete: true } },
      { op: "subscribed", channel: "d", last: { sent: 0, complete: true } },
      { seq: 2 },
      { seq: 3 },
    ]);
    const epoch = JSON.parse(events[0]?.data as string).epoch as string;
    expect(events.map(({ id }) => id)).toEqual(
      ["-,0", "-,0", "2,0", "3,0"].map((place) => `${epoch}:${place}`),
    );
    reader.destroy();
    // Cut after the answers, after the first of them, after the second.
    for (const [cut, rest] of [[2, 3], [3], []].entries()) {
      const headers = { "last-event-id": events[cut + 1]?.id as string };
      const again = await EventReader.open(relay, "/sse?channel=c&channel=d&last=1", { headers });
      expect((await again.nextN(2 + rest.length)).slice(2).map(({ seq }) => seq)).toEqual(rest);
      again.destroy();
    }
  });

  it.each(["0", "11", "1.5", "-1", "", "x", "1&last=2"])("%j is refused", async (last) => {
    await start();
    expect((await (await open(`channel=c&last=${last}`)).end()).code).toBe(4204);
    const reader = await EventReader.open(relay, `/sse?channel=c&last=${last}`);
    expect(reader.response.statusCode).toBe(400);
    await reader.end();
    expect(reader.raw).toContain("last must be a whole number from 1 to 10");
  });

  it("needs a channel", async () => {
    await start({ compat: { firehose: true } });
    expect((await (await open("last=1")).end()).reason).toBe("last needs a channel");
  });
});
