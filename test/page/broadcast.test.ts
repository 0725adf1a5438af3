import { afterEach, describe, expect, it } from "vitest";
import { until } from "../support/until.ts";
import { listening, Tab, useWorld, withClock } from "./kit.ts";
import type { ActionSpec, Attributes, PageSpec } from "./site.ts";

const world = useWorld();

afterEach(() => {
  world.site.broadcastError = undefined;
  world.site.alive = true;
});

/** A page whose button broadcasts; what follows the action is noted as "after". */
function sending(
  attributes: Attributes,
  action: Partial<ActionSpec> = {},
  more: Partial<PageSpec> = {},
): PageSpec {
  return {
    items: ["P1_A", "P1_B"],
    buttons: ["SEND"],
    ...more,
    actions: [
      {
        event: "click",
        on: "#SEND",
        actions: [
          { broadcast: { 3: "sent", 4: "e", ...attributes }, ...action } as ActionSpec,
          { script: "(window.seen.after = window.seen.after || []).push(1);" },
        ],
      },
    ],
  };
}

async function received(count: number): Promise<unknown[]> {
  const { log } = world.stack.schema;
  const rows = log.filter(({ channel }) => channel === "sent").slice(-count);
  return rows.map(({ payload }) => JSON.parse(payload));
}

describe("what is sent", () => {
  it("one item, several items, static JSON, an expression, a promise, nothing", async () => {
    const variants: [Attributes, unknown][] = [
      [{ 5: "P1_A" }, { itemName: "P1_A", value: "ä'\"<&" }],
      [
        { 7: "ITEMS", 8: "P1_A, P1_B" },
        { P1_A: "ä'\"<&", P1_B: "" },
      ],
      [{ 7: "JSON", 9: '{"fixed":[1]}' }, { fixed: [1] }],
      [
        { 7: "SCRIPT", 10: "({x: this.browserEvent.type, y: apex.env.APP_USER})" },
        { x: "click", y: "SCOTT" },
      ],
      [{ 7: "SCRIPT", 10: "Promise.resolve([1, 2])" }, [1, 2]],
      [{}, {}],
    ];
    for (const [attributes, expected] of variants) {
      const tab = await Tab.open(world, sending(attributes, { wait: true }));
      await tab.page.fill("#P1_A", "ä'\"<&");
      await tab.page.click("#SEND");
      await tab.page.waitForFunction(() => (window.seen.after ?? []).length === 1);
      expect(await received(1)).toEqual([expected]);
      expect(await tab.problems()).toEqual([]);
    }
  });

  it("long values travel in pieces, and lists as session state holds them", async () => {
    const tab = await Tab.open(
      world,
      sending(
        { 7: "ITEMS", 8: "P1_LONG,P1_MANY" },
        { wait: true },
        {
          body: '<input type="hidden" id="P1_LONG"><select id="P1_MANY" multiple><option selected>1</option><option selected>2</option></select>',
        },
      ),
    );
    const long = "🌍äx".repeat(20_000);
    await tab.page.evaluate((value) => {
      (document.getElementById("P1_LONG") as HTMLInputElement).value = value;
    }, long);
    await tab.page.click("#SEND");
    await tab.page.waitForFunction(() => (window.seen.after ?? []).length === 1);
    expect(await received(1)).toEqual([{ P1_LONG: long, P1_MANY: "1:2" }]);
  });

  it("with Debounce only the last of many firings is sent", async () => {
    const spec = sending({ 3: "typed", 5: "P1_A", 11: "20000" });
    const tab = await Tab.open(
      world,
      {
        ...spec,
        actions: [
          { ...spec.actions[0]!, event: "input", on: "#P1_A" },
          ...listening({ 2: "typed" }).actions,
        ],
      },
      await withClock(world),
    );
    await tab.subscribed("typed");
    await tab.page.locator("#P1_A").pressSequentially("typed");
    await tab.skip(20_000);
    await tab.sees("messages", { payload: { itemName: "P1_A", value: "typed" } });
    expect(await tab.payloads()).toEqual([{ itemName: "P1_A", value: "typed" }]);
  });

  it("an expression may end with a semicolon or a comment, and may be an object", async () => {
    for (const [index, expression] of [
      "{ n: 1 };",
      "({ n: 1 }) ; // what is sent",
      "// before it\n{ n: 1 }",
      "[1].map((n) => ({ n }))[0];\n",
    ].entries()) {
      const channel = `semicolon-${index}`;
      const tab = await Tab.open(
        world,
        sending({ 3: channel, 7: "SCRIPT", 10: expression }, { wait: true }),
      );
      await tab.page.click("#SEND");
      await tab.page.waitForFunction(() => (window.seen.after ?? []).length === 1);
      const { log } = world.stack.schema;
      expect(log.filter((row) => row.channel === channel).map(({ payload }) => payload)).toEqual([
        '{"n":1}',
      ]);
      expect(await tab.problems()).toEqual([]);
    }
  });

  it("a list is joined by the item's own separator", async () => {
    const options = "<option selected>1</option><option selected>2</option>";
    const tab = await Tab.open(
      world,
      sending(
        { 7: "ITEMS", 8: "P1_OWN,P1_MARKED" },
        { wait: true },
        {
          body: `<select id="P1_OWN" data-separator="," multiple>${options}</select>
            <select id="P1_MARKED" multi-value-separator="|" multiple>${options}</select>`,
        },
      ),
    );
    await tab.page.click("#SEND");
    await tab.page.waitForFunction(() => (window.seen.after ?? []).length === 1);
    expect(await received(1)).toEqual([{ P1_OWN: "1,2", P1_MARKED: "1|2" }]);
  });

  it("what waits behind a broadcast that fails is sent", async () => {
    const tab = await Tab.open(world, sending({ 3: "behind", 5: "P1_A", 6: "RAISE" }));
    world.site.failing.push(true);
    await tab.page.evaluate(() => {
      const item = document.getElementById("P1_A") as HTMLInputElement;
      for (const value of ["first", "second", "third"]) {
        item.value = value;
        document.getElementById("SEND")!.click();
      }
    });
    const values = () =>
      world.stack.schema.log
        .filter(({ channel }) => channel === "behind")
        .map(({ payload }) => JSON.parse(payload).value);
    await until("the others are sent", () => values().length === 2);
    expect(values()).toEqual(["second", "third"]);
    expect(await tab.seen("alerts")).toHaveLength(1);
  });

  it("with Debounce and Wait for Result the actions after it run once, for the last firing", async () => {
    const tab = await Tab.open(
      world,
      sending({ 3: "once", 5: "P1_A", 11: "200" }, { wait: true, stopOnError: true }),
    );
    await tab.page.evaluate(() => {
      for (let n = 0; n < 5; n++) document.getElementById("SEND")!.click();
    });
    await tab.page.waitForFunction(() => (window.seen.after ?? []).length > 0);
    await tab.page.click("#SEND");
    await tab.page.waitForFunction(() => (window.seen.after ?? []).length > 1);
    expect(await tab.seen("after")).toEqual([1, 1]);
    expect(world.stack.schema.log.filter(({ channel }) => channel === "once")).toHaveLength(2);
  });

  it("typing indicator: sent at the first key, and not to the page that types", async () => {
    const item = { 3: "typing", 4: "typing", 7: "SCRIPT", 10: "({who: apex.env.APP_USER})" };
    const spec = listening(
      { 2: "typing", 13: "OTHERS" },
      {
        items: ["P1_A"],
        actions: [
          {
            event: "input",
            on: "#P1_A",
            actions: [{ broadcast: { ...item, 12: "60000", 13: "Y" } }],
          },
        ],
      },
    );
    const [writer, reader] = [await Tab.open(world, spec), await Tab.open(world, spec)];
    await writer.subscribed("typing");
    await reader.subscribed("typing");
    await writer.page.locator("#P1_A").pressSequentially("typed");
    await reader.sees("messages", { eventName: "typing" });
    await world.stack.send("typing", "end", {});
    await writer.sees("messages", { eventName: "end" });
    await reader.sees("messages", { eventName: "end" });
    const names = async (tab: Tab) =>
      (await tab.seen<{ eventName: string }>("messages")).map(({ eventName }) => eventName);
    expect(await names(reader)).toEqual(["typing", "end"]);
    expect(await names(writer)).toEqual(["end"]);
  });

  it("neither key nor address nor channel is in the page", async () => {
    const spec = sending({
      1: "the-secret-key",
      2: "https://relay.example",
      3: "hidden-channel",
      5: "P1_A",
    });
    const html = await (await fetch(world.site.page(spec))).text();
    expect(html).toContain("rtm.broadcast");
    for (const secret of ["the-secret-key", "relay.example", "hidden-channel"]) {
      expect(html).not.toContain(secret);
    }
  });
});

