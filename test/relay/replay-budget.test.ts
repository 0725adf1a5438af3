/** What a client may have replayed: all of it once, and not all of it again and again. */
import { afterEach, describe, expect, it } from "vitest";
import { createLogger } from "../../common/logger.ts";
import {
  addressReplayBytes,
  ReplayBudget,
  replayLimits,
} from "../../relay/clients/replay-budget.ts";
import type { Relay } from "../../relay/relay.ts";
import { Client, message, SOURCE, startTestRelay, testConfig, until } from "./support.ts";

let relay: Relay;
afterEach(() => relay?.close());

const HISTORY = 64 * 1024;

async function counted(line: string): Promise<number> {
  const found = (await relay.registry.metrics())
    .split("\n")
    .find((text) => text.startsWith(`${line} `));
  return Number(found?.slice(line.length) ?? 0);
}

const sent = () => counted("rtm_relay_delivered_bytes_total");

/** Fills the history of each channel; returns the position before all of it. */
async function fill(channels: readonly string[]): Promise<{ epoch: string; seq: number }> {
  for (const channel of channels) {
    const full = Array.from({ length: 60 }, () => message(channel, "x".repeat(800)));
    await relay.publisher.publish(full, SOURCE);
  }
  const client = await Client.connect(relay, { subscribe: [{ channel: "public" }] });
  const [, { epoch }] = (await client.nextN(2)) as [unknown, { epoch: string }];
  await client.close();
  return { epoch, seq: 0 };
}

describe("replays", () => {
  it("of a loop of tiny subscribes are charged by their bytes", async () => {
    relay = await startTestRelay({
      history: { bytes: "64KiB" },
      limits: { commandsPerSecond: 1_000_000 },
    });
    const since = await fill(["public"]);
    const client = await Client.connect(relay);
    await client.next();
    let recovered = 0;
    let refused = 0;
    client.ws.on("message", (data) => {
      const text = data.toString();
      if (text.includes('"recovered":true')) recovered++;
      if (text.includes('"recovered":false')) refused++;
    });
    for (let n = 0; n < 500; n++) {
      client.send({
        op: "subscribe",
        subscribe: [{ channel: "public", since }],
      });
    }
    await until("all answers", () => recovered + refused === 500);
    expect(recovered).toBeGreaterThan(1);
    // It was 500 times the history. A busy machine takes seconds for this, so the budget refills.
    expect(await sent()).toBeLessThan(40 * HISTORY);
    expect(await counted('rtm_relay_replays_refused_total{reason="connection"}')).toBe(refused);
    await client.close();
  });

  it("of a page that comes back are never refused, even of all its channels in full", async () => {
    relay = await startTestRelay({ history: { bytes: "64KiB" }, limits: { channels: 30 } });
    const channels = Array.from({ length: 30 }, (_, n) => `public${n}`);
    const since = await fill(channels);
    const client = await Client.connect(relay, {
      subscribe: channels.map((channel) => ({ channel, since })),
    });
    const frames = await client.nextN(1 + 30 + 30 * 60);
    expect(frames.filter(({ recovered }) => recovered === true)).toHaveLength(30);
    await client.close();
  });

  it("are free once for as many channels as a connection may have, then come from the budget", () => {
    const budget = new ReplayBudget(replayLimits(2, 1000));
    expect(["a", "b"].map((name) => budget.take(name, 1e9, 0))).toEqual([true, true]);
    expect(["a", "c", "a"].map((name) => budget.take(name, 2000, 0))).toEqual([true, true, false]);
    expect(budget.take("a", 100, 999)).toBe(false);
    expect(budget.take("a", 100, 1000)).toBe(true);
    expect(budget.take("a", 4001, 1e9)).toBe(false);
  });
});

