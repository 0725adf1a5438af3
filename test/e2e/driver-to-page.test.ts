/**
 * 10,000 committed messages from four concurrent sessions, every tenth transaction rolled back:
 * each subscriber gets each committed message once and in order per session, and no other.
 */
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseConfig } from "../../common/config.ts";
import { relayConfig } from "../../relay/config/config.ts";
import { type Relay, startRelay } from "../../relay/relay.ts";
import { until } from "../support/until.ts";
import { log, World } from "../worker/support.ts";
import { expectExactly } from "./expect.ts";
import { runLoad, Subscriber } from "./support.ts";

const MESSAGES = 10_000;
const SESSIONS = 4;

describe.each(["19c", "23ai"] as const)("driver to page, %s framing", (profile) => {
  let world: World;
  let relay: Relay;

  beforeEach(async () => {
    world = await World.start({ profile });
    const config = parseConfig(relayConfig, { port: 0, insecure: true });
    relay = await startRelay(config, { log, registry: new Registry() });
  });

  afterEach(async () => {
    await world[Symbol.asyncDispose]();
    await relay.close();
  });

  it("delivers every commit exactly once and in order per session, and no rollback", async () => {
    const url = () => `ws://127.0.0.1:${relay.port}/ws`;
    const subscribers = [1, 2].map(() => new Subscriber(url, ["load"]));
    await Promise.all(subscribers.map((each) => each.live()));
    world.startWorker({}, { publisher: relay.publisher });
    const load = await runLoad({
      connect: () => world.connect(),
      sessions: SESSIONS,
      messages: MESSAGES,
      channel: () => "load",
    });
    await until(
      "all messages have arrived",
      () => subscribers.every(({ messages }) => messages.length >= MESSAGES),
      60_000,
    );
    expect([...load.committed.values()].flat()).toHaveLength(MESSAGES);
    expect(load.rolledBack.size).toBeGreaterThan(500);
    for (const subscriber of subscribers) {
      expectExactly(subscriber, load);
      expect(subscriber.messages).toHaveLength(MESSAGES);
      expect(subscriber.gaps).toBe(0);
      expect(subscriber.messages.map(({ seq }) => seq)).toEqual(
        Array.from({ length: MESSAGES }, (_unused, index) => index + 1),
      );
    }
    await until("settled", () => world.emulator.queue(world.schema.queueName).depth() === 0);
    await Promise.all(subscribers.map((each) => each.close()));
  });
});
