/** A relay on ports of the system's choice, and clients that wait for frames instead of sleeping. */

import { randomUUID } from "node:crypto";
import { parseConfig } from "../../common/config.ts";
import { createLogger } from "../../common/logger.ts";
import { type JsonObject, signJwt } from "../../relay/access/jwt.ts";
import { mintToken } from "../../relay/access/token.ts";
import { Hub } from "../../relay/channels/hub.ts";
import { type RelayConfig, relayConfig } from "../../relay/config/config.ts";
import type { Message } from "../../relay/contract/message.ts";
import type { Source } from "../../relay/contract/publisher.ts";
import { MemoryLog } from "../../relay/log/memory-log.ts";
import { Stats } from "../../relay/node/stats.ts";
import { type Relay, type RelayOptions, startRelay } from "../../relay/relay.ts";
import { post as postTo } from "../protocol-kit/client.ts";

export { Client, DEADLINE_MS, type Frame, until } from "../protocol-kit/client.ts";

export const SECRET = "0123456789abcdef0123456789abcdef";
export const API_KEY = "test-key-0123456789";

export function testConfig(overrides: object = {}): RelayConfig {
  return parseConfig(relayConfig, {
    port: 0,
    drain: { window: "100ms", grace: "1s" },
    tokens: { secrets: [{ kid: "k1", secret: SECRET }] },
    apiKeys: [{ name: "worker", key: API_KEY, trusted: true }],
    publicChannels: ["public*"],
    ...overrides,
  });
}

export const log = createLogger((process.env.RTM_TEST_LOG as "silent") ?? "silent");

/** @param overrides configuration of the relay; `stateDirectory` is an option of it */
export function startTestRelay(
  overrides: object = {},
  options: Partial<RelayOptions> = {},
): Promise<Relay> {
  const { stateDirectory, ...config } = overrides as { stateDirectory?: string };
  return startRelay(testConfig(config), { log, stateDirectory, ...options });
}

export async function token(
  channels: readonly string[],
  options: {
    subject?: string;
    lifetimeMs?: number;
    now?: number;
    kid?: string;
    secret?: string;
    /** More claims than `rtm token` mints. */
    claims?: JsonObject;
  } = {},
): Promise<string> {
  const { subject = "scott", lifetimeMs = 60_000, now, kid = "k1", secret = SECRET } = options;
  if (options.claims) {
    const iat = Math.floor((now ?? Date.now()) / 1000);
    const exp = iat + Math.ceil(lifetimeMs / 1000);
    const claims = { sub: subject, channels, iat, exp, ...options.claims };
    return signJwt({ kid }, claims, Buffer.from(secret));
  }
  return mintToken(
    { subject, channels, lifetimeMs, kid, secret: Buffer.from(secret) },
    now ?? Date.now(),
  );
}

/** A queue of which no other test knows. */
export const SOURCE: Source = { name: "queue:RTM.TEST" };

/** A hub that is fed by a log in memory. */
export function startHub(config: RelayConfig, clock: () => number, keepsHeads = false) {
  const hub = new Hub({ config, stats: new Stats(), clock, keepsHeads });
  const messageLog = new MemoryLog({ duplicates: config.duplicates, clock });
  void messageLog.follow({
    headOf: (channel) => hub.headOf(channel),
    reset: (snapshot) => hub.reset(snapshot),
    apply: (batch) => hub.apply(batch),
    notice: () => {},
    current: () => {},
  });
  return { hub, messageLog };
}

let counter = 0;

/** A message with an id of its own. */
export function message(channel: string, payload: unknown, more: Partial<Message> = {}): Message {
  counter++;
  return {
    channel,
    eventName: "event",
    payload: JSON.stringify(payload),
    id: randomUUID(),
    ts: 1_795_333_000_000 + counter,
    ...more,
  };
}

/** POSTs with the worker's key. */
export function post(relay: Relay, body: unknown, headers: Record<string, string> = {}) {
  return postTo(relay, body, { "x-api-key": API_KEY, ...headers });
}
