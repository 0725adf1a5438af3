import type { BrowserContext } from "playwright-core";
import { afterEach, describe, expect, it } from "vitest";
import { listening, Tab, useWorld, withClock } from "./kit.ts";
import type { RegionKind, RegionSpec } from "./site.ts";

const world = useWorld();

afterEach(() => {
  world.site.region = () => "";
});

const REFRESH = { 5: "REFRESH", 7: "ORDERS", 9: "20" } as const;
const ROWS = { ...REFRESH, 5: "ROWS" } as const;

interface Grid {
  readonly model: {
    readonly observers: number;
    edit(id: string): void;
    save(): void;
    value(id: string): string;
  };
  readonly element: { trigger(event: string): void };
}

declare const apex: { region(id: string): Grid };

/** jQuery's own table of the handlers of an element. */
type HandlersOf = (element: Element, key: "events") => Record<string, unknown[]> | undefined;

/** A page that has had one message and begun the refresh that it asks for: a second one is another. */
async function open(
  channel: string,
  region: RegionSpec,
  attributes: object = REFRESH,
  context?: BrowserContext,
) {
  const page = listening({ 2: channel, ...attributes }, { regions: [region] });
  const tab = await Tab.open(world, page, context);
  await tab.subscribed(channel);
  await world.stack.send(channel, "first", { id: "t1" });
  await tab.payloadCount(1);
  if (region.kind === "broken") await failures(tab, 1);
  else await seenAtLeast(tab, "refreshes", 1);
  return tab;
}

/** Waits until so many refreshes have thrown. */
const failures = (tab: Tab, count: number) =>
  tab.page.waitForFunction(
    (least) =>
      (window.seen.debug ?? []).filter((line) => String(line).includes("was not refreshed"))
        .length >= least,
    count,
  );

/** Sends a message and waits until the page has had `count` of them. */
async function send(tab: Tab, channel: string, count: number, payload: unknown = {}) {
  await world.stack.send(channel, "e", payload);
  await tab.payloadCount(count);
}

const seenAtLeast = (tab: Tab, kind: string, count: number) =>
  tab.page.waitForFunction(([key, least]) => (window.seen[key] ?? []).length >= least, [
    kind,
    count,
  ] as const);

