import { afterEach, describe, expect, it } from "vitest";
import { type Relay, startRelay } from "../../relay/relay.ts";
import { Client, log, message, SOURCE, startTestRelay, testConfig, until } from "./support.ts";

const KIB = 1024;
/** The smallest allowed message limit keeps the cap small. */
const CAPS = {
  publicChannels: ["*"],
  limits: { messageBytes: "8KiB" },
  history: { bytes: "256KiB", count: 10_000 },
  slowClients: { connectionBytes: "256KiB", totalBytes: "64MiB" },
};

let relay: Relay;

afterEach(() => relay.close());

async function metric(name: string): Promise<number> {
  const text = await relay.registry.metrics();
  const line = text
    .split("\n")
    .find((candidate) => candidate.startsWith(`${name} `) || candidate.startsWith(`${name}{`));
  return line === undefined ? 0 : Number(line.split(" ").at(-1));
}

const held = () => metric("rtm_relay_held_bytes");

async function subscribe(channel: string, since?: object): Promise<Client> {
  const client = await Client.connect(relay, {
    subscribe: [since === undefined ? { channel } : { channel, since }],
  });
  await client.nextN(2);
  return client;
}

/** Publishes one message per turn until `condition` is true; returns how many. */
async function publishUntil(channel: string, condition: () => boolean | Promise<boolean>) {
  const payload = "x".repeat(4 * KIB);
  for (let count = 1; count < 20_000; count++) {
    await relay.publisher.publish(
      [message(channel, payload, { eventName: `e${count % 3}` })],
      SOURCE,
    );
    await new Promise((resolve) => setImmediate(resolve));
    if (count % 20 === 0 && (await condition())) return count;
  }
  throw new Error("20000 messages were not enough");
}

