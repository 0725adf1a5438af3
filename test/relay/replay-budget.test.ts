/** What a client may have replayed: all of it once, and not all of it again and again. */
import { afterEach, describe, expect, it } from "vitest";
import { ReplayBudget, replayLimits } from "../../relay/clients/replay-budget.ts";
import type { Relay } from "../../relay/relay.ts";
import { Client, message, SOURCE, startTestRelay, until } from "./support.ts";

let relay: Relay;
afterEach(() => relay?.close());

const HISTORY = 64 * 1024;

async function sent(): Promise<number> {
  const text = await relay.registry.metrics();
  return Number(/^rtm_relay_delivered_bytes_total (\d+)/m.exec(text)?.[1]);
}

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
