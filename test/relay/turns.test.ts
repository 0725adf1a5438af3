/** What one body or one connection asks for is done piece by piece: others have their turn between. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from "vitest";
import type { Clients } from "../../relay/clients/clients.ts";
import { createLookups } from "../../relay/http/lookup.ts";
import { post, startTestRelay } from "./support.ts";

let turn = 0;
let ended = false;
beforeEach(() => {
  ended = false;
  const count = () => {
    turn++;
    if (!ended) setImmediate(count);
  };
  setImmediate(count);
});
afterEach(() => {
  ended = true;
  vi.restoreAllMocks();
});

it("wide lists of small values in a body of 8 MiB are parsed item by item", async () => {
  const relay = await startTestRelay();
  onTestFinished(() => relay.close());
  const values = "1,".repeat(4100);
  const item = { channel: "sales", payload: null };
  const body = `[${Array.from({ length: 1000 }, () =>
    JSON.stringify(item).replace("null", `[${values}1]`),
  ).join(",")}]`;
  expect(body.length).toBeGreaterThan(8_000_000);
  expect(body.length).toBeLessThan(8 * 1024 * 1024);
  // Whoever looks at the clock after an item finds that it took long.
  const clock = performance.now.bind(performance);
  const looked = new Set<number>();
  let later = 0;
  vi.spyOn(performance, "now").mockImplementation(() => {
    looked.add(turn);
    later += 11;
    return clock() + later;
  });
  const answer = await post(relay, body);
  vi.restoreAllMocks();
  expect(answer).toMatchObject({ status: 200, body: { ok: true } });
  expect(looked.size).toBeGreaterThanOrEqual(1000);
});

it("lookups that come in one turn are answered each in a turn of its own", async () => {
  const key = { name: "reader", channels: ["*"], scopes: ["read"] };
  const clients = { keys: { findApiKey: () => key }, config: {} } as unknown as Clients;
  const handle = createLookups({ clients, notServing: () => undefined });
  const request = { headers: { "x-api-key": "reader" }, url: "/" } as unknown as IncomingMessage;
  const response = { writeHead() {}, end() {} } as unknown as ServerResponse;
  const turns: number[] = [];
  const lookup = () => {
    turns.push(turn);
    return {};
  };
  await Promise.all(Array.from({ length: 50 }, () => handle(lookup as never, request, response)));
  expect(new Set(turns).size).toBe(50);
});
