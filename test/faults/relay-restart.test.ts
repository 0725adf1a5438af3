/** Split deployment: the relay is stopped and started again, or exchanged, while messages are on their way. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import { HttpPublisher } from "../../relay/remote-publisher/http-publisher.ts";
import { SocketPublisher } from "../../relay/remote-publisher/socket-publisher.ts";
import { API_KEY, Client, type Frame, startTestRelay } from "../relay/support.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
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

it.each([
  ["by socket", SocketPublisher],
  ["by POST", HttpPublisher],
])("holds, and the client recovers every message once, in order: %s", async (_way, Remote) => {
  const { port } = relay;
  const publisher = new Remote({ url: `http://127.0.0.1:${port}`, apiKey: API_KEY });
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

it("another relay takes over in the middle of a load: by socket nothing is lost or doubled", async () => {
  const [a, b] = [relay, await startTestRelay({}, { serving: false })];
  const line = await TcpProxy.to(a.port);
  try {
    const publisher = new SocketPublisher({
      url: `http://127.0.0.1:${line.port}`,
      apiKey: API_KEY,
    });
    world.startWorker({}, { publisher });
    const onA = await Client.connect(a, { subscribe: [{ channel: "public" }] });
    await world.publish(1, 100, "public");
    const before = (await onA.nextN(102)).slice(2);
    await world.publish(101, 200, "public");
    a.setServing(false);
    // What was accepted by the first one is settled; the second one gets the rest.
    const seen = [...before, ...onA.received.map((text) => JSON.parse(text) as Frame)];
    b.setServing(true, { takeover: true });
    const onB = await Client.connect(b, { subscribe: [{ channel: "public" }] });
    await onB.nextN(2);
    line.retarget(b.port);
    await world.publish(201, 300, "public");
    await until("everything is settled", () => world.queue.depth() === 0);
    await onA.end();
    for (const text of onA.received) seen.push(JSON.parse(text) as Frame);
    const last = async () => {
      const frames = onB.received.map((text) => JSON.parse(text) as Frame);
      return frames.at(-1)?.seq !== undefined && payloadOf(frames.at(-1)) === 300;
    };
    await until("the second one has sent the last", last);
    const late = onB.received.map((text) => payloadOf(JSON.parse(text) as Frame));
    const early = [...new Set(seen.map(payloadOf))];
    expect([...early, ...late.filter((n) => !early.includes(n))]).toEqual(numbers(1, 300));
    publisher.close();
    await onB.close();
  } finally {
    await line.close();
    await b.close();
  }
});

const payloadOf = (frame: Frame | undefined) => (frame?.payload as { n: number } | undefined)?.n;
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, n) => from + n);
