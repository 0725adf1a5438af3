/** Compatibility with the published predecessor's relay: request, answers, health text, message keys. */
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { parseConfig } from "../../common/config.ts";
import { createLogger } from "../../common/logger.ts";
import { relayConfig } from "../../relay/config/config.ts";
import { type Relay, startRelay } from "../../relay/relay.ts";

let relay: Relay;

beforeEach(async () => {
  const config = parseConfig(relayConfig, {
    port: 0,
    insecure: true,
    publicChannels: ["*"],
    compat: { firehose: true },
  });
  relay = await startRelay(config, { log: createLogger("silent") });
});

afterEach(() => relay.close());

const url = (path: string) => `http://127.0.0.1:${relay.port}${path}`;

function post(body: object): Promise<Response> {
  return fetch(url("/api/broadcast"), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

describe("the published predecessor's clients", () => {
  it("find its health text", async () => {
    expect(await (await fetch(url("/"))).text()).toBe("RTM WebSocket / REST bridge is running");
  });

  it("get its answers", async () => {
    const good = await post({ channel: "test", eventName: "ping", payload: { value: 1 } });
    expect(good.status).toBe(200);
    expect(await good.json()).toMatchObject({ ok: true });
    for (const channel of [undefined, null, ""]) {
      const bad = await post({ channel, eventName: "ping", payload: {} });
      expect(bad.status).toBe(400);
      expect(await bad.json()).toMatchObject({ ok: false, message: "channel is required" });
    }
  });

  it("connect to / without a subprotocol and get its three keys first", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${relay.port}/`);
    await once(socket, "open");
    const arrived = once(socket, "message");
    await post({ channel: "test", event_name: "ping", payload: { itemName: "P1_X", value: "v" } });
    const text = String((await arrived)[0]);
    expect(text).toMatch(
      /^\{"channel":"test","eventName":"ping","payload":\{"itemName":"P1_X","value":"v"\},"id":/,
    );
    socket.terminate();
    await once(socket, "close");
  });
});
