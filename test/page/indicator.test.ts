import { afterEach, expect, it } from "vitest";
import { listening, Tab, useWorld, withClock } from "./kit.ts";

const world = useWorld();

afterEach(() => {
  world.site.alive = true;
  world.site.tokenLifetimeMs = 900_000;
});

const text = (tab: Tab, wanted: string) =>
  tab.page.waitForFunction(
    (expected) => document.querySelector(".rtm-Indicator")?.textContent === expected,
    wanted,
  );

it("says live, offline, and live again; one badge for all listeners", async () => {
  const tab = await Tab.open(
    world,
    listening(
      { 2: "shown", 13: "INDICATOR" },
      {
        actions: [{ event: "ready", actions: [{ listener: { 2: "shown-too", 13: "INDICATOR" } }] }],
      },
    ),
  );
  await text(tab, "Live");
  await world.stack.stopService();
  await text(tab, "Offline");
  await world.stack.startService();
  await text(tab, "Live");
  expect(await tab.page.locator(".rtm-Indicator").count()).toBe(1);
  expect(await tab.page.getAttribute(".rtm-Indicator", "role")).toBe("status");
  expect(await tab.problems()).toEqual([]);
});

it("stands where the page wants it, in the words of the page", async () => {
  const tab = await Tab.open(
    world,
    listening(
      { 2: "words", 13: "INDICATOR", 15: '{"live": "Verbunden <b>"}' },
      { body: '<header><span data-rtm-indicator id="place"></span></header>' },
    ),
  );
  await text(tab, "Verbunden <b>");
  expect(await tab.page.locator("#place .rtm-Indicator").count()).toBe(1);
});

it("asks to sign in again when the session has ended", async () => {
  world.site.tokenLifetimeMs = 20_000;
  const page = listening({ 2: "ends", 13: "INDICATOR" });
  const tab = await Tab.open(world, page, await withClock(world));
  await text(tab, "Live");
  world.site.alive = false;
  await tab.active();
  await tab.skip(20_000);
  await text(tab, "Sign in again");
  const loaded = tab.page.waitForEvent("load");
  await tab.page.click(".rtm-Indicator button");
  await loaded;
});
