/**
 * The kit against a relay started here; or, with RTM_TEST_RELAY_URL, against any other one:
 * RTM_TEST_RELAY_URL=https://host RTM_TEST_RELAY_API_KEY=... RTM_TEST_RELAY_SECRET=...
 * RTM_TEST_RELAY_KID=... and optionally RTM_TEST_RELAY_LIMITED_KEY, RTM_TEST_RELAY_PRIVATE_PREFIX,
 * RTM_TEST_RELAY_PUBLIC_PREFIX, RTM_TEST_RELAY_ORIGIN, RTM_TEST_RELAY_QUICK=1 (short times, small
 * caps), RTM_TEST_RELAY_PRESENCE=1 (users can be seen in private channels),
 * RTM_TEST_RELAY_EVENTS=1 (clients can send events in private channels),
 * RTM_TEST_RELAY_TOO_MANY=<more messages than the relay takes in one POST>.
 */
import { afterAll, beforeAll, describe } from "vitest";
import type { Relay } from "../../relay/relay.ts";
import { API_KEY, SECRET, startTestRelay } from "../relay/support.ts";
import { type KitTarget, protocolKit } from "./kit.ts";

const { env } = process;

if (env.RTM_TEST_RELAY_URL !== undefined) {
  const required = (name: string): string => {
    const value = env[name];
    if (value === undefined) throw new Error(`${name} is not set`);
    return value;
  };
  const target: KitTarget = {
    target: { url: env.RTM_TEST_RELAY_URL.replace(/\/$/, "") },
    apiKey: required("RTM_TEST_RELAY_API_KEY"),
    secret: required("RTM_TEST_RELAY_SECRET"),
    kid: required("RTM_TEST_RELAY_KID"),
    limitedKey: env.RTM_TEST_RELAY_LIMITED_KEY,
    privatePrefix: env.RTM_TEST_RELAY_PRIVATE_PREFIX ?? "kit:",
    publicPrefix: env.RTM_TEST_RELAY_PUBLIC_PREFIX,
    allowedOrigin: env.RTM_TEST_RELAY_ORIGIN,
    tooManyMessages: Number(env.RTM_TEST_RELAY_TOO_MANY) || undefined,
    presence: env.RTM_TEST_RELAY_PRESENCE === "1",
    events: env.RTM_TEST_RELAY_EVENTS === "1",
    quick: env.RTM_TEST_RELAY_QUICK === "1",
  };
  describe(`protocol kit against ${env.RTM_TEST_RELAY_URL}`, () => protocolKit(() => target));
} else {
  const limitedKey = "limited-key-0123456789";
  describe.each([
    { name: "direct writes, public channels", wire: "direct" as const, publicPrefix: "public:" },
    {
      name: "public API of ws, no public channels",
      wire: "public" as const,
      publicPrefix: undefined,
    },
  ])("protocol kit: $name", ({ wire, publicPrefix }) => {
    let relay: Relay;
    beforeAll(async () => {
      relay = await startTestRelay(
        {
          apiKeys: [
            { name: "kit", key: API_KEY, trusted: true, scopes: ["publish", "manage"] },
            { name: "limited", key: limitedKey, channels: ["kit:open*"] },
          ],
          publicChannels: publicPrefix === undefined ? [] : [`${publicPrefix}*`],
          origins: ["https://apex.example.com"],
          limits: { channels: 60, messageBytes: "64KiB", batchMessages: 50 },
          history: { bytes: "256KiB", ageMargin: "100ms" },
          slowClients: { connectionBytes: "256KiB" },
          clientEvents: { channels: ["kit:*"] },
          presence: { rules: [{ channels: "kit:*" }], members: 50 },
          heartbeat: { interval: "700ms" },
          connectDeadline: "900ms",
        },
        { wire },
      );
    });
    afterAll(() => relay.close());

    protocolKit(() => ({
      target: relay,
      apiKey: API_KEY,
      limitedKey,
      secret: SECRET,
      kid: "k1",
      privatePrefix: "kit:",
      publicPrefix,
      allowedOrigin: "https://apex.example.com",
      tooManyMessages: 51,
      presence: true,
      events: true,
      quick: true,
    }));
  });
}