describe("a refresh is over when the region says so", () => {
  const kinds: RegionKind[] = ["report", "cards", "cards-before-24.1", "grid", "plugin"];

  it.each(kinds)("%s: the next one follows at once, and no handler is left", async (kind) => {
    const channel = `signs-${kind}`;
    const tab = await open(channel, { id: "ORDERS", kind, keys: ["1"] });
    await seenAtLeast(tab, "loaded", 1);
    const handlers = () =>
      tab.page.evaluate(() => {
        const { jQuery } = window as unknown as {
          jQuery: { _data(e: Element, n: string): object };
        };
        const data = jQuery._data(document.getElementById("ORDERS")!, "events") ?? {};
        return Object.values(data).flat().length;
      });
    const before = await handlers();
    for (let n = 2; n <= 5; n++) {
      const loaded = (await tab.seen("loaded")).length;
      await send(tab, channel, n);
      await seenAtLeast(tab, "loaded", loaded + 1);
    }
    expect((await tab.seen("debug")).join()).not.toContain("did not tell");
    expect(await handlers()).toBe(before);
    expect(await tab.problems()).toEqual([]);
  });

  it.each(["report", "cards", "silent", "broken"] as const)(
    "%s: a refresh that fails or says nothing does not block the next for long",
    async (kind) => {
      const channel = `fails-${kind}`;
      let calls = 0;
      world.site.region = () => {
        if (++calls === 1) throw new Error("the query failed");
        return "content";
      };
      const tab = await open(channel, { id: "ORDERS", kind }, REFRESH, await withClock(world));
      await send(tab, channel, 2);
      await tab.skip(3_000);
      if (kind === "broken") await failures(tab, 2);
      else await seenAtLeast(tab, "loaded", 1);
      expect(await tab.seen("errors")).toEqual([]);
    },
  );

  it("a region inside another one does not speak for it", async () => {
    const tab = await Tab.open(
      world,
      listening(
        { 2: "nested", ...REFRESH },
        {
          body: `<div id="ORDERS" class="js-apex-region" data-kind="silent">
            <div id="INNER" class="js-apex-region" data-kind="report"></div></div>`,
        },
      ),
    );
    await tab.subscribed("nested");
    await send(tab, "nested", 1);
    // All in one task of the page, so that no timer comes between.
    const waiting = await tab.page.waitForFunction(() => {
      const { _data } = (window as unknown as { jQuery: { _data: HandlersOf } }).jQuery;
      const handlers = () => {
        const events = _data(document.getElementById("ORDERS")!, "events") ?? {};
        return events.apexafterrefresh?.length ?? 0;
      };
      if (handlers() === 0) return false;
      const counts = [handlers()];
      for (const id of ["INNER", "ORDERS"]) {
        apex.region(id).element.trigger("apexafterrefresh");
        counts.push(handlers());
      }
      return counts;
    });
    expect(await waiting.jsonValue()).toEqual([1, 1, 0]);
  });

  it("a region that is not on the page is an error and a status", async () => {
    const tab = await Tab.open(
      world,
      listening({ 2: "gone", 5: "REFRESH", 7: "NOWHERE", 9: "20" }),
    );
    await tab.subscribed("gone");
    await world.stack.send("gone", "e", 1);
    await tab.sees("statuses", { state: "missing", region: "NOWHERE" });
    expect((await tab.seen("debug")).join()).toContain("error rtm: the page has no region");
  });

  it.each([
    ["", "first page"],
    ["KEEP_PAGE", "kept"],
  ])("pagination with the options %j: %s", async (options, expected) => {
    const channel = `pages-${options}`;
    const tab = await open(channel, { id: "ORDERS", kind: "report" }, { ...REFRESH, 13: options });
    await seenAtLeast(tab, "pagination", 1);
    expect(new Set(await tab.seen("pagination"))).toEqual(new Set([`ORDERS ${expected}`]));
  });
});

describe("an Interactive Grid with unsaved edits", () => {
  it("is never refreshed before they are saved, and then once", async () => {
    const tab = await open("edits", { id: "ORDERS", kind: "grid", keys: ["1", "2"] });
    await seenAtLeast(tab, "loaded", 1);
    const loaded = (await tab.seen("loaded")).length;
    const observers = () => tab.page.evaluate(() => apex.region("ORDERS").model.observers);
    const before = await observers();
    await tab.page.evaluate(() => apex.region("ORDERS").model.edit("1"));
    await send(tab, "edits", 2);
    await tab.sees("statuses", { state: "pending", region: "ORDERS" });
    await send(tab, "edits", 3);
    expect(await tab.seen("modals")).toEqual([]);
    expect(await tab.seen("discarded")).toEqual([]);
    expect(await tab.page.evaluate(() => apex.region("ORDERS").model.value("1"))).toBe("mine");
    await tab.page.evaluate(() => apex.region("ORDERS").model.save());
    await seenAtLeast(tab, "loaded", loaded + 1);
    expect(await tab.seen("modals")).toEqual([]);
    expect(await observers()).toBe(before);
  });

  it("nor while a row is being edited", async () => {
    const tab = await open("typing", { id: "ORDERS", kind: "grid", keys: ["1"] });
    await seenAtLeast(tab, "loaded", 1);
    const loaded = (await tab.seen("loaded")).length;
    await tab.page.evaluate(() => apex.region("ORDERS").element.trigger("apexbeginrecordedit"));
    await send(tab, "typing", 2);
    await tab.sees("statuses", { state: "pending", region: "ORDERS" });
    expect(await tab.seen("loaded")).toHaveLength(loaded);
    await tab.page.evaluate(() => apex.region("ORDERS").element.trigger("apexendrecordedit"));
    await seenAtLeast(tab, "loaded", loaded + 1);
  });

  it("a grid that was never shown has no model and is refreshed", async () => {
    const tab = await open("unseen", { id: "ORDERS", kind: "unseen-grid" });
    await seenAtLeast(tab, "loaded", 1);
  });
});

