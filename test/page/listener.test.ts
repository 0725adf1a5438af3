import { describe, expect, it } from "vitest";
import { until } from "../support/until.ts";
import { listening, Tab, useWorld, withClock } from "./kit.ts";

const world = useWorld();

describe("the Hello example", () => {
  it("what one page sends is in the item of the other, and an event tells so", async () => {
    const spec = listening(
      { 2: "test", 3: "ping", 5: "ITEMS", 6: "P10_MESSAGE" },
      {
        items: ["P10_MESSAGE"],
        buttons: ["SEND_HELLO"],
        actions: [
          {
            event: "click",
            on: "#SEND_HELLO",
            actions: [{ broadcast: { 3: "test", 4: "ping", 5: "P10_MESSAGE", 6: "LOG" } }],
          },
        ],
      },
    );
    const sender = await Tab.open(world, spec);
    const receiver = await Tab.open(world, spec);
    await receiver.subscribed("test");
    await sender.page.fill("#P10_MESSAGE", "Hello & <b>welcome</b> äöü 🌍");
    await sender.page.click("#SEND_HELLO");
    await receiver.sees("messages", { channel: "test", eventName: "ping" });
    expect(await receiver.value("P10_MESSAGE")).toBe("Hello & <b>welcome</b> äöü 🌍");
    expect(await receiver.payloads()).toEqual([
      { itemName: "P10_MESSAGE", value: "Hello & <b>welcome</b> äöü 🌍" },
    ]);
    expect([...(await sender.problems()), ...(await receiver.problems())]).toEqual([]);
  });

  it("nothing arrives of a transaction that is rolled back", async () => {
    const tab = await Tab.open(world, listening({ 2: "rollback" }));
    await tab.subscribed("rollback");
    await world.stack.transaction([{ channel: "rollback", eventName: "e", payload: 1 }], false);
    await world.stack.send("rollback", "e", 2);
    expect(await tab.payloadCount(1)).toEqual([2]);
  });
});

describe("several listeners", () => {
  it("two with two tokens share one socket, and a second firing changes nothing", async () => {
    const tab = await Tab.open(
      world,
      listening(
        { 2: "one" },
        {
          buttons: ["AGAIN"],
          actions: [
            { event: "ready", actions: [{ listener: { 2: "two, three", 3: "*" } }] },
            { event: "click", on: "#AGAIN", actions: [{ listener: { 2: "four", 3: "*" } }] },
          ],
        },
      ),
    );
    for (const channel of ["one", "two", "three"]) await tab.subscribed(channel);
    await tab.page.click("#AGAIN");
    await tab.page.click("#AGAIN");
    await tab.subscribed("four");
    for (const channel of ["one", "two", "three", "four"]) {
      await world.stack.send(channel, "e", channel);
    }
    expect((await tab.payloadCount(4)).sort()).toEqual(["four", "one", "three", "two"]);
    expect(tab.sockets).toBe(1);
    expect(await tab.problems()).toEqual([]);
  });

  it("each gets its own channel and events, whatever else arrives", async () => {
    const tab = await Tab.open(
      world,
      listening(
        { 2: "mixed", 3: "wanted,other", 4: "rtm-message" },
        { actions: [{ event: "ready", actions: [{ listener: { 2: "mixed", 3: "third" } }] }] },
      ),
    );
    await tab.subscribed("mixed");
    for (const event of ["unwanted", "wanted", "nothing", "other"]) {
      await world.stack.send("mixed", event, event);
    }
    expect(await tab.payloadCount(2)).toEqual(["wanted", "other"]);
  });

  it("the connection's status reaches actions that are bound later, once for all listeners", async () => {
    const record =
      "jQuery(document).on('rtm_listener_status', (e, s) => (window.seen.later ??= []).push(s));";
    const listeners = Array.from({ length: 5 }, (_, n) => ({
      event: "ready",
      actions: [{ listener: { 2: `status-${n}`, 3: "*" } }],
    }));
    const tab = await Tab.open(world, {
      actions: [
        ...listeners,
        { event: "ready", actions: [{ listener: { 1: "ftp://relay.example", 2: "wrong" } }] },
        { event: "ready", actions: [{ script: record }] },
      ],
    });
    await tab.sees("later", { state: "connected" });
    await tab.sees("later", { state: "subscribed", channel: "status-4" });
    const later = await tab.seen<{ state: string; code?: string }>("later");
    const states = later.map(({ state }) => state);
    expect(states.filter((state) => state === "connecting")).toHaveLength(1);
    expect(states.filter((state) => state === "connected")).toHaveLength(1);
    expect(states.filter((state) => state === "subscribed")).toHaveLength(5);
    expect(later).toContainEqual(
      expect.objectContaining({ state: "stopped", code: "configuration" }),
    );
  });

  it("From Now On leaves out what was before the listener was fired", async () => {
    const late = (options: string) => ({ listener: { 2: "late", 3: "*", 13: options } });
    const tab = await Tab.open(
      world,
      listening(
        { 2: "early-bird" },
        {
          buttons: ["NOW", "ALL"],
          actions: [
            { event: "click", on: "#NOW", actions: [late("NOW")] },
            { event: "click", on: "#ALL", actions: [late("")] },
          ],
        },
      ),
    );
    await tab.subscribed("early-bird");
    await world.stack.send("late", "e", "before");
    await world.stack.send("early-bird", "e", "mark");
    await tab.payloadCount(1);
    await tab.page.click("#NOW");
    await tab.subscribed("late");
    await world.stack.send("late", "e", "after");
    expect(await tab.payloadCount(2)).toEqual(["mark", "after"]);
    await tab.page.click("#ALL");
    expect(await tab.payloadCount(4)).toEqual(["mark", "after", "before", "after"]);
  });

  it("a prefix grants what a script of the page subscribes to", async () => {
    const script = `
      rtm.connect({ url: ${JSON.stringify(world.stack.url)} }).subscribe("room:7", {
        onMessage: (message) => window.seen.messages.push(message),
      });`;
    const tab = await Tab.open(
      world,
      listening({ 2: "lobby, room:*" }, { actions: [{ event: "ready", actions: [{ script }] }] }),
    );
    await tab.subscribed("lobby");
    await world.stack.send("room:8", "e", "another room");
    await world.stack.send("room:7", "e", "this room");
    expect(await tab.payloadCount(1)).toEqual(["this room"]);
    expect(tab.sockets).toBe(1);
  });

  it("events reach the affected elements, the body and the document, once each", async () => {
    const record = `
      window.seen.where = [];
      jQuery("#ORDERS").on("rtm-message", () => window.seen.where.push("region"));
      jQuery("body").on("rtm-message", () => window.seen.where.push("body"));
      jQuery(document).on("rtm_listener_message", () => window.seen.where.push("declared event"));
    `;
    const tab = await Tab.open(world, {
      regions: ["ORDERS"],
      actions: [
        { event: "ready", actions: [{ script: record }] },
        { event: "ready", actions: [{ listener: { 2: "where", 3: "*" }, affected: "#ORDERS" }] },
      ],
    });
    await until(
      "the page listens",
      () => world.stack.service.relay !== undefined && tab.sockets === 1,
    );
    await world.stack.send("where", "e", 1);
    await tab.page.waitForFunction(() => (window.seen.where ?? []).length >= 3);
    expect(await tab.seen("where")).toEqual(["region", "body", "declared event"]);
  });
});

