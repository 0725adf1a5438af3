import { afterEach, describe, expect, it, vi } from "vitest";
import { until } from "../support/until.ts";
import { listening, Tab, useWorld, withClock } from "./kit.ts";
import { SECRET } from "./stack.ts";

const world = useWorld();

afterEach(() => {
  vi.useRealTimers();
  world.site.alive = true;
  world.site.secret = SECRET;
  world.site.tokenLifetimeMs = 900_000;
  world.site.refused.clear();
  world.site.trouble = undefined;
  world.site.timeouts = true;
});

const REFRESHING = { 5: "REFRESH", 7: "ORDERS", 9: "20", 10: "REFRESH" } as const;

/** Life of a token that a test renews, and when the page does so, ms. */
const LIFE_MS = 20_000;
const RENEWAL_MS = 16_000;
/** Longest pause after the first failures of a renewal, ms. */
const RETRY_MS = 2_000;

/** Relay and site, but not the page, see a wall clock that is so much later, until the end of the test. */
function later(ms: number): void {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + ms });
}

/** The renewal fails, and fails again after its pause. */
async function triedTwice(tab: Tab): Promise<void> {
  const tried = (times: number) =>
    tab.page.waitForFunction(
      (least) =>
        window.seen.debug!.filter((line) => String(line).includes("no new token")).length >= least,
      times,
    );
  await tried(1);
  await tab.skip(RETRY_MS);
  await tried(2);
}

describe("relay restart", () => {
  it("nothing is missed: before, while it is down, and after", async () => {
    const tab = await Tab.open(
      world,
      listening({ 2: "restart", ...REFRESHING, 5: "EVENT" }, { regions: ["ORDERS"] }),
    );
    await tab.subscribed("restart");
    await world.stack.send("restart", "e", "before");
    await tab.payloadCount(1);
    await world.stack.stopService();
    await tab.sees("statuses", { state: "waiting", code: 4000 });
    await world.stack.send("restart", "e", "while it is down");
    await world.stack.startService();
    await world.stack.send("restart", "e", "after");
    expect(await tab.payloadCount(3)).toEqual(["before", "while it is down", "after"]);
    expect(await tab.seen("refreshes")).toEqual([]);
    expect(await tab.problems()).toEqual([]);
  });
});

