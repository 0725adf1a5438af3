import { readFileSync } from "node:fs";
import { Registry } from "prom-client";
import { afterEach, describe, expect, it } from "vitest";
import { ROLES } from "../../cli/roles.ts";
import { collectProcessMetrics, registerServiceMetrics } from "../../cli/service/metrics.ts";
import { createLogger } from "../../common/logger.ts";
import { CHANNEL_COST, ENTRY_COST } from "../../relay/channels/history.ts";
import { Hails } from "../../relay/log/valkey/hails.ts";
import { registerHailMetrics, registerLogMetrics } from "../../relay/log/valkey/metrics.ts";
import type { Relay } from "../../relay/relay.ts";
import { WorkerMetrics } from "../../worker/metrics.ts";
import { valkeyLog } from "../log-contract/valkey.ts";
import { Client, message, post, SOURCE, startTestRelay, token } from "./support.ts";

let relay: Relay;
afterEach(() => relay.close());

async function scrape(): Promise<Map<string, number>> {
  const text = await relay.registry.metrics();
  const lines = text.split("\n").filter((line) => line && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [
      line.slice(0, line.lastIndexOf(" ")),
      Number(line.slice(line.lastIndexOf(" "))),
    ]),
  );
}

describe("metrics", () => {
  it("count what happened", async () => {
    relay = await startTestRelay({ heartbeat: { interval: "10m" } });
    const client = await Client.connect(relay, {
      token: await token(["a"]),
      subscribe: [{ channel: "a" }, { channel: "b" }],
    });
    await client.nextN(3);
    const twice = message("a", 1);
    await relay.publisher.publish([twice, twice, message("a*", 1), message("a", 2)], SOURCE);
    await client.nextN(2);
    client.send({
      op: "subscribe",
      subscribe: [
        { channel: "a", since: { epoch: "x", seq: 0 } },
        { channel: "a", since: { ageMs: 0 } },
      ],
    });
    await client.nextN(2);
    await post(relay, { channel: "a" }, { "x-api-key": "" });
    const bad = await Client.open(relay, "/ws?channel=public&format=x");
    await bad.end();
    const numbers = await scrape();
    const expected: Record<string, number> = {
      rtm_relay_connections: 1,
      rtm_relay_connections_opened_total: 1,
      rtm_relay_subscriptions: 1,
      rtm_relay_channels: 1,
      rtm_relay_messages_accepted_total: 2,
      rtm_relay_messages_delivered_total: 2,
      rtm_relay_duplicates_total: 1,
      rtm_relay_duplicate_ids: 2,
      rtm_relay_history_messages: 2,
      rtm_relay_held_bytes: 0,
      rtm_relay_client_frames_total: 2,
      'rtm_relay_messages_rejected_total{code="bad_channel"}': 1,
      'rtm_relay_recoveries_total{result="refused"}': 2,
      'rtm_relay_recoveries_total{result="granted"}': 0,
      'rtm_relay_authorization_failures_total{reason="channel_forbidden"}': 1,
      'rtm_relay_authorization_failures_total{reason="api_key_unknown"}': 1,
      'rtm_relay_closes_total{reason="bad_request"}': 1,
      rtm_relay_fanout_count: 2,
      rtm_relay_fanout_sum: 2,
      'rtm_relay_fanout_bucket{le="0"}': 0,
      'rtm_relay_fanout_bucket{le="1"}': 2,
      'rtm_relay_fanout_bucket{le="+Inf"}': 2,
      rtm_relay_accept_to_write_seconds_count: 2,
    };
    for (const [name, value] of Object.entries(expected)) {
      expect([name, numbers.get(name)]).toEqual([name, value]);
    }
    expect(numbers.get("rtm_relay_history_bytes")).toBe(
      (numbers.get("rtm_relay_accepted_bytes_total") as number) + 2 * ENTRY_COST + CHANNEL_COST,
    );
    expect(numbers.get("rtm_relay_delivered_bytes_total")).toBe(
      numbers.get("rtm_relay_accepted_bytes_total"),
    );
  });

  it("share a registry with other rooms", async () => {
    const registry = new Registry();
    relay = await startTestRelay({}, { registry });
    expect(relay.registry).toBe(registry);
  });

  it("are all described in docs/metrics.md, and nothing else is", async () => {
    const registry = new Registry();
    new WorkerMetrics(registry);
    registerServiceMetrics(registry, { roles: ROLES.serve, isReady: () => true });
    collectProcessMetrics(registry);
    registerLogMetrics(registry, valkeyLog("redis://127.0.0.1:1"));
    const address = { url: () => "redis://127.0.0.1:1" };
    const log = createLogger("silent");
    registerHailMetrics(registry, new Hails({ address, prefix: "rtm", log, onText: () => {} }));
    relay = await startTestRelay({ presence: { rules: [{ channels: "*" }] } }, { registry });
    const page = readFileSync(new URL("../../docs/metrics.md", import.meta.url), "utf8");
    const documented = new Set(
      [...page.matchAll(/`((?:rtm|process|nodejs)_[a-z0-9_]+)/g)].map(([, name]) => name),
    );
    const registered = (await relay.registry.getMetricsAsJSON()).map(({ name }) => name);
    expect([...documented].sort()).toEqual([...registered].sort());
  });
});
