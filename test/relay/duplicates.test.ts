/** Ids that come again, and what a key can do to the ids of others. */
import { afterEach, expect, it } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import { API_KEY, Client, message, post, SOURCE, startTestRelay, token } from "./support.ts";

const OTHER_KEY = "other-key-0123456789";
const APP = { "x-api-key": OTHER_KEY };
const keys = {
  apiKeys: [
    { name: "worker", key: API_KEY, trusted: true },
    { name: "app", key: OTHER_KEY, channels: ["b*"], trusted: true },
  ],
};

let relay: Relay;
afterEach(() => relay.close());

async function reader(...channels: string[]): Promise<Client> {
  const client = await Client.connect(relay, {
    token: await token(channels),
    subscribe: channels.map((channel) => ({ channel })),
  });
  await client.nextN(1 + channels.length);
  return client;
}

it("a key limited to some channels cannot silence messages of others by giving their ids first", async () => {
  relay = await startTestRelay(keys);
  const client = await reader("a", "b1");
  const ids = ["0a", "0b"];
  for (const id of ids) await post(relay, { channel: "b1", id, payload: "first" }, APP);
  expect((await post(relay, { channel: "a", id: "0a", payload: 1 })).body).toEqual({
    ok: true,
    id: "0a",
    recipients: 1,
  });
  const [result] = await relay.publisher.publish([message("b1", 2, { id: "0b" })], SOURCE);
  expect(result).toEqual({ status: "accepted", recipients: 1 });
  expect((await client.nextN(4)).map(({ channel, payload }) => [channel, payload])).toEqual([
    ["b1", "first"],
    ["b1", "first"],
    ["a", 1],
    ["b1", 2],
  ]);
});

it("one id posted to two channels reaches both, and only once each", async () => {
  relay = await startTestRelay(keys);
  const client = await reader("a", "b1");
  for (let time = 0; time < 2; time++) {
    const { body } = await post(relay, [
      { channel: "a", id: "same", payload: "to a" },
      { channel: "b1", id: "same", payload: "to b1" },
    ]);
    const again = time === 1 ? { duplicate: true } : {};
    expect(body).toEqual({
      ok: true,
      results: [1, 1].map((recipients) => ({ ok: true, id: "same", recipients, ...again })),
    });
  }
  await post(relay, { channel: "a", payload: "end" });
  expect((await client.nextN(3)).map(({ payload }) => payload)).toEqual(["to a", "to b1", "end"]);
});

it("a busy key does not push the ids of a queue out of the window", async () => {
  relay = await startTestRelay({ ...keys, duplicates: { count: 100 } });
  const sent = message("a", 1);
  await relay.publisher.publish([sent], SOURCE);
  const flood = Array.from({ length: 500 }, (_, n) => ({ channel: "b", id: `${n}`, payload: n }));
  expect((await post(relay, flood, APP)).status).toBe(200);
  expect(await relay.publisher.publish([sent], SOURCE)).toEqual([
    { status: "accepted", recipients: 0, duplicate: true },
  ]);
  // And its own window is as long as configured.
  expect((await post(relay, { channel: "b", id: "499" }, APP)).body).toMatchObject({
    duplicate: true,
  });
  expect((await post(relay, { channel: "b", id: "0" }, APP)).body).not.toHaveProperty("duplicate");
});