describe("errors", () => {
  const RAISE = { 5: "P1_A", 6: "RAISE" } as const;

  it("Raise with Wait for Result shows the error and stops the actions", async () => {
    world.site.broadcastError = "down";
    const tab = await Tab.open(world, sending(RAISE, { wait: true, stopOnError: true }));
    await tab.page.click("#SEND");
    await tab.page.waitForFunction(() => window.seen.alerts!.length === 1);
    expect(await tab.seen("alerts")).toEqual(["The message could not be sent."]);
    expect(await tab.seen("actions")).toEqual(["broadcast runs", "broadcast resumed 1 with error"]);
    expect(await tab.seen("after")).toEqual([]);
  });

  it.each(["LOG", "IGNORE"])("with %s the next action runs, resumed once", async (onError) => {
    world.site.broadcastError = "down";
    const tab = await Tab.open(
      world,
      sending({ 5: "P1_A", 6: onError }, { wait: true, stopOnError: true }),
    );
    await tab.page.click("#SEND");
    await tab.page.waitForFunction(() => (window.seen.after ?? []).length === 1);
    expect(await tab.seen("alerts")).toEqual([]);
    expect(await tab.seen("actions")).toEqual([
      "broadcast runs",
      "broadcast resumed 1",
      "script runs",
    ]);
  });

  it("an item that the page does not have: an error for Raise, otherwise a note", async () => {
    const missing = { 5: "P1_GONE" } as const;
    const raise = await Tab.open(
      world,
      sending({ ...missing, 6: "RAISE" }, { wait: true, stopOnError: true }),
    );
    await raise.page.click("#SEND");
    expect(await raise.page.textContent("#APEX_ERROR_MESSAGE")).toContain("P1_GONE");
    expect(await raise.seen("after")).toEqual([]);
    const log = await Tab.open(world, sending({ ...missing, 6: "LOG" }, { wait: true }));
    await log.page.click("#SEND");
    await log.page.waitForFunction(() => (window.seen.after ?? []).length === 1);
    expect((await log.seen("debug")).join()).toContain("P1_GONE");
  });

  it("an expression that throws or gives nothing does not hang the actions", async () => {
    for (const expression of ["missing.variable", "Promise.reject(new Error('no'))", "() => 1"]) {
      const attributes = { 6: "LOG", 7: "SCRIPT", 10: expression };
      const tab = await Tab.open(world, sending(attributes, { wait: true }));
      await tab.page.click("#SEND");
      await tab.page.waitForFunction(() => (window.seen.after ?? []).length === 1);
    }
  });

  it("an ended session is an error like any other", async () => {
    world.site.alive = false;
    const tab = await Tab.open(world, sending(RAISE, { wait: true, stopOnError: true }));
    await tab.page.click("#SEND");
    await tab.page.waitForFunction(() => window.seen.alerts!.length === 1);
    expect(await tab.seen("after")).toEqual([]);
  });

  it("without Wait for Result the next action runs at once", async () => {
    const tab = await Tab.open(world, sending(RAISE));
    await tab.page.click("#SEND");
    expect(await tab.seen("after")).toEqual([1]);
  });
});
