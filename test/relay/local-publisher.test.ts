import { afterEach, beforeEach, expect, it } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import { message, SOURCE, startTestRelay } from "./support.ts";

let relay: Relay;
beforeEach(async () => {
  relay = await startTestRelay({ history: { count: 10_000 } });
});
afterEach(() => relay.close());

it("takes nothing after the first message that it cannot take", async () => {
  // Large enough that the batch is spread over several turns of the event loop.
  const batch = Array.from({ length: 40 }, (_unused, n) =>
    message("public", { n, text: "x".repeat(100_000) }),
  );
  const publishing = relay.publisher.publish(batch, SOURCE);
  relay.setServing(false);
  setImmediate(() => setImmediate(() => relay.setServing(true)));
  const statuses = (await publishing).map(({ status }) => status);
  expect(statuses).toHaveLength(40);
  const first = statuses.indexOf("unavailable");
  expect(first).toBeGreaterThan(0);
  expect(new Set(statuses.slice(first))).toEqual(new Set(["unavailable"]));
});
