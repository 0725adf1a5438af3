/** What clients see when the log begins anew while they are connected. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { MemoryLog } from "../../relay/log/memory-log.ts";
import type { Relay } from "../../relay/relay.ts";
import { EventReader } from "../protocol-kit/event-stream.ts";
import { Client, message, SOURCE, startTestRelay } from "./support.ts";

let relay: Relay;
let messageLog: MemoryLog;

beforeEach(async () => {
  messageLog = new MemoryLog({
    duplicates: { count: 1000, window: 60_000 },
    clock: () => performance.now(),
  });
  relay = await startTestRelay({}, { messageLog });
});
afterEach(() => relay.close());

it("each subscription is answered again, unasked, and what follows is of the new epoch", async () => {
  const subscribe = [{ channel: "public-a" }, { channel: "public-b" }];
  const client = await Client.connect(relay, { subscribe });
  const [, a] = await client.nextN(3);
  await relay.publisher.publish([message("public-a", 1), message("public-a", 2)], SOURCE);
  messageLog.beginAnew();
  await relay.publisher.publish([message("public-a", 3)], SOURCE);
  const frames = await client.nextN(5);
  const { epoch } = messageLog;
  expect(epoch).not.toBe(a?.epoch);
  const again = { op: "subscribed", epoch, seq: 0, recovered: false, spreadMs: 10_000 };
  expect(frames).toMatchObject([
    { payload: 1, seq: 1 },
    { payload: 2, seq: 2 },
    { ...again, channel: "public-a" },
    { ...again, channel: "public-b" },
    { payload: 3, seq: 1 },
  ]);
  // Whoever asks is answered as ever.
  client.send({ op: "subscribe", subscribe: [{ channel: "public-a", since: { epoch, seq: 0 } }] });
  const [answer, replayed] = await client.nextN(2);
  expect(answer).toMatchObject({ op: "subscribed", recovered: true, seq: 1 });
  expect(answer).not.toHaveProperty("spreadMs");
  expect(replayed).toMatchObject({ payload: 3 });
});

it("a plain URL with since is closed with 4205, one without stays", async () => {
  await relay.publisher.publish([message("public", 1)], SOURCE);
  const since = `${messageLog.epoch}:0`;
  const recovering = await Client.open(relay, `/ws?channel=public&since=${since}`);
  expect(await recovering.next()).toMatchObject({ payload: 1 });
  const live = await Client.open(relay, "/ws?channel=public");
  messageLog.beginAnew();
  expect((await recovering.end()).code).toBe(4205);
  await relay.publisher.publish([message("public", 2)], SOURCE);
  expect(await live.next()).toMatchObject({ payload: 2, seq: 1 });
});

it("an event stream is answered again, channel by channel, and its ids are of the new epoch", async () => {
  await relay.publisher.publish([message("public-a", 1)], SOURCE);
  const reader = await EventReader.open(relay, "/sse?channel=public-a&channel=public-b");
  await reader.nextN(2);
  messageLog.beginAnew();
  const { epoch } = messageLog;
  const events = [await reader.nextEvent(), await reader.nextEvent()];
  const again = { op: "subscribed", epoch, seq: 0, recovered: false, spreadMs: 10_000 };
  expect(events.map(({ data }) => JSON.parse(data))).toMatchObject([
    { ...again, channel: "public-a" },
    { ...again, channel: "public-b" },
  ]);
  // Of the second channel nothing is said before it was answered.
  expect(events.map(({ id }) => id)).toEqual([`${epoch}:0,-`, `${epoch}:0,0`]);
  await relay.publisher.publish([message("public-b", 2)], SOURCE);
  expect((await reader.nextEvent()).id).toBe(`${epoch}:0,1`);
  reader.destroy();
});