describe("Refresh Rows", () => {
  const grid: RegionSpec = { id: "ORDERS", kind: "grid", keys: ["1", "2", "3"] };
  const fetched = (tab: Tab) => tab.seen<string>("fetched");

  async function rows(channel: string, region: RegionSpec, attributes: object = ROWS) {
    const tab = await open(channel, region, attributes);
    await seenAtLeast(tab, "loaded", 1);
    return { tab, loaded: (await tab.seen("loaded")).length };
  }

  it.each([
    ["a number", 2, "ORDERS 2"],
    ["a member, in upper case as Oracle writes it", { ID: "3" }, "ORDERS 3"],
    ["a list", [1, "2"], "ORDERS 1,2"],
    ["a list of rows", [{ id: 1 }, { id: 3 }], "ORDERS 1,3"],
    ["a member with a list", { ids: [2, 3] }, "ORDERS 2,3"],
  ])("fetches the rows that the payload names: %s", async (what, payload, expected) => {
    const channel = `rows-${what.length}`;
    const { tab, loaded } = await rows(channel, grid);
    await send(tab, channel, 2, payload);
    await seenAtLeast(tab, "fetched", 1);
    expect(await fetched(tab)).toEqual([expected]);
    expect(await tab.seen("loaded")).toHaveLength(loaded);
  });

  it("works with cards, and with a member of one's own", async () => {
    const settings = { ...ROWS, 15: '{"key": "order_no"}' };
    const cards: RegionSpec = { id: "ORDERS", kind: "cards", keys: ["1", "2"] };
    const { tab } = await rows("rows-cards", cards, settings);
    await send(tab, "rows-cards", 2, { ORDER_NO: 2, id: 1 });
    await seenAtLeast(tab, "fetched", 1);
    expect(await fetched(tab)).toEqual(["ORDERS 2"]);
  });

  it.each([
    ["a row that the page does not have", grid, { id: 99 }],
    ["a payload without a key", grid, { what: "something" }],
    ["a model without an identity", { id: "ORDERS", kind: "grid" }, { id: "t1" }],
    ["a region without a model", { id: "ORDERS", kind: "report" }, { id: 1 }],
  ] as [string, RegionSpec, object][])(
    "falls back to a refresh: %s",
    async (what, region, payload) => {
      const channel = `fallback-${what.length}`;
      const { tab, loaded } = await rows(channel, region);
      await send(tab, channel, 2, payload);
      await seenAtLeast(tab, "loaded", loaded + 1);
      expect(await fetched(tab)).toEqual([]);
    },
  );

  it("leaves a row alone that this page has edited, until it is saved", async () => {
    const { tab } = await rows("rows-edited", grid);
    await tab.page.evaluate(() => apex.region("ORDERS").model.edit("1"));
    await send(tab, "rows-edited", 2, { ids: [1, 2] });
    await tab.sees("statuses", { state: "pending", region: "ORDERS" });
    await seenAtLeast(tab, "fetched", 1);
    expect(await tab.page.evaluate(() => apex.region("ORDERS").model.value("1"))).toBe("mine");
    await tab.page.evaluate(() => apex.region("ORDERS").model.save());
    await seenAtLeast(tab, "fetched", 2);
    expect(await fetched(tab)).toEqual(["ORDERS 2", "ORDERS 1"]);
    expect(await tab.seen("modals")).toEqual([]);
  });

  it("a burst fetches each row once", async () => {
    const { tab } = await rows("rows-burst", grid, { ...ROWS, 9: "300" });
    await world.stack.transaction(
      [1, 2, 1, 3, 2, 1].map((id) => ({ channel: "rows-burst", eventName: "e", payload: { id } })),
    );
    await seenAtLeast(tab, "fetched", 1);
    expect(await fetched(tab)).toEqual(["ORDERS 1,2,3"]);
  });
});