describe("replays of all clients of an address", () => {
  type Position = { readonly epoch: string; readonly seq: number };
  const lines: Record<string, unknown>[] = [];

  /** Fills channels on a relay behind a trusted proxy; returns the position before all of it. */
  async function start(channels: readonly string[], limits: object): Promise<Position> {
    lines.length = 0;
    const log = createLogger("info", { write: (line) => lines.push(JSON.parse(line)) });
    relay = await startTestRelay(
      { history: { bytes: "64KiB" }, trustedProxies: ["127.0.0.1"], limits },
      { log },
    );
    return fill(channels);
  }

  const from = (address: string) => ({ headers: { "x-forwarded-for": address } });

  /** A page comes back with a connection of its own; which of its channels it was given. */
  async function comeBack(
    address: string,
    channels: readonly string[],
    since: Position,
  ): Promise<readonly boolean[]> {
    const client = await Client.open(relay, "/ws", { protocol: "rtm.v1", ...from(address) });
    const subscribe = channels.map((channel) => ({ channel, since }));
    client.send({ op: "connect", subscribe });
    const [, ...answers] = await client.nextN(1 + channels.length);
    client.terminate();
    return answers.map(({ recovered }) => recovered === true);
  }

  const warnings = () =>
    lines.filter(({ msg }) => msg === "a replay was refused: recovered is false");

  it("that reconnect again and again have one budget, and others have theirs", async () => {
    const since = await start(["public"], { replayBytesPerMinute: "256KiB" });
    const answers: boolean[] = [];
    for (let n = 0; n < 50; n++) {
      answers.push(...(await comeBack("198.51.100.1", ["public"], since)));
    }
    expect(answers.slice(0, 4)).toEqual([true, true, true, true]);
    // It was fifty times the history. A busy machine takes seconds, and the budget refills.
    expect(answers.filter((recovered) => recovered).length).toBeLessThan(12);
    expect(await sent()).toBeLessThan(12 * HISTORY);
    expect(await comeBack("198.51.100.2", ["public"], since)).toEqual([true]);
    const refused = answers.filter((recovered) => !recovered).length;
    expect(await counted('rtm_relay_replays_refused_total{reason="address"}')).toBe(refused);
    expect(warnings()).toEqual([
      expect.objectContaining({ reason: "address", address: "198.51.100.1", level: "warn" }),
    ]);
  });

  it("are charged for each of many channels", async () => {
    const channels = Array.from({ length: 20 }, (_, n) => `public${n}`);
    const since = await start(channels, { replayBytesPerMinute: "256KiB" });
    const answers = await comeBack("198.51.100.1", channels, since);
    expect(answers.slice(0, 4)).toEqual([true, true, true, true]);
    expect(answers.filter((recovered) => recovered).length).toBeLessThan(12);
  });

  it("are charged for plain URL subscriptions, which are told to connect without since", async () => {
    const { epoch, seq } = await start(["public"], { replayBytesPerMinute: "256KiB" });
    const path = `/ws?channel=public&since=${epoch}:${seq}`;
    const closes: number[] = [];
    for (let n = 0; n < 30; n++) {
      const client = await Client.open(relay, path, from("198.51.100.1"));
      const first = await Promise.race([client.next(), client.end()]);
      if ("code" in first) closes.push(first.code as number);
      client.terminate();
    }
    expect(closes.length).toBeGreaterThan(15);
    expect(new Set(closes)).toEqual(new Set([4205]));
    expect(await counted('rtm_relay_replays_refused_total{reason="address"}')).toBe(closes.length);
    const again = await Client.open(relay, "/ws?channel=public", from("198.51.100.1"));
    await relay.publisher.publish([message("public", 1)], SOURCE);
    expect(await again.next()).toMatchObject({ payload: 1 });
    await again.close();
  });

  it("let an office behind one address come back after a restart, each page in full", async () => {
    const since = await start(["public"], {});
    const answers = await Promise.all(
      Array.from({ length: 150 }, () => comeBack("198.51.100.1", ["public"], since)),
    );
    expect(answers.flat()).toEqual(new Array(150).fill(true));
    expect(warnings()).toEqual([]);
  });

  it("are not bounded where that is switched off, and by default by what the history may be", async () => {
    const since = await start(["public"], { replayBytesPerMinute: "0B" });
    for (let n = 0; n < 20; n++) {
      expect(await comeBack("198.51.100.1", ["public"], since)).toEqual([true]);
    }
    const MIB = 1024 * 1024;
    expect(addressReplayBytes(testConfig())).toBe(256 * MIB);
    expect(addressReplayBytes(testConfig({ history: { totalBytes: "1GiB" } }))).toBe(2048 * MIB);
  });

  it("must hold a channel's history in full", () => {
    expect(() => testConfig({ limits: { replayBytesPerMinute: "1MiB" } })).toThrow(
      /limits\.replayBytesPerMinute.*at least history\.bytes \(2MiB\)/,
    );
  });
});
