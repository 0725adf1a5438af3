import type { BrowserContext } from "playwright-core";
import { describe, expect, it } from "vitest";
import { until } from "../support/until.ts";
import { listening, Tab, useWorld, withClock } from "./kit.ts";

const world = useWorld();

const NOTIFY = { 5: "NOTIFY" } as const;

const toasts = (tab: Tab) => tab.page.locator(".rtm-Toast").allTextContents();
const texts = (tab: Tab) => tab.page.locator(".rtm-Toast-text").allTextContents();

async function open(
  channel: string,
  attributes: object,
  more: object = {},
  context?: BrowserContext,
) {
  const tab = await Tab.open(world, listening({ 2: channel, ...attributes }, more), context);
  await tab.subscribed(channel);
  return tab;
}

/** One transaction, so that the messages arrive as a burst. */
const burst = (channel: string, payloads: readonly unknown[]) =>
  world.stack.transaction(payloads.map((payload) => ({ channel, eventName: "e", payload })));

describe("Notify", () => {
  it("a burst of three shows three; more wait, and too many are counted", async () => {
    const tab = await open("three", { ...NOTIFY, 8: "Order #id#", 15: '{"seconds": 0}' });
    await burst("three", [{ ID: 1 }, { Id: 2 }, { id: 3 }]);
    await until("three are shown", async () => (await toasts(tab)).length === 3);
    expect(await texts(tab)).toEqual(["Order 1", "Order 2", "Order 3"]);
    await burst(
      "three",
      Array.from({ length: 40 }, (_, n) => ({ id: n + 4 })),
    );
    await tab.payloadCount(43);
    expect(await toasts(tab)).toHaveLength(3);
    for (let n = 0; n < 8; n++) await tab.page.locator(".rtm-Toast-close").first().click();
    await until("the rest is counted", async () => (await texts(tab)).join() === "35 more");
    expect(await tab.problems()).toEqual([]);
  });

  it("the same text again counts up", async () => {
    const tab = await open("same", { ...NOTIFY, 8: "Queue is full" });
    await burst("same", [1, 2, 3]);
    await until("it counts", async () => (await toasts(tab)).join().includes("\u00d7 3"));
    expect(await texts(tab)).toEqual(["Queue is full"]);
  });

  it("a list shows one for each of its elements", async () => {
    const tab = await open("list", { ...NOTIFY, 8: "#PRODUCT#" });
    await world.stack.send("list", "e", [{ product: "Bolt" }, { product: "Nut" }]);
    await until("both are shown", async () => (await toasts(tab)).length === 2);
    expect(await texts(tab)).toEqual(["Bolt", "Nut"]);
  });

  it("has type, title, link, position and class; nothing of a payload becomes markup or a script", async () => {
    const settings = {
      type: "#LEVEL#",
      title: "For #who#",
      link: "/orders?id=#id#",
      seconds: 0,
      position: "bottom-start",
      cssClass: "mine",
    };
    const tab = await open("look", { ...NOTIFY, 8: "#text#", 15: JSON.stringify(settings) });
    const attack = "<img src=x onerror=alert(1)>";
    await world.stack.send("look", "e", {
      level: "ERROR",
      who: attack,
      text: attack,
      id: "1&x=javascript:alert(1)",
    });
    await tab.page.waitForSelector(".rtm-Toast");
    const toast = tab.page.locator(".rtm-Toasts--bottom-start .rtm-Toast--error.mine");
    expect(await toast.getAttribute("role")).toBe("alert");
    expect(await toast.locator(".rtm-Toast-title").textContent()).toBe(`For ${attack}`);
    expect(await toast.locator("a").textContent()).toBe(attack);
    expect(await toast.locator("a").getAttribute("href")).toBe(
      `${world.site.origin}/orders?id=1%26x%3Djavascript%3Aalert(1)`,
    );
    expect(await tab.page.locator("img").count()).toBe(0);
    const script = await open("script", { ...NOTIFY, 15: '{"link": "javascript:alert(#id#)"}' });
    await world.stack.send("script", "e", { id: 1, message: "m" });
    await script.page.waitForSelector(".rtm-Toast");
    expect(await script.page.locator(".rtm-Toast a").count()).toBe(0);
  });

  it("leaves by itself, but not below the pointer, and leaves validation errors alone", async () => {
    const twenty = { ...NOTIFY, 15: '{"seconds": 20}' };
    const tab = await open("leaves", twenty, {}, await withClock(world));
    await tab.page.evaluate(() => {
      document.getElementById("APEX_ERROR_MESSAGE")!.textContent = "Name must have a value";
    });
    await world.stack.send("leaves", "e", "first");
    await tab.page.hover(".rtm-Toast");
    await world.stack.send("leaves", "e", "second");
    await until("both are shown", async () => (await texts(tab)).length === 2);
    await tab.skip(20_000);
    expect(await texts(tab)).toEqual(["first"]);
    await tab.page.mouse.move(0, 0);
    await tab.skip(20_000);
    expect(await toasts(tab)).toEqual([]);
    expect(await tab.page.textContent("#APEX_ERROR_MESSAGE")).toBe("Name must have a value");
  });

  it("one toast over many tabs: what one tab has shown the others do not show later", async () => {
    const context = await world.browser.newContext();
    const spec = listening({ 2: "tabs", ...NOTIFY, 15: '{"seconds": 0}' });
    const front = await Tab.open(world, spec, context);
    const back = await Tab.open(world, spec, context);
    for (const tab of [front, back]) await tab.subscribed("tabs");
    await back.visible(false);
    await front.visible(false);
    await world.stack.send("tabs", "e", "once");
    for (const tab of [front, back]) await tab.payloadCount(1);
    expect(await texts(front)).toEqual([]);
    await front.visible(true);
    await until("the front tab shows it", async () => (await texts(front)).join() === "once");
    await world.stack.send("tabs", "e", "after");
    await back.payloadCount(2);
    await until("the front tab shows the next", async () => (await texts(front)).length === 2);
    await back.visible(true);
    expect(await texts(back)).toEqual([]);
  });

  it("the operating system tells it while the page is hidden, once the user has allowed it", async () => {
    const context = await world.browser.newContext({ permissions: ["notifications"] });
    await context.addInitScript(() => {
      const shown: unknown[] = [];
      class Recorded {
        static permission = "default";
        static async requestPermission() {
          Recorded.permission = "granted";
          return "granted";
        }
        constructor(title: string, options: { body: string; tag: string }) {
          shown.push([title, options.body, options.tag]);
        }
      }
      Object.assign(window, { Notification: Recorded, shown });
    });
    const spec = listening(
      { 2: "system", ...NOTIFY, 13: "SYSTEM", 15: '{"title": "Orders"}' },
      {
        buttons: ["ASK"],
        actions: [{ event: "click", on: "#ASK", actions: [{ script: "rtm.askToNotify();" }] }],
      },
    );
    const tab = await Tab.open(world, spec, context);
    await tab.subscribed("system");
    const shown = () => tab.page.evaluate(() => (window as unknown as { shown: string[][] }).shown);
    await tab.visible(false);
    await world.stack.send("system", "e", "not allowed yet");
    await tab.payloadCount(1);
    expect(await shown()).toEqual([]);
    await tab.page.click("#ASK");
    await world.stack.send("system", "e", "hidden");
    await tab.payloadCount(2);
    expect((await shown()).map(([title, body]) => [title, body])).toEqual([["Orders", "hidden"]]);
    await tab.visible(true);
    await world.stack.send("system", "e", "visible");
    await tab.payloadCount(3);
    expect(await shown()).toHaveLength(1);
  });
});