describe("what a message does", () => {
  it("as published: an empty On Message sets the item that the payload names", async () => {
    const tab = await Tab.open(
      world,
      listening({ 2: "published", 5: "" }, { items: ["P10_MESSAGE"] }),
    );
    await tab.subscribed("published");
    await world.stack.send("published", "e", { itemName: "P10_MESSAGE", value: "Hello" });
    await world.stack.send("published", "e", { P10_MESSAGE: "not published behaviour" });
    await tab.payloadCount(2);
    expect(await tab.value("P10_MESSAGE")).toBe("Hello");
  });

  it("sets an item to an empty text, null, a number, and a list", async () => {
    const tab = await Tab.open(world, listening({ 2: "items" }, { items: ["P1_A"] }));
    await tab.subscribed("items");
    const after: string[] = [];
    for (const value of ["x", "", "y", null, 7, false]) {
      await world.stack.send("items", "e", { itemName: "P1_A", value });
      await tab.payloadCount(after.length + 1);
      after.push(await tab.value("P1_A"));
    }
    expect(after).toEqual(["x", "", "y", "", "7", "false"]);
  });

  it("only listed items can be set, and a missing one is reported", async () => {
    const tab = await Tab.open(
      world,
      listening({ 2: "allowed", 5: "ITEMS", 6: "P1_A,P1_GONE" }, { items: ["P1_A", "P1_SECRET"] }),
    );
    await tab.subscribed("allowed");
    await world.stack.send("allowed", "e", { itemName: "P1_SECRET", value: "taken" });
    await world.stack.send("allowed", "e", { P1_A: "a", P1_SECRET: "taken", P1_GONE: "g" });
    await tab.payloadCount(2);
    expect(await tab.value("P1_A")).toBe("a");
    expect(await tab.value("P1_SECRET")).toBe("");
    const debug = (await tab.seen("debug")).join("\n");
    expect(debug).toContain("P1_SECRET");
    expect(debug).toContain("P1_GONE");
  });

  it("event only: the payload's item stays as it is", async () => {
    const tab = await Tab.open(
      world,
      listening({ 2: "event-only", 5: "EVENT" }, { items: ["P1_A"] }),
    );
    await tab.subscribed("event-only");
    await world.stack.send("event-only", "e", { itemName: "P1_A", value: "x" });
    await tab.payloadCount(1);
    expect(await tab.value("P1_A")).toBe("");
  });

  it("items that broadcast their changes do not answer each other for ever", async () => {
    const spec = listening(
      { 2: "echo", 11: "Y" },
      {
        items: ["P1_A"],
        actions: [
          {
            event: "change",
            on: "#P1_A",
            actions: [{ broadcast: { 3: "echo", 4: "changed", 5: "P1_A" } }],
          },
        ],
      },
    );
    const [first, second] = [await Tab.open(world, spec), await Tab.open(world, spec)];
    await first.subscribed("echo");
    await second.subscribed("echo");
    await first.page.fill("#P1_A", "once");
    await first.page.dispatchEvent("#P1_A", "change");
    await second.payloadCount(1);
    expect(await second.value("P1_A")).toBe("once");
    await second.page.fill("#P1_A", "back");
    await second.page.dispatchEvent("#P1_A", "change");
    await first.payloadCount(2);
    await world.stack.send("echo", "end", {});
    await first.payloadCount(3);
    await second.payloadCount(3);
    const values = world.stack.schema.log.filter(({ channel }) => channel === "echo");
    expect(values.map(({ eventName }) => eventName)).toEqual(["changed", "changed", "end"]);
    expect(await first.value("P1_A")).toBe("back");
  });

  it("refreshes a region once per burst of 1,000", async () => {
    const tab = await Tab.open(
      world,
      listening({ 2: "burst", 5: "REFRESH", 7: "ORDERS", 9: "20000" }, { regions: ["ORDERS"] }),
      await withClock(world),
    );
    await tab.subscribed("burst");
    await world.stack.burst("burst", 1_000);
    expect(await tab.payloadCount(1_000)).toEqual(Array.from({ length: 1_000 }, (_, n) => n));
    expect(await tab.seen("refreshes")).toEqual([]);
    await tab.skip(20_000);
    expect(await tab.seen("refreshes")).toEqual(["ORDERS"]);
    await world.stack.send("burst", "row", "last");
    await tab.payloadCount(1_001);
    await tab.skip(20_000);
    expect(await tab.seen("refreshes")).toEqual(["ORDERS", "ORDERS"]);
  });

  it("a page in the background refreshes when it is looked at", async () => {
    const tab = await Tab.open(
      world,
      // The affected region is refreshed when the attribute names none.
      listening(
        { 2: "background" },
        {
          regions: ["ORDERS"],
          actions: [
            {
              event: "ready",
              actions: [
                {
                  listener: { 2: "background", 3: "*", 4: "other", 5: "REFRESH", 9: "1" },
                  affected: "#ORDERS",
                },
              ],
            },
          ],
        },
      ),
    );
    await tab.subscribed("background");
    await tab.visible(false);
    for (let n = 0; n < 3; n++) await world.stack.send("background", "row", n);
    await tab.payloadCount(3);
    await world.stack.send("background", "row", "later");
    await tab.payloadCount(4);
    // A timer that was set later: the refresh that the message asked for has had its turn.
    await tab.page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 20)));
    expect(await tab.seen("refreshes")).toEqual([]);
    await tab.visible(true);
    await tab.page.waitForFunction(() => window.seen.refreshes!.length > 0);
    expect(await tab.seen("refreshes")).toEqual(["ORDERS"]);
  });

  it("markup in a payload stays text, also without a policy", async () => {
    const attack = '<img src=x onerror="window.seen.errors.push(1)">';
    const tab = await Tab.open(
      world,
      listening(
        { 2: "attack", 5: "NOTIFY", 8: "New: #value#", 9: "20" },
        {
          policy: false,
          items: ["P1_A"],
          displayOnly: ["P1_SHOWN"],
          actions: [
            { event: "ready", actions: [{ listener: { 2: "attack", 3: "*", 4: "other-event" } }] },
          ],
        },
      ),
    );
    await tab.subscribed("attack");
    for (const itemName of ["APEX_ERROR_MESSAGE", "P1_A", "P1_SHOWN"]) {
      await world.stack.send("attack", "e", { itemName, value: attack });
    }
    await tab.page.waitForFunction(() => document.querySelectorAll(".rtm-Toast-text").length > 0);
    expect(await tab.page.textContent(".rtm-Toast-text")).toBe(`New: ${attack}`);
    expect(await tab.page.textContent("#P1_SHOWN_DISPLAY")).toBe(attack);
    expect(await tab.value("P1_A")).toBe(attack);
    expect(await tab.page.textContent("#APEX_ERROR_MESSAGE")).toBe("");
    expect(await tab.page.locator("img").count()).toBe(0);
    expect(await tab.problems()).toEqual([]);
  });
});

describe("a message committed between rendering and subscribing", () => {
  it("is replayed by the age of the page", async () => {
    world.site.beforeScript = async () => {
      world.site.beforeScript = async () => {};
      await world.stack.send("early", "e", "before the script ran");
    };
    const tab = await Tab.open(world, listening({ 2: "early" }));
    expect(await tab.payloadCount(1)).toEqual(["before the script ran"]);
  });
});
