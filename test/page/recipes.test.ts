/** The recipes of docs/apex.md, each as it is written there. */
import { readdirSync, readFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { until } from "../support/until.ts";
import { listening, Tab, useWorld, withClock } from "./kit.ts";
import type { Attributes, PageSpec } from "./site.ts";

const world = useWorld();

afterEach(() => {
  world.site.user = "SCOTT";
  world.site.session = undefined;
  world.site.alive = true;
  world.site.state.clear();
  world.site.refused.clear();
  world.site.mute.clear();
  world.site.region = () => "";
});

function open(user: string, spec: PageSpec, tab?: Tab): Promise<Tab> {
  world.site.user = user;
  return Tab.open(world, spec, tab?.page.context());
}

/** With a record of what the page hears. */
function heard(attributes: Attributes, more: Partial<PageSpec> = {}): PageSpec {
  return listening(attributes, more);
}

const toasts = (tab: Tab) => tab.page.locator(".rtm-Toast-text").allTextContents();
const shows = (tab: Tab, ...texts: string[]) =>
  until(`the page shows ${texts}`, async () => (await toasts(tab)).join() === texts.join());

/** A call of WEBSOCKET_API in a transaction of its own. */
const call = (
  procedure: "broadcast" | "broadcast_user",
  to: string,
  event: string,
  payload: object,
) =>
  world.stack.run(`begin websocket_api.${procedure}(:receiver, :event_name, :payload); end;`, {
    receiver: to,
    event_name: event,
    payload: JSON.stringify(payload),
  });

it("every recipe has a page test", () => {
  const page = readFileSync("docs/apex.md", "utf8");
  const [, recipes = ""] = /^## Recipes$([\s\S]*?)^## /m.exec(page) ?? [];
  const names = [...recipes.matchAll(/^### (.+)$/gm)].map(([, name]) => name!);
  expect(names.length).toBeGreaterThan(8);
  const others = ["Hello, step by step", "Who is here: the presence region"];
  for (const name of others) expect(page).toContain(`\n## ${name}\n`);
  const tests = readdirSync("test/page")
    .filter((file) => file.endsWith(".test.ts"))
    .map((file) => readFileSync(`test/page/${file}`, "utf8"))
    .join("\n");
  const run = new Set([...tests.matchAll(/describe\("recipe: ([^"]+)"/g)].map(([, name]) => name));
  expect([...run].sort()).toEqual([...names, ...others].sort());
});

describe("recipe: Hello, step by step", () => {
  it("what one page sends appears in the other; from SQL too, after the commit", async () => {
    const spec = heard(
      { 2: "test", 3: "ping", 4: "rtm-message", 5: "ITEMS", 6: "P10_MESSAGE" },
      {
        items: ["P10_MESSAGE"],
        buttons: ["SEND_HELLO"],
        actions: [
          {
            event: "click",
            on: "#SEND_HELLO",
            actions: [{ broadcast: { 3: "test", 4: "ping", 5: "P10_MESSAGE" } }],
          },
        ],
      },
    );
    const one = await open("SCOTT", spec);
    const other = await open("KING", spec);
    for (const tab of [one, other]) await tab.subscribed("test");
    await one.page.fill("#P10_MESSAGE", "Hello");
    await one.page.click("#SEND_HELLO");
    await until("it is there", async () => (await other.value("P10_MESSAGE")) === "Hello");
    const hello = (value: string) => ({
      channel: "test",
      eventName: "ping",
      payload: { itemName: "P10_MESSAGE", value },
    });
    await world.stack.transaction([hello("rolled back")], false);
    await world.stack.transaction([hello("Hello from SQL")]);
    await until("it is there", async () => (await other.value("P10_MESSAGE")) === "Hello from SQL");
    expect(await other.payloads()).toHaveLength(2);
  });
});

describe("recipe: Rooms", () => {
  it("a page hears its room only, and whom the function refuses hears nothing", async () => {
    const spec = heard(
      { 2: "room:&P10_ROOM.", 3: "*" },
      {
        buttons: ["SEND"],
        actions: [
          {
            event: "click",
            on: "#SEND",
            actions: [{ broadcast: { 3: "room:&P10_ROOM.", 4: "said", 7: "JSON", 9: '{"n": 1}' } }],
          },
        ],
      },
    );
    world.site.state.set("P10_ROOM", "8");
    const eight = await open("KING", spec);
    await eight.subscribed("room:8");
    world.site.state.set("P10_ROOM", "7");
    const seven = await open("SCOTT", spec);
    await seven.subscribed("room:7");
    await seven.page.click("#SEND");
    expect(await seven.payloadCount(1)).toEqual([{ n: 1 }]);
    await world.stack.send("room:8", "said", { n: 2 });
    expect(await eight.payloadCount(1)).toEqual([{ n: 2 }]);
    world.site.refused.add("room:7");
    const refused = await open("ADAMS", spec);
    await refused.sees("statuses", { state: "stopped", code: "configuration" });
    world.site.state.clear();
    const empty = await open("ADAMS", spec);
    await empty.sees("statuses", { state: "stopped", code: "configuration" });
  });

  it("a script follows rooms of a prefix with the listener's socket and rights", async () => {
    const tab = await open(
      "SCOTT",
      heard(
        { 2: "lobby, room:*" },
        {
          body: '<p id="room-7"></p>',
          actions: [
            {
              event: "ready",
              actions: [
                {
                  script: `rtm.connect({ url: "${world.stack.url}" }).subscribe("room:7", {
                    onMessage(message) {
                      document.getElementById("room-7").textContent = message.payload.text;
                    },
                  });`,
                },
              ],
            },
          ],
        },
      ),
    );
    await tab.subscribed("lobby");
    await world.stack.send("room:7", "said", { text: "<b>hello</b>" });
    await until(
      "it is text",
      async () => (await tab.page.textContent("#room-7")) === "<b>hello</b>",
    );
    expect(tab.sockets).toBe(1);
  });
});

describe("recipe: Logout", () => {
  it("a tab that is left open hears nothing any more; other sessions do", async () => {
    const spec = heard({ 2: "news" });
    world.site.session = 1;
    const left = await open("SCOTT", spec);
    world.site.session = 2;
    const other = await open("SCOTT", spec);
    for (const tab of [left, other]) await tab.subscribed("news");
    world.site.alive = false;
    await world.stack.run("begin websocket_api.revoke_session(:id); end;", { id: 1 });
    await left.sees("statuses", { state: "token", channel: "news", code: "closed with 4103" });
    await world.stack.send("news", "e", 1);
    await other.payloadCount(1);
    expect(await left.payloads()).toEqual([]);
  });
});

describe("recipe: One user", () => {
  it("the message appears in the pages of that user, whatever the case of the name", async () => {
    const spec = heard({ 2: "#USER#", 3: "approval", 5: "NOTIFY" });
    const scott = await open("SCOTT", spec);
    const king = await open("KING", spec);
    await scott.subscribed("user:SCOTT");
    await king.subscribed("user:KING");
    await call("broadcast_user", "scott", "approval", { message: "Order 42 was approved" });
    await shows(scott, "Order 42 was approved");
    expect(await king.payloads()).toEqual([]);
    const nobody = await open("nobody", spec);
    await nobody.sees("statuses", { state: "stopped", code: "configuration" });
  });
});

describe("recipe: A region that is always up to date", () => {
  it("is refreshed when something changed", async () => {
    let customers = "one";
    world.site.region = () => customers;
    const tab = await open(
      "SCOTT",
      heard({ 2: "customers", 5: "REFRESH", 7: "customers" }, { regions: ["customers"] }),
    );
    await tab.subscribed("customers");
    customers = "two";
    await world.stack.send("customers", "changed", { id: 7 });
    await until("it is new", async () => (await tab.page.textContent("#customers")) === "two");
  });
});

describe("recipe: A bell on every page", () => {
  it("counts in all tabs, is read in all of them, and one tab shows the toast", async () => {
    const spec = heard(
      { 2: "#USER#", 5: "BADGE", 15: '{"badge": "BELL", "clear": "bell-read"}' },
      {
        body: '<nav><a id="BELL" href="#" data-rtm-count="&UNREAD.">Messages</a></nav>',
        actions: [
          { event: "ready", actions: [{ listener: { 2: "#USER#", 3: "*", 5: "NOTIFY" } }] },
          {
            event: "click",
            on: "#BELL",
            actions: [{ script: 'apex.event.trigger(document, "bell-read", {});' }],
          },
        ],
      },
    );
    world.site.state.set("UNREAD", "2");
    // What was sent just before a page was opened comes too: the database has counted it already.
    await call("broadcast_user", "BLAKE", "note", { message: "Stock is fine", count: 2 });
    const front = await open("BLAKE", spec);
    const back = await open("BLAKE", spec, front);
    for (const tab of [front, back]) await tab.payloadCount(1);
    await back.visible(false);
    const badge = (tab: Tab) => tab.page.locator("#BELL .rtm-Badge").allTextContents();
    expect(await badge(front)).toEqual(["2 2 new"]);
    await call("broadcast_user", "BLAKE", "note", { message: "Stock is low", count: 3 });
    for (const tab of [front, back]) {
      await until("the bell counts", async () => (await badge(tab)).join() === "3 3 new");
    }
    await shows(front, "Stock is fine", "Stock is low");
    await front.page.click("#BELL");
    for (const tab of [front, back]) {
      await until("it is read", async () => (await badge(tab)).length === 0);
    }
    await back.visible(true);
    expect(await toasts(back)).not.toContain("Stock is low");
  });
});

describe("recipe: A job is done", () => {
  it("the user is told, and the history is refreshed", async () => {
    let history = "running";
    world.site.region = () => history;
    const tab = await open(
      "SCOTT",
      heard(
        { 2: "job:rebuild", 3: "done", 5: "NOTIFY" },
        {
          regions: ["HISTORY"],
          actions: [
            {
              event: "rtm-message",
              actions: [{ script: 'apex.region("HISTORY").refresh();' }],
            },
          ],
        },
      ),
    );
    await tab.subscribed("job:rebuild");
    history = "done";
    await call("broadcast", "job:rebuild", "done", { message: "The statistics are rebuilt" });
    await shows(tab, "The statistics are rebuilt");
    await until("it is new", async () => (await tab.page.textContent("#HISTORY")) === "done");
  });
});

describe("recipe: Chat", () => {
  const rows: string[] = [];
  /** Stands for Execute Server-side Code with Wait for Result. */
  const INSERT = `const { resumeCallback } = this;
    window.insertMessage(apex.item("P30_TEXT").getValue()).then(() => apex.da.resume(resumeCallback, false));`;
  const WHO = `const line = document.getElementById("TYPING");
    line.textContent = this.data.payload.who + " is typing";
    clearTimeout(window.typing);
    window.typing = setTimeout(() => { line.textContent = ""; }, 4000);`;

  const chat: PageSpec = heard(
    { 2: "room:&P30_ROOM.", 3: "message", 5: "REFRESH", 7: "messages" },
    {
      items: ["P30_TEXT"],
      buttons: ["SEND"],
      regions: ["messages"],
      body: '<p id="TYPING"></p>',
      actions: [
        {
          event: "click",
          on: "#SEND",
          actions: [
            { script: INSERT, wait: true },
            { broadcast: { 3: "room:&P30_ROOM.", 4: "message", 7: "JSON", 9: "{}" } },
            { script: 'apex.item("P30_TEXT").setValue("");' },
          ],
        },
        {
          event: "keypress",
          on: "#P30_TEXT",
          actions: [
            {
              broadcast: {
                3: "room:&P30_ROOM.",
                4: "typing",
                7: "SCRIPT",
                10: "({who: apex.env.APP_USER})",
                12: "3000",
                13: "Y",
              },
            },
          ],
        },
        {
          event: "ready",
          actions: [
            {
              listener: {
                2: "room:&P30_ROOM.",
                3: "typing",
                4: "typing",
                5: "EVENT",
                13: "OTHERS:NOW",
              },
            },
          ],
        },
        { event: "typing", actions: [{ script: WHO }] },
      ],
    },
  );

  it("what one says the others read, through the region's own escaping; who types is seen by others", async () => {
    world.site.state.set("P30_ROOM", "30");
    world.site.region = () => rows.map((row) => `<p>${row.replaceAll("<", "&lt;")}</p>`).join("");
    const scott = await open("SCOTT", chat);
    const king = await open("KING", chat);
    for (const tab of [scott, king]) {
      await tab.page.exposeFunction("insertMessage", (text: string) => {
        rows.push(text);
      });
      await tab.subscribed("room:30");
    }
    await scott.page.type("#P30_TEXT", "<i>Hi</i>");
    await until(
      "it is seen",
      async () => (await king.page.textContent("#TYPING")) === "SCOTT is typing",
    );
    expect(await scott.page.textContent("#TYPING")).toBe("");
    await scott.page.click("#SEND");
    for (const tab of [scott, king]) {
      await until(
        "it is read",
        async () => (await tab.page.textContent("#messages")) === "<i>Hi</i>",
      );
    }
    expect(await scott.value("P30_TEXT")).toBe("");
    const typed = world.stack.schema.log.filter(({ eventName }) => eventName === "typing");
    expect(typed.length).toBeGreaterThan(0);
    // One for the word, not one for each key.
    expect(typed.length).toBeLessThan(9);
  });
});

describe("recipe: Who is typing", () => {
  const INPUT = `const room = "room:" + apex.item("P30_ROOM").getValue();
    if (Date.now() - (window.typedAt ?? 0) > 2000) {
      window.typedAt = Date.now();
      rtm.publish(room, "client:typing", { typing: true });
    }`;
  const SHOW = `const line = document.getElementById("TYPING");
    const { eventName, from } = this.data;
    if (eventName === "client:typing") {
      line.textContent = from.user + " is typing…";
      clearTimeout(window.typing);
      window.typing = setTimeout(() => { line.textContent = ""; }, 3000);
    }`;
  const spec = (options: string): PageSpec =>
    heard(
      { 2: "room:&P30_ROOM.", 3: "message, client:typing", 13: options },
      {
        items: ["P30_ROOM", "P30_TEXT"],
        body: '<p id="TYPING"></p>',
        actions: [
          {
            event: "ready",
            actions: [{ script: 'apex.item("P30_ROOM").setValue("31"); window.seen.events = [];' }],
          },
          { event: "input", on: "#P30_TEXT", actions: [{ script: INPUT }] },
          {
            event: "rtm_listener_event",
            actions: [{ script: `window.seen.events.push(this.data); ${SHOW}` }],
          },
        ],
      },
    );
  const line = (tab: Tab) => tab.page.textContent("#TYPING");

  it("others see who types, by the name of the token; the typist does not, and no row is written", async () => {
    world.site.state.set("P30_ROOM", "31");
    const scott = await open("SCOTT", spec("EVENTS"));
    world.site.user = "KING";
    const king = await Tab.open(world, spec(""), await withClock(world));
    for (const tab of [scott, king]) await tab.subscribed("room:31");
    const rows = world.stack.schema.log.length;
    await scott.page.type("#P30_TEXT", "Hello Anna");
    await until("it is seen", async () => (await line(king)) === "SCOTT is typing…");
    expect(await line(scott)).toBe("");
    const [first] = await king.seen("events");
    expect(first).toMatchObject({
      channel: "room:31",
      eventName: "client:typing",
      payload: { typing: true },
      from: { user: "SCOTT", conn: expect.any(String) },
      ts: expect.any(Number),
    });
    await world.stack.send("room:31", "message", { text: "Hello" });
    // The message is one, the events are none.
    for (const tab of [scott, king]) expect(await tab.payloadCount(1)).toEqual([{ text: "Hello" }]);
    expect(world.stack.schema.log.length).toBe(rows + 1);
    expect(await scott.seen("events")).toEqual([]);
    await king.skip(3000);
    expect(await line(king)).toBe("");
    expect(await scott.problems()).toEqual([]);
  });

  it("denied without the option, and where the function says no to SEND; the page goes on", async () => {
    world.site.state.set("P30_ROOM", "32");
    const king = await open("KING", spec(""));
    world.site.mute.add("room:32");
    const scott = await open("SCOTT", spec("EVENTS"));
    for (const tab of [scott, king]) {
      await tab.subscribed("room:32");
      const code = await tab.page.evaluate(
        'rtm.publish("room:32", "client:typing").catch(({ code }) => code)',
      );
      expect(code).toBe("publish_forbidden");
    }
    await world.stack.send("room:32", "message", 1);
    for (const tab of [scott, king]) {
      expect(await tab.payloadCount(1)).toEqual([1]);
      expect(await tab.seen("events")).toEqual([]);
      expect(tab.sockets).toBe(1);
    }
  });
});