describe("tokens", () => {
  it("are renewed while somebody uses the page, on the same socket", async () => {
    world.site.tokenLifetimeMs = LIFE_MS;
    const tab = await Tab.open(world, listening({ 2: "renewed" }), await withClock(world));
    await tab.subscribed("renewed");
    const calls = world.site.ajaxCalls.length;
    for (const times of [1, 2]) {
      await tab.active();
      await tab.skip(RENEWAL_MS);
      await tab.told("refreshed", times);
    }
    expect(world.site.ajaxCalls).toHaveLength(calls + 2);
    await world.stack.send("renewed", "e", "still here");
    expect(await tab.payloadCount(1)).toEqual(["still here"]);
    expect(tab.sockets).toBe(1);
  });

  it.each(["ORA-04068", "incident", "proxy page", "503", "not made"] as const)(
    "a renewal that meets trouble (%s) is tried again until it is over",
    async (trouble) => {
      const channel = `trouble-${trouble.replaceAll(" ", "-")}`;
      world.site.tokenLifetimeMs = LIFE_MS;
      const tab = await Tab.open(world, listening({ 2: channel }), await withClock(world));
      await tab.subscribed(channel);
      world.site.trouble = trouble;
      await tab.active();
      await tab.skip(RENEWAL_MS);
      await triedTwice(tab);
      world.site.trouble = undefined;
      await tab.skip(RETRY_MS);
      await tab.told("refreshed");
      await world.stack.send(channel, "e", "after the trouble");
      expect(await tab.payloadCount(1)).toEqual(["after the trouble"]);
      expect(await tab.seen("statuses")).not.toContainEqual(
        expect.objectContaining({ state: "stopped" }),
      );
    },
  );

  it("where nothing tells whether the session lives, it goes on trying", async () => {
    world.site.timeouts = false;
    world.site.tokenLifetimeMs = LIFE_MS;
    const tab = await Tab.open(world, listening({ 2: "unknown" }), await withClock(world));
    await tab.subscribed("unknown");
    world.site.trouble = "incident";
    await tab.active();
    await tab.skip(RENEWAL_MS);
    await triedTwice(tab);
    world.site.trouble = undefined;
    await tab.skip(RETRY_MS);
    await tab.told("refreshed");
    await world.stack.send("unknown", "e", 1);
    expect(await tab.payloadCount(1)).toEqual([1]);
  });

  it("one call renews the token for all listeners of the page, of which one tells another channel", async () => {
    world.site.tokenLifetimeMs = 8_000;
    const channels = Array.from({ length: 10 }, (_, n) => `many-${n}`);
    const tab = await Tab.open(
      world,
      listening(
        { 2: "many" },
        {
          actions: channels.map((channel) => ({
            event: "ready",
            actions: [{ listener: { 2: channel, 3: "*" } }],
          })),
        },
      ),
      await withClock(world),
    );
    const ended = performance.now() + 8_000;
    for (const channel of ["many", ...channels]) await tab.subscribed(channel);
    world.site.tokenLifetimeMs = 900_000;
    const calls = world.site.ajaxCalls.length;
    await tab.active();
    await tab.skip(6_400);
    // What is heard after the first tokens is due to the one that was fetched.
    await until("the first tokens have ended", () => performance.now() > ended);
    for (const channel of channels) await world.stack.send(channel, "e", channel);
    expect((await tab.payloadCount(10)).sort()).toEqual(channels);
    expect(world.site.ajaxCalls).toHaveLength(calls + 1);
    expect(tab.sockets).toBe(1);
    expect(await tab.seen("statuses")).not.toContainEqual(
      expect.objectContaining({ state: "denied" }),
    );
  });

  it("a hundred and ten listeners present no more tokens than the relay takes", async () => {
    const many = Array.from({ length: 110 }, (_, n) => ({
      event: "ready",
      actions: [{ listener: { 2: `crowd-${n % 30}`, 3: "*", 4: `event-${n}` } }],
    }));
    const tab = await Tab.open(world, listening({ 2: "crowd" }, { actions: many }));
    for (let n = 0; n < 30; n++) await tab.subscribed(`crowd-${n}`);
    expect(world.site.ajaxCalls.length).toBeGreaterThan(0);
    expect(await tab.seen("statuses")).not.toContainEqual(
      expect.objectContaining({ state: "denied" }),
    );
    expect(tab.sockets).toBe(1);
  });

  it("an idle or hidden page asks for none, and continues without a loss when it is used", async () => {
    world.site.tokenLifetimeMs = LIFE_MS;
    const tab = await Tab.open(world, listening({ 2: "idle" }));
    await tab.subscribed("idle");
    await world.stack.send("idle", "e", "while it is valid");
    await tab.payloadCount(1);
    const calls = world.site.ajaxCalls.length;
    later(LIFE_MS);
    await tab.sees("statuses", { state: "token" });
    await world.stack.send("idle", "e", "after its end");
    await tab.visible(false);
    await tab.active();
    expect(world.site.ajaxCalls).toHaveLength(calls);
    world.site.tokenLifetimeMs = 900_000;
    await tab.visible(true);
    expect(await tab.payloadCount(2)).toEqual(["while it is valid", "after its end"]);
    expect(world.site.ajaxCalls).toHaveLength(calls + 1);
  });

  it("a wrong token: the page says so and works as soon as the secret is right", async () => {
    world.site.secret = "another-secret-of-enough-bytes-0123456789";
    const tab = await Tab.open(world, listening({ 2: "wrong" }));
    await tab.sees("statuses", { state: "token", code: 4101 });
    world.site.secret = SECRET;
    await tab.active();
    await tab.subscribed("wrong");
    await world.stack.send("wrong", "e", 1);
    expect(await tab.payloadCount(1)).toEqual([1]);
  });

  it.each([
    [false, "an answer with an error"],
    ["login page", "the login page"],
  ] as const)("an ended session stops the client (%s: %s)", async (alive, _answer) => {
    world.site.tokenLifetimeMs = 1_000;
    const tab = await Tab.open(world, listening({ 2: "ended" }));
    world.site.alive = alive;
    await tab.active();
    await tab.sees("statuses", { state: "stopped", code: "session_ended" });
    await tab.sees("statuses", { state: "denied", channel: "ended", code: "session_ended" });
    const calls = world.site.ajaxCalls.length;
    await tab.active();
    expect(world.site.ajaxCalls).toHaveLength(calls);
    expect(await tab.problems()).toEqual([]);
  });

  it("a user the installation refuses gets no token, and the page says why", async () => {
    world.site.refused.add("secret");
    const tab = await Tab.open(world, listening({ 2: "secret" }));
    await tab.sees("statuses", { state: "stopped", code: "configuration" });
    expect(tab.sockets).toBe(0);
  });

  it("a right that is withdrawn ends with the token", async () => {
    world.site.tokenLifetimeMs = 1_000;
    const tab = await Tab.open(world, listening({ 2: "withdrawn" }));
    world.site.refused.add("withdrawn");
    await tab.active();
    await tab.sees("statuses", { state: "denied", channel: "withdrawn", code: "not_authorized" });
  });

  it("a public and a token listener on one page do not pull each other down", async () => {
    world.site.tokenLifetimeMs = LIFE_MS;
    const tab = await Tab.open(
      world,
      listening(
        { 2: "public-both", 12: "PUBLIC" },
        { actions: [{ event: "ready", actions: [{ listener: { 2: "private-both", 3: "*" } }] }] },
      ),
    );
    for (const channel of ["public-both", "private-both"]) await tab.subscribed(channel);
    later(LIFE_MS);
    await tab.sees("statuses", { state: "token", channel: "private-both" });
    await world.stack.send("public-both", "e", "public");
    await tab.payloadCount(1);
    await world.stack.send("private-both", "e", "private");
    world.site.tokenLifetimeMs = 900_000;
    await until("somebody uses the page", async () => {
      await tab.active();
      return (await tab.payloads()).length === 2;
    });
    expect(await tab.payloads()).toEqual(["public", "private"]);
  });

  it("a script that connects before the Listener without a token waits for its token", async () => {
    const script = `
      rtm.connect({ url: ${JSON.stringify(world.stack.url)} }).subscribe("room:9", {
        onMessage: (message) => window.seen.messages.push(message),
      });`;
    const tab = await Tab.open(
      world,
      listening(
        { 2: "public-first", 12: "PUBLIC" },
        {
          buttons: ["LISTEN"],
          actions: [
            { event: "ready", actions: [{ script }] },
            {
              event: "click",
              on: "#LISTEN",
              actions: [{ listener: { 2: "hall, room:*", 3: "*" } }],
            },
          ],
        },
      ),
    );
    await tab.subscribed("public-first");
    await tab.page.click("#LISTEN");
    await tab.subscribed("hall");
    await world.stack.send("room:9", "e", "heard");
    expect(await tab.payloadCount(1)).toEqual(["heard"]);
  });

  it("public channels need none", async () => {
    const tab = await Tab.open(world, listening({ 2: "public-news", 12: "PUBLIC" }));
    await tab.subscribed("public-news");
    await world.stack.send("public-news", "e", 1);
    expect(await tab.payloadCount(1)).toEqual([1]);
  });
});