describe.each(["direct", "joined", "public"] as const)("slow-client (wire: %s)", (wire) => {
  it("disconnect: never holds more than its cap, is dropped, recovers, and delays nobody", async () => {
    relay = await startTestRelay(CAPS, { wire });
    const slow = await subscribe("a");
    const good = await subscribe("a");
    slow.stopReading();
    let most = 0;
    await publishUntil("a", async () => {
      most = Math.max(most, await held());
      return (await metric("rtm_relay_slow_client_disconnects_total")) > 0;
    });
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(256 * KIB);
    slow.startReading();
    expect((await slow.end()).code).toBe(1006);
    // The good reader got everything, in order.
    const total = await metric("rtm_relay_messages_accepted_total");
    const frames = await good.nextN(total);
    expect(frames.map(({ seq }) => seq)).toEqual(frames.map((_, index) => index + 1));
    expect(await metric("rtm_relay_connections")).toBe(1);
    expect(await held()).toBe(0);
  });

  it("latest: keeps the newest per event until the reader is back, within the cap", async () => {
    relay = await startTestRelay(
      {
        ...CAPS,
        slowClients: { ...CAPS.slowClients, policies: [{ channels: "a*", policy: "latest" }] },
      },
      { wire },
    );
    const slow = await subscribe("a1");
    slow.stopReading();
    let most = 0;
    await publishUntil("a1", async () => {
      most = Math.max(most, await held());
      return (await metric("rtm_relay_messages_conflated_total")) > 300;
    });
    expect(most).toBeLessThanOrEqual(256 * KIB);
    const newest = await metric("rtm_relay_messages_accepted_total");
    slow.startReading();
    const seqs: number[] = [];
    while (seqs.at(-1) !== newest) seqs.push((await slow.next()).seq as number);
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
    expect(new Set(seqs).size).toBe(seqs.length);
    expect(seqs.length).toBeLessThan(newest - 200);
    // The newest of each of the three events came.
    expect(seqs.slice(-3)).toEqual([newest - 2, newest - 1, newest]);
    await relay.publisher.publish([message("a1", "live again")], SOURCE);
    expect(await slow.next()).toMatchObject({ payload: "live again", seq: newest + 1 });
    expect(await metric("rtm_relay_slow_client_disconnects_total")).toBe(0);
  });

  it("a replay larger than the cap works, and stays inside it while the reader is slow", async () => {
    relay = await startTestRelay(CAPS, { wire });
    const channels = Array.from({ length: 40 }, (_, index) => `replay-${index}`);
    const payload = "y".repeat(4 * KIB);
    const perChannel = 50;
    for (const channel of channels) {
      await relay.publisher.publish(
        Array.from({ length: perChannel }, () => message(channel, payload)),
        SOURCE,
      );
    }
    const first = await subscribe("replay-0");
    first.send({ op: "subscribe", subscribe: [{ channel: "replay-0" }] });
    const { epoch } = await first.next();
    await first.close();
    // 40 channels with 50 x 4 KiB each: 8 MiB of replays through a cap of 256 KiB.
    const client = await Client.connect(relay);
    await client.next();
    client.stopReading();
    const since = { epoch, seq: 0 };
    client.send({ op: "subscribe", subscribe: channels.map((channel) => ({ channel, since })) });
    await until("the replay to wait", async () => (await held()) > 0);
    let most = 0;
    for (let look = 0; look < 20; look++) {
      most = Math.max(most, await held());
      await relay.publisher.publish([message("replay-39", `live ${look}`)], SOURCE);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(most).toBeLessThanOrEqual(256 * KIB);
    client.startReading();
    const answers = await client.nextN(channels.length);
    expect(answers.every(({ op, recovered }) => op === "subscribed" && recovered)).toBe(true);
    const frames = await client.nextN(channels.length * perChannel + 20);
    for (const channel of channels) {
      const seqs = frames.filter((frame) => frame.channel === channel).map(({ seq }) => seq);
      const expected = channel === "replay-39" ? perChannel + 20 : perChannel;
      expect(seqs).toEqual(Array.from({ length: expected }, (_, index) => index + 1));
    }
    await until("nothing to be held", async () => (await held()) === 0);
  });

  it("a burst larger than the cap in one turn does not cost a reader that keeps up its connection", async () => {
    relay = await startTestRelay(
      { ...CAPS, history: { bytes: "256KiB", count: 10_000 } },
      { wire },
    );
    const client = await subscribe("burst");
    for (let round = 0; round < 5; round++) {
      // 240 KiB in one call and one turn, on top of what the first ones left.
      await relay.publisher.publish(
        Array.from({ length: 60 }, (_, n) => message("burst", `${n}${"z".repeat(4 * KIB - 10)}`)),
        SOURCE,
      );
    }
    const frames = await client.nextN(300);
    expect(frames.map(({ seq }) => seq)).toEqual(frames.map((_, index) => index + 1));
  });
});

it("the total cap drops the fullest connections first", async () => {
  relay = await startRelay(
    testConfig({
      ...CAPS,
      slowClients: { connectionBytes: "256KiB", totalBytes: "512KiB" },
    }),
    { log },
  );
  const slow = await Promise.all(["a", "a", "a", "a"].map((channel) => subscribe(channel)));
  for (const client of slow) client.stopReading();
  let most = 0;
  await publishUntil("a", async () => {
    most = Math.max(most, await held());
    return (await relay.registry.metrics()).includes('reason="total_cap"');
  });
  expect(most).toBeLessThanOrEqual(512 * KIB);
  for (const client of slow) client.terminate();
});

it("a client that floods pings without reading stays inside the cap", async () => {
  relay = await startTestRelay({
    ...CAPS,
    limits: { messageBytes: "8KiB", commandsPerSecond: 1_000_000 },
  });
  const client = await subscribe("a");
  client.stopReading();
  let most = 0;
  const data = "p".repeat(125);
  for (let round = 0; round < 5000 && !client.closed; round++) {
    for (let count = 0; count < 100; count++) client.ws.ping(data);
    await new Promise((resolve) => setImmediate(resolve));
    if (round % 50 === 0) most = Math.max(most, await held());
    if ((await metric("rtm_relay_connections")) === 0) break;
  }
  expect(await metric("rtm_relay_slow_client_disconnects_total")).toBe(1);
  expect(most).toBeLessThanOrEqual(256 * KIB);
  client.terminate();
});
