/** Pages behind proxies that let no WebSocket through, over the whole path, in a real browser. */
import type { BrowserContext } from "playwright-core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runNginx } from "../ops/nginx.ts";
import { freePort } from "../support/free-port.ts";
import { HostileProxy } from "../support/hostile-proxy.ts";
import { has, temporaryDirectory } from "../support/programs.ts";
import { until } from "../support/until.ts";
import { Tab, useWorld, withClock } from "./kit.ts";

const world = useWorld();

/** How long a page waits for a WebSocket's answer, and for the first bytes of a stream, ms. */
const PATIENCE_MS = 5_000;

let proxy: HostileProxy;

beforeEach(async () => {
  proxy = await HostileProxy.to(() => world.stack.port);
});
afterEach(() => proxy.close());

async function open(
  channel: string,
  { url = proxy.url, context }: { url?: string; context?: BrowserContext } = {},
): Promise<Tab> {
  const script = `
    window.seen.messages = []; window.seen.statuses = []; window.seen.subscribed = [];
    const client = window.client = rtm.connect({ url: ${JSON.stringify(url)} });
    client.onStatus((status) => window.seen.statuses.push(status));
    client.subscribe(${JSON.stringify(channel)}, {
      from: "live",
      onMessage: (message) => window.seen.messages.push(message),
      onSubscribed: (channel, recovered) => window.seen.subscribed.push(recovered),
    });`;
  const actions = [{ event: "ready", actions: [{ script }] }];
  return Tab.open(world, { policy: false, actions }, context ?? (await place()));
}

/** Timers can be brought forward, and pauses before a further attempt are short. */
async function place(): Promise<BrowserContext> {
  const context = await withClock(world);
  await context.addInitScript(() => {
    Math.random = () => 0.01;
  });
  return context;
}

/** The page loses patience with its first WebSockets, as soon as each has reached the proxy. */
async function losesPatience(tab: Tab): Promise<void> {
  for (const times of [1, 2]) {
    await until("a WebSocket is tried", () => proxy.handshakes >= times);
    await tab.skip(PATIENCE_MS);
  }
}

/** Waits until the page hears the channel over `via`. */
async function hears(tab: Tab, via: string): Promise<void> {
  await tab.page.waitForFunction((wanted) => {
    const last = window.seen.statuses!.at(-1) as { state: string; via?: string } | undefined;
    return last?.state === "connected" && last.via === wanted && window.seen.subscribed!.length > 0;
  }, via);
}

async function allRecovered(tab: Tab): Promise<void> {
  // The first answer is that of a channel which is heard from now on.
  expect(await tab.seen("subscribed")).not.toContain(false);
}

const send = (channel: string, payload: unknown) => world.stack.send(channel, "e", payload);

/** What becomes of an event that the page sends. */
const publishes = (tab: Tab) =>
  tab.page.evaluate(
    'client.publish("public-eaten", "client:typing").then(() => "published", ({ code }) => code)',
  );

async function streams(): Promise<number> {
  const text = (await world.stack.service.relay?.registry.metrics()) ?? "";
  return Number(/^rtm_relay_peers\{kind="stream"\} (\d+)/m.exec(text)?.[1]);
}

