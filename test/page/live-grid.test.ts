/** The recipe "A live grid" of docs/apex.md, with two browsers. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/until.ts";
import { violations } from "./axe.ts";
import { Tab, useWorld } from "./kit.ts";

const world = useWorld();

let orders: string[];
beforeEach(() => {
  orders = ["1", "2", "3"];
  world.site.presenceFunction = true;
  world.site.region = () => `<table>
    <thead><tr><th scope="col">Id</th><th scope="col">Customer</th></tr></thead>
    <tbody>${orders.map((id) => `<tr data-id="${id}"><td>${id}</td><td>Customer ${id}</td></tr>`).join("")}</tbody>
  </table>`;
});
afterEach(() => {
  world.site.region = () => "";
});

interface Grid {
  readonly model: {
    edit(id: string): void;
    save(): void;
    value(id: string): string;
    getRecordMetadata(id: string): { allowedOperations?: { update?: boolean } };
  };
  refresh(): void;
}
declare const apex: { region(id: string): Grid };

const STYLE = `body { font: 15px/1.4 Arial, sans-serif; margin: 16px } table { border-collapse: collapse; margin-top: 12px }
th, td { border: 1px solid #d0d0d0; padding: 6px 16px; text-align: start }`;

async function open(user: string, channel: string, options: string): Promise<Tab> {
  world.site.user = user;
  world.site.file("/grid.css", STYLE);
  const tab = await Tab.open(world, {
    presence: { 1: `grid:${channel}`, 2: user, 8: "ORDERS", 9: options },
    regions: [{ id: "ORDERS", kind: "grid", keys: orders }],
    head: '<link rel="stylesheet" href="/grid.css">',
    body: "<main><h1>Orders</h1></main>",
    actions: [
      {
        event: "ready",
        actions: [
          {
            script: `apex.region("ORDERS").refresh();
              window.seen.news = [];
              jQuery(document).on("rtm-message", () => window.seen.news.push({ rows: window.seen.news.length + 1 }));`,
          },
          {
            listener: { 2: channel, 3: "*", 5: "ROWS", 7: "ORDERS", 9: "20", 13: "TELL:KEEP_PAGE" },
          },
        ],
      },
    ],
  });
  await tab.page.waitForSelector('.rtm-Presence-bar[data-state="live"]');
  await tab.page.waitForSelector("tr[data-id]");
  return tab;
}

const change = (channel: string, op: string, id: number, by = "ZOE") =>
  world.stack.send(channel, `orders-${op}d`, { op, row: { ID: id, UPDATED_BY: by } });
const title = (tab: Tab, id: string) => tab.page.getAttribute(`tr[data-id="${id}"]`, "title");
const bar = (tab: Tab) => tab.page.locator(".rtm-Presence-bar [role=status]").allTextContents();
const begin = (tab: Tab, id: string) =>
  tab.page.evaluate(
    `jQuery("#ORDERS .widget").trigger("apexbeginrecordedit", {recordId: "${id}"})`,
  );
const end = (tab: Tab) =>
  tab.page.evaluate('jQuery("#ORDERS .widget").trigger("apexendrecordedit", {})');
const edit = (tab: Tab, id: string) =>
  tab.page.evaluate((key) => apex.region("ORDERS").model.edit(key), id);

describe("recipe: A live grid", () => {
  it("marks rows that somebody else edits until they are saved; with Read-Only Rows nobody begins", async () => {
    const ada = await open("ADA", "marks", "");
    const king = await open("KING", "marks", "READ_ONLY");
    await begin(ada, "1");
    await until(
      "the row is marked",
      async () => (await title(king, "1"))?.startsWith("ADA edits this row since") === true,
    );
    expect(await title(ada, "1")).toBeNull();
    const described = await king.page.getAttribute('tr[data-id="1"]', "aria-describedby");
    expect(await king.page.textContent(`#${described}`)).toBe(await title(king, "1"));
    const allowed = (id: string) =>
      king.page.evaluate(
        (key) =>
          apex.region("ORDERS").model.getRecordMetadata(key).allowedOperations?.update ?? true,
        id,
      );
    expect([await allowed("1"), await allowed("2")]).toEqual([false, true]);
    await king.page.evaluate(() => {
      for (const row of document.querySelectorAll<HTMLElement>("tr[data-id]")) {
        row.addEventListener("dblclick", () => window.seen.actions!.push(row.dataset.id));
      }
    });
    for (const id of ["1", "2"]) await king.page.dblclick(`tr[data-id="${id}"] td`);
    expect((await king.seen("actions")).filter((id) => /^\d$/.test(String(id)))).toEqual(["2"]);
    // Another row, and the first one has unsaved changes.
    await edit(ada, "1");
    await begin(ada, "3");
    await until(
      "both are marked",
      async () => (await title(king, "3")) !== null && (await title(king, "1")) !== null,
    );
    // What the grid draws anew is marked anew.
    await king.page.evaluate(() => apex.region("ORDERS").refresh());
    await until("they are marked again", async () => (await title(king, "3")) !== null);
    await end(ada);
    await ada.page.evaluate(() => apex.region("ORDERS").model.save());
    await until(
      "nothing is marked",
      async () => (await king.page.locator("tr[aria-describedby]").count()) === 0,
    );
    expect(await allowed("1")).toBe(true);
    await begin(ada, "2");
    await until("it is marked", async () => (await title(king, "2")) !== null);
    await ada.page.close();
    await until("whoever leaves edits nothing", async () => (await title(king, "2")) === null);
    expect(await king.problems()).toEqual([]);
  });

  it("changed rows are fetched where they are not edited; new and deleted ones are told", async () => {
    const ada = await open("ADA", "rows", "");
    const king = await open("KING", "rows", "");
    const loaded = (await king.seen("loaded")).length;
    await edit(ada, "1");
    await until("it is marked", async () => (await title(king, "1")) !== null);
    await change("rows", "update", 1);
    await until("it is fetched", async () => (await king.seen("fetched")).join() === "ORDERS 1");
    await until(
      "hers is kept",
      async () => (await title(ada, "1")) === "Changed by ZOE, yours is kept",
    );
    expect(await ada.page.evaluate(() => apex.region("ORDERS").model.value("1"))).toBe("mine");
    orders = ["1", "3", "9"];
    await change("rows", "insert", 9);
    await change("rows", "delete", 2);
    // Came and went.
    await change("rows", "insert", 10);
    await change("rows", "delete", 10);
    const told = "New rows: 1, Deleted rows: 1";
    for (const tab of [ada, king]) {
      await until("they are told", async () => (await bar(tab)).join() === `Live,${told}`);
    }
    expect(await king.seen("loaded")).toHaveLength(loaded);
    if (process.env.RTM_SCREENSHOTS !== undefined) {
      await king.page.setViewportSize({ width: 640, height: 300 });
      await king.page.screenshot({ path: "docs/images/live-grid.png" });
    }
    await king.page.click("text=Show them");
    await king.page.waitForSelector('tr[data-id="9"]');
    await until("nothing is new", async () => (await bar(king)).join() === "Live,");
    // An unsaved edit is not thrown away by it.
    await ada.page.click("text=Show them");
    await ada.page.evaluate(() => apex.region("ORDERS").model.save());
    await ada.page.waitForSelector('tr[data-id="9"]');
    expect(await ada.seen("modals")).toEqual([]);
    const found = await violations(king.page);
    expect(
      found.filter((text) => /^(serious|critical)/.test(text) || text.includes("rtm-")),
    ).toEqual([]);
    expect(await king.problems()).toEqual([]);
  });

  it("a new row that is changed at once is a new row; those on another page are no news once shown", async () => {
    const tab = await open("ADA", "at-once", "");
    await tab.page.click("text=Pause");
    await change("at-once", "insert", 9);
    await change("at-once", "update", 9);
    await tab.sees("news", { rows: 2 });
    await tab.page.click("text=Resume");
    await until("it is told", async () => (await bar(tab)).join() === "Live,New rows: 1");
    await tab.page.click("text=Pause");
    expect(await tab.page.isVisible("text=Show them")).toBe(false);
    await tab.page.click("text=Resume");
    await tab.page.click("text=Show them");
    await until("nothing is new", async () => (await bar(tab)).join() === "Live,");
    expect(await tab.problems()).toEqual([]);
  });

  it("can be paused, and says when it is offline", async () => {
    const tab = await open("ADA", "paused", "");
    await tab.page.click("text=Pause");
    expect(await bar(tab)).toEqual(["Paused", ""]);
    await change("paused", "update", 1);
    await change("paused", "update", 2);
    await change("paused", "insert", 9);
    await tab.sees("news", { rows: 3 });
    expect(await tab.seen("fetched")).toEqual([]);
    await tab.page.click("text=Resume");
    await until("it goes on", async () => (await tab.seen("fetched")).join() === "ORDERS 1,2");
    await until("it is live", async () => (await bar(tab)).join() === "Live,New rows: 1");
    await world.stack.stopService();
    await until("it is offline", async () => (await bar(tab))[0] === "Offline");
    await world.stack.startService();
    await until("it is live again", async () => (await bar(tab))[0] === "Live");
  });
});