describe("Set Badge", () => {
  const NAV = '<nav><a id="NAV_ORDERS" href="#orders" data-rtm-count="2">Orders</a></nav>';
  const badge = (tab: Tab) => tab.page.locator("#NAV_ORDERS .rtm-Badge").allTextContents();

  it("counts on, takes a count from the payload, and is cleared by a click in every tab", async () => {
    const context = await world.browser.newContext();
    const spec = listening(
      { 2: "badge", 5: "BADGE", 15: '{"badge": "NAV_ORDERS", "count": "OPEN"}' },
      { body: NAV },
    );
    const tab = await Tab.open(world, spec, context);
    const other = await Tab.open(world, spec, context);
    for (const page of [tab, other]) await page.subscribed("badge");
    expect(await badge(tab)).toEqual(["2 2 new"]);
    await world.stack.send("badge", "e", {});
    await until("it counts", async () => (await badge(tab)).join() === "3 3 new");
    await world.stack.send("badge", "e", { open: 120 });
    await until("it says more", async () => (await badge(tab)).join() === "99+ 120 new");
    await tab.page.click("#NAV_ORDERS");
    expect(await badge(tab)).toEqual([]);
    await until("the other tab has none", async () => (await badge(other)).length === 0);
  });

  it("is cleared by the event that the action names; an element that is not there is told", async () => {
    const tab = await open(
      "clear",
      { 5: "BADGE", 15: '{"badge": "#NAV_ORDERS", "clear": "orders-read"}' },
      {
        body: NAV,
        actions: [
          {
            event: "ready",
            actions: [{ listener: { 2: "clear", 5: "BADGE", 15: '{"badge": "["}' } }],
          },
        ],
      },
    );
    await tab.page.click("#NAV_ORDERS");
    expect(await badge(tab)).toEqual(["2 2 new"]);
    await tab.page.evaluate("apex.event.trigger(document, 'orders-read', {})");
    expect(await badge(tab)).toEqual([]);
    await world.stack.send("clear", "ping", {});
    await tab.sees("statuses", { state: "missing", badge: "[" });
  });
});