describe("a proxy on the way", { timeout: 60_000 }, () => {
  it.runIf(has("nginx"))("that strips Upgrade (nginx): a stream", async () => {
    const port = await freePort();
    const directory = temporaryDirectory();
    const http = `server { listen 127.0.0.1:${port}; location / {
      proxy_pass http://127.0.0.1:${world.stack.port}; proxy_http_version 1.1; } }`;
    runNginx({ directory, relayPort: world.stack.port, edit: (text) => text, http });
    await until("nginx listens", () =>
      fetch(`http://127.0.0.1:${port}/healthz`).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
    const tab = await open("public-nginx", { url: `ws://127.0.0.1:${port}/ws` });
    await hears(tab, "stream");
    await send("public-nginx", "over nginx");
    expect(await tab.payloadCount(1)).toEqual(["over nginx"]);
  });

  it("that eats frames after the handshake: a stream; back to a WebSocket when it may", async () => {
    proxy.webSockets = "eat";
    const tab = await open("public-eaten");
    await losesPatience(tab);
    await hears(tab, "stream");
    await send("public-eaten", 1);
    expect(await tab.payloadCount(1)).toEqual([1]);
    expect(await publishes(tab)).toBe("not_supported");
    proxy.webSockets = "pass";
    await tab.page.evaluate(() => dispatchEvent(new Event("online")));
    await send("public-eaten", 2);
    await hears(tab, "websocket");
    // The relay is asked again, and says no: nobody may send events in a public channel.
    expect(await publishes(tab)).toBe("publish_forbidden");
    await send("public-eaten", 3);
    expect(await tab.payloadCount(3)).toEqual([1, 2, 3]);
    await allRecovered(tab);
    await until("no stream is left", async () => (await streams()) === 0);
  });

  it("that does not answer the handshake: a stream, and the tab's next page begins with it", async () => {
    proxy.webSockets = "hang";
    const tab = await open("public-hanging");
    await losesPatience(tab);
    await hears(tab, "stream");
    await until("it is looked whether it was only slow", () => proxy.handshakes === 3);
    await tab.page.reload();
    await hears(tab, "stream");
    expect(proxy.handshakes).toBe(3);
    await send("public-hanging", 1);
    expect(await tab.payloadCount(1)).toEqual([1]);
  });

  it("that also holds answers back until they are complete: polls", async () => {
    proxy.webSockets = "eat";
    proxy.buffers = true;
    const tab = await open("public-buffered");
    await losesPatience(tab);
    await until("a stream is tried", () => proxy.requests.includes("/stream"));
    await tab.skip(PATIENCE_MS);
    await hears(tab, "poll");
    for (const n of [1, 2, 3]) await send("public-buffered", n);
    expect(await tab.payloadCount(3)).toEqual([1, 2, 3]);
    await allRecovered(tab);
  });

  it("that cuts WebSockets soon after they were opened: a stream, which stays", async () => {
    proxy.webSockets = "die";
    const tab = await open("public-dying");
    await hears(tab, "stream");
    const { handshakes } = proxy;
    // One more where a busy machine was late with the relay's answer.
    expect(handshakes).toBeGreaterThanOrEqual(3);
    for (const n of [1, 2, 3]) await send("public-dying", n);
    expect(await tab.payloadCount(3)).toEqual([1, 2, 3]);
    expect(proxy.handshakes).toBe(handshakes);
    await allRecovered(tab);
  });

  it("that leaves the second file out too: WebSockets go on, and the page says so", async () => {
    proxy.webSockets = "hang";
    const context = await place();
    let files = 0;
    await context.route("**/rtm-more.js", (route) => {
      files++;
      return route.abort();
    });
    const tab = await open("public-alone", { context });
    await losesPatience(tab);
    await until("a third one is tried", () => proxy.handshakes === 3);
    await tab.sees("statuses", { code: "fallback_not_loaded" });
    proxy.webSockets = "pass";
    await tab.skip(PATIENCE_MS);
    await hears(tab, "websocket");
    expect(files).toBeGreaterThan(0);
    const error = 'client.publish("public-alone", "client:typing").catch(String)';
    expect(await tab.page.evaluate(error)).toBe("Error: fallback_not_loaded");
    expect(proxy.requests).toEqual([]);
  });

  it("that is only slow: what it was taken for does not stick", async () => {
    proxy.webSockets = "slow";
    const tab = await open("public-slow");
    await losesPatience(tab);
    await hears(tab, "websocket");
    await send("public-slow", 1);
    expect(await tab.payloadCount(1)).toEqual([1]);
    await allRecovered(tab);
  });

  it("is none: neither a restart nor an outage makes a page leave its WebSocket", async () => {
    const tab = await open("public-restart");
    await hears(tab, "websocket");
    await world.stack.stopService();
    await tab.page.waitForFunction(
      () =>
        window.seen.statuses!.filter((status) => (status as { state: string }).state === "waiting")
          .length >= 4,
    );
    await world.stack.startService();
    await hears(tab, "websocket");
    await send("public-restart", 1);
    expect(await tab.payloadCount(1)).toEqual([1]);
    expect(proxy.requests).toEqual([]);
    await allRecovered(tab);
  });

  it("answers 502 for a while: the stream comes back and has what was missed", async () => {
    proxy.webSockets = "hang";
    const tab = await open("public-502");
    await losesPatience(tab);
    await hears(tab, "stream");
    await until("it is looked whether it was only slow", () => proxy.handshakes === 3);
    let handshakes = 3;
    await send("public-502", 1);
    await tab.payloadCount(1);
    await world.stack.stopService();
    await tab.sees("statuses", { state: "waiting" }, 2);
    await send("public-502", 2);
    await world.stack.startService();
    await until("it has what was missed", async () => {
      // Between its streams it tries WebSockets.
      if (proxy.handshakes > handshakes) {
        handshakes = proxy.handshakes;
        await tab.skip(PATIENCE_MS);
      }
      return (await tab.payloads()).length === 2;
    });
    expect(await tab.payloads()).toEqual([1, 2]);
    await allRecovered(tab);
  });

  it("seven tabs: two streams, the others poll now and then, and all hear everything", async () => {
    proxy.webSockets = "hang";
    const context = await place();
    await context.addInitScript((url) => {
      sessionStorage.setItem(`rtm-way:${url}`, `stream@${Date.now()}`);
    }, proxy.url);
    const tabs: Tab[] = [];
    for (let n = 0; n < 7; n++) tabs.push(await open("public-seven", { context }));
    for (const tab of tabs) {
      await tab.page.waitForFunction(() => window.seen.subscribed!.length > 0);
    }
    expect(await streams()).toBe(2);
    for (const n of [1, 2, 3]) await send("public-seven", n);
    await tabs[0]!.skip(PATIENCE_MS);
    for (const tab of tabs) expect(await tab.payloadCount(3)).toEqual([1, 2, 3]);
    expect(proxy.streams).toBe(2);
    for (const tab of tabs) await allRecovered(tab);
  });
});