describe("the page's life", () => {
  // The headless shell has no back-forward cache (its delegate disables it), so the page gets the
  // events and the freeze that entering and leaving the cache consist of.
  it("leaves for the back-forward cache with a closed socket and comes back complete", async () => {
    const tab = await Tab.open(world, listening({ 2: "bfcache" }));
    const transition = (type: string) =>
      tab.page.evaluate((name) => {
        dispatchEvent(new PageTransitionEvent(name, { persisted: true }));
      }, type);
    await tab.subscribed("bfcache");
    await world.stack.send("bfcache", "e", "seen");
    await tab.payloadCount(1);
    const session = await tab.page.context().newCDPSession(tab.page);
    const closed = tab.page.waitForEvent("websocket").then(() => "opened again");
    await transition("pagehide");
    await tab.sees("statuses", { state: "paused" });
    await session.send("Page.setWebLifecycleState", { state: "frozen" });
    await world.stack.send("bfcache", "e", "missed");
    await session.send("Page.setWebLifecycleState", { state: "active" });
    expect(tab.sockets).toBe(1);
    await transition("pageshow");
    expect(await closed).toBe("opened again");
    expect(await tab.payloadCount(2)).toEqual(["seen", "missed"]);
    expect(tab.sockets).toBe(2);
  });

  it("the tab's next page does not see again what this one saw", async () => {
    const spec = listening({ 2: "next-page" });
    const tab = await Tab.open(world, spec);
    await tab.subscribed("next-page");
    await world.stack.send("next-page", "e", "on the page before");
    await tab.payloadCount(1);
    await tab.page.goto("about:blank");
    await world.stack.send("next-page", "e", "between the pages");
    await tab.page.goto(world.site.page(spec));
    await tab.subscribed("next-page");
    await world.stack.send("next-page", "e", "on this page");
    expect(await tab.payloadCount(2)).toEqual(["between the pages", "on this page"]);
  });

  it("a dialog does not make the page after it see again what was seen", async () => {
    const spec = listening({ 2: "dialog" });
    const tab = await Tab.open(world, spec);
    await tab.subscribed("dialog");
    const dialog = world.site.page(listening({ 2: "dialog" }));
    await tab.page.evaluate((src) => {
      const frame = document.createElement("iframe");
      frame.src = src;
      document.body.append(frame);
    }, dialog);
    await world.stack.send("dialog", "e", "in both");
    await tab.payloadCount(1);
    const frame = tab.page.frames()[1]!;
    await frame.waitForFunction(() => (window.seen?.messages ?? []).length > 0);
    await frame.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide")));
    await tab.page.evaluate(() => document.querySelector("iframe")!.remove());
    await world.stack.send("dialog", "e", "only here");
    await tab.sees("messages", { payload: "only here" });
    // The dialog noted its older position last.
    const stored = await tab.page.evaluate(() => {
      dispatchEvent(new PageTransitionEvent("pagehide"));
      return Object.entries(sessionStorage);
    });
    const older = stored.map(([key, value]) => [key, value.replace(/"seq":(\d+)/g, '"seq":1')]);
    await tab.page.evaluate((entries) => {
      for (const [key, value] of entries) sessionStorage.setItem(key!, value!);
      dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
    }, older);
    await tab.sees("statuses", { state: "subscribed", channel: "dialog" }, 2);
    await tab.page.goto(world.site.page(spec));
    await tab.subscribed("dialog");
    await world.stack.send("dialog", "e", "on the next page");
    await tab.sees("messages", { payload: "on the next page" });
    expect(await tab.payloads()).toEqual(["on the next page"]);
  });

  it("a page hidden for long gives up its socket, and is complete when it is shown", async () => {
    const context = await world.browser.newContext();
    const tab = await Tab.open(world, listening({ 2: "parked" }), context);
    await tab.subscribed("parked");
    // So that the page has a position: its age will be that of a clock that was moved.
    await world.stack.send("parked", "e", "seen");
    await tab.payloadCount(1);
    await tab.page.clock.install();
    await tab.visible(false);
    await tab.page.clock.runFor(4 * 60_000);
    expect(await tab.seen("statuses")).not.toContainEqual({ state: "parked" });
    await tab.page.clock.runFor(2 * 60_000);
    await tab.page.clock.resume();
    await tab.sees("statuses", { state: "parked" });
    for (let n = 0; n < 5; n++) await world.stack.send("parked", "e", n);
    expect(tab.sockets).toBe(1);
    await tab.visible(true);
    expect(await tab.payloadCount(6)).toEqual(["seen", 0, 1, 2, 3, 4]);
    expect(tab.sockets).toBe(2);
  });

  it("and not when it is told to stay", async () => {
    const tab = await Tab.open(world, listening({ 2: "stays", 13: "STAY" }));
    await tab.subscribed("stays");
    await tab.page.clock.install();
    await tab.visible(false);
    await tab.page.clock.runFor(30 * 60_000);
    await tab.page.clock.resume();
    await world.stack.send("stays", "e", 1);
    expect(await tab.payloadCount(1)).toEqual([1]);
    expect(tab.sockets).toBe(1);
  });

  it("a frozen page is woken and gets what it missed", async () => {
    const tab = await Tab.open(world, listening({ 2: "frozen" }));
    await tab.subscribed("frozen");
    const session = await tab.page.context().newCDPSession(tab.page);
    await session.send("Page.setWebLifecycleState", { state: "frozen" });
    await world.stack.send("frozen", "e", 1);
    await session.send("Page.setWebLifecycleState", { state: "active" });
    expect(await tab.payloadCount(1)).toEqual([1]);
  });

  it("does not wait any longer when the network is back", async () => {
    const context = await world.browser.newContext();
    // The backoff's share of chance: every wait is longer than this test may take.
    await context.addInitScript(() => {
      Math.random = () => 60;
    });
    const tab = await Tab.open(world, listening({ 2: "network" }), context);
    await tab.subscribed("network");
    await world.stack.stopService();
    await tab.sees("statuses", { state: "waiting", retryInMs: 60_000 });
    await world.stack.startService();
    await tab.page.evaluate(() => dispatchEvent(new Event("online")));
    await world.stack.send("network", "e", 1);
    expect(await tab.payloadCount(1)).toEqual([1]);
  });
});