describe("Warn on Unsaved Changes", () => {
  const changed = (tab: Tab) =>
    tab.page.evaluate(() =>
      ["P1_A", "P1_B"].map((id) =>
        (window as unknown as { apex: { item(id: string): { isChanged(): boolean } } }).apex
          .item(id)
          .isChanged(),
      ),
    );

  it.each([
    ["", [true, true]],
    ["UNCHANGED", [false, true]],
  ] as const)(
    "with the options %j: what the user has not touched, and what he has",
    async (options, expected) => {
      const channel = `unsaved-${options}`;
      const tab = await open(channel, { 5: "ITEMS", 13: options }, { items: ["P1_A", "P1_B"] });
      await tab.page.fill("#P1_B", "mine");
      await world.stack.send(channel, "e", { P1_A: "pushed", P1_B: "pushed" });
      await tab.payloadCount(1);
      expect(await tab.value("P1_A")).toBe("pushed");
      expect(await changed(tab)).toEqual(expected);
    },
  );
});

it("a burst of 1,000 leaves the page its frames", async () => {
  const tab = await open("frames", { 5: "ITEMS", 6: "P1_A" }, { items: ["P1_A"] });
  await tab.page.evaluate(() => {
    const { seen } = window;
    seen.frames = [];
    seen.long = [];
    let messages = 0;
    const look = () => {
      const count = seen.messages!.length;
      if (count > messages) seen.frames!.push(count - messages);
      messages = count;
      requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) seen.long!.push(Math.round(duration));
    }).observe({ type: "longtask" });
  });
  await burst(
    "frames",
    Array.from({ length: 1_000 }, (_, n) => ({ P1_A: n })),
  );
  await tab.payloadCount(1_000);
  await until("the last one is there", async () => (await tab.value("P1_A")) === "999");
  if (process.env.RTM_MEASURE) {
    console.log(
      "messages per frame",
      await tab.seen("frames"),
      "long tasks",
      await tab.seen("long"),
    );
  }
  // One frame does not take all of it, however fast the machine.
  expect(Math.max(...(await tab.seen<number>("frames")))).toBeLessThan(1_000);
});
