/** Split deployment: the relay is stopped and started again while messages are on their way. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { HttpPublisher } from "../../relay/http/http-publisher.ts";
import type { Relay } from "../../relay/relay.ts";
import { API_KEY, Client, startTestRelay } from "../relay/support.ts";
import { until } from "../support/until.ts";
import { World } from "../worker/support.ts";

let world: World;
let stateDirectory: string;
let relay: Relay;
beforeEach(async () => {
  // One rollback would exile a message.
  world = await World.start({}, { maxRetries: 0 });
  stateDirectory = await mkdtemp(join(tmpdir(), "rtm-test-"));
  relay = await startTestRelay({ stateDirectory });
});
afterEach(async () => {
  await relay.close();
  await world[Symbol.asyncDispose]();
  await rm(stateDirectory, { recursive: true });
});

it("holds, and the client recovers every message once, in order", async () => {
  const { port } = relay;
  const publisher = new HttpPublisher({ url: `http://127.0.0.1:${port}`, apiKey: API_KEY });
  const worker = world.startWorker({}, { publisher });
  const before = await Client.connect(relay, { subscribe: [{ channel: "public" }] });
  await world.publish(1, 3, "public");
  const frames = await before.nextN(5);
  expect(frames.slice(2).map(({ payload }) => payload)).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  const { epoch } = frames[1] as { epoch: string };

  await relay.drain();
  await world.publish(4, 6, "public");
  await until("it holds", () => worker.status()[0]!.state === "holding");
  await world.publish(7, 9, "public");
  expect(world.queue.messages().map(({ attempts }) => attempts)).toEqual(Array(6).fill(0));

  relay = await startTestRelay({ stateDirectory, port });
  const after = await Client.connect(relay, {
    subscribe: [{ channel: "public", since: { epoch, seq: 3 } }],
  });
  const [, subscribed, ...messages] = await after.nextN(8);
  expect(subscribed).toMatchObject({ recovered: true, epoch });
  expect(messages.map(({ payload }) => payload)).toEqual([4, 5, 6, 7, 8, 9].map((n) => ({ n })));
  expect(messages.map(({ seq }) => seq)).toEqual([4, 5, 6, 7, 8, 9]);
  await until("everything is settled", () => world.queue.depth() === 0);
  expect(world.emulator.queue(world.queue.exceptionQueue).depth()).toBe(0);
  publisher.close();
  await after.close();
});