describe("policies", () => {
  it("a policy that does not name the relay stops the client with a reason", async () => {
    const tab = await Tab.open(world, listening({ 2: "csp" }, { policy: "without relay" }));
    await tab.sees("statuses", { state: "stopped", code: "csp_blocked" });
    expect(await tab.seen("violations")).toHaveLength(1);
  });

  it("a URL that cannot be used is reported, and the actions after it run", async () => {
    const tab = await Tab.open(world, {
      actions: [
        {
          event: "ready",
          actions: [
            {
              script:
                "window.seen.statuses=[];jQuery(document).on('rtm_listener_status',(e,s)=>window.seen.statuses.push(s));",
            },
            { listener: { 1: "ftp://relay.example" } },
            { script: "window.seen.after=[1];" },
          ],
        },
      ],
    });
    await tab.sees("statuses", { state: "stopped", code: "configuration" });
    expect(await tab.seen("after")).toEqual([1]);
    expect(await tab.problems()).toEqual([]);
  });

  it("a page of another origin is not served", async () => {
    const { origins } = world.stack;
    const own = origins.splice(0, origins.length, "https://apex.example");
    await world.stack.stopService();
    await world.stack.startService();
    try {
      const tab = await Tab.open(world, listening({ 2: "origin" }));
      await tab.sees("statuses", { state: "stopped", code: 4202 });
    } finally {
      origins.splice(0, origins.length, ...own);
      await world.stack.stopService();
      await world.stack.startService();
    }
  });
});

// The last one: the relay after a crash is too young to prove anything for a while.
describe("relay crash", () => {
  it("after a crash the page is told and refreshes its regions", async () => {
    const tab = await Tab.open(
      world,
      listening({ 2: "crash", ...REFRESHING, 5: "EVENT" }, { regions: ["ORDERS"] }),
    );
    await tab.subscribed("crash");
    await world.stack.send("crash", "e", "before");
    await tab.payloadCount(1);
    await world.stack.crashService();
    await tab.sees("statuses", { state: "waiting" });
    await world.stack.startService();
    await tab.sees("statuses", { state: "gap", channel: "crash" });
    await tab.page.waitForFunction(() => window.seen.refreshes!.length > 0);
    await world.stack.send("crash", "e", "after");
    expect(await tab.payloadCount(2)).toEqual(["before", "after"]);
    expect(await tab.seen("refreshes")).toEqual(["ORDERS"]);
  });
});
