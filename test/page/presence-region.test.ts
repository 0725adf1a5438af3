/** The region "Real-Time Messaging - Presence", in real browsers. */
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { signJwt } from "../../relay/access/jwt.ts";
import { until } from "../support/until.ts";
import { violations } from "./axe.ts";
import { Tab, useWorld } from "./kit.ts";
import type { Attributes, PageSpec } from "./site.ts";
import { SECRET } from "./stack.ts";

const world = useWorld();
const guests: WebSocket[] = [];

beforeEach(() => {
  world.site.presenceFunction = true;
  world.site.refused.clear();
  world.site.state.clear();
  world.site.file("/lazy.css", "body:not(.shown) #PEOPLE { display: none }");
});
afterEach(async () => {
  for (const guest of guests.splice(0)) guest.terminate();
});

const RECORD = `
  window.seen.presence = [];
  for (const event of ["joined", "left", "locked", "unlocked"]) {
    jQuery(document).on("rtm_presence_" + event, ({ target }, { channel, user, name, count }) =>
      window.seen.presence.push({ event, on: target.id, channel, user, name, ...(count ? { count } : {}) }));
  }
`;

function page(attributes: Attributes, more: Partial<PageSpec> = {}): PageSpec {
  return {
    presence: attributes,
    actions: [{ event: "ready", actions: [{ script: RECORD }] }],
    ...more,
  };
}

function open(user: string, attributes: Attributes, more: Partial<PageSpec> = {}): Promise<Tab> {
  world.site.user = user;
  return Tab.open(world, page(attributes, more));
}

const people = (tab: Tab) => tab.page.locator(".rtm-Presence-person").allInnerTexts();
const words = (tab: Tab) =>
  tab.page.locator(".rtm-Presence-person > span:last-child").allTextContents();
const shows = (tab: Tab, ...names: string[]) =>
  until(`the region shows ${names}`, async () => (await words(tab)).join() === names.join());

/** Somebody who has no browser here. */
async function guest(
  channel: string,
  user: string,
  info: object,
  here = false,
): Promise<WebSocket> {
  const iat = Math.floor(Date.now() / 1000);
  const channels = here ? [channel, `${channel}~here`] : [channel];
  const presence = { join: channels, watch: [], info };
  const token = signJwt(
    { kid: "k1" },
    { sub: user, channels, presence, iat, exp: iat + 600 },
    Buffer.from(SECRET),
  );
  const socket = new WebSocket(world.stack.url, "rtm.v1", { origin: world.site.origin });
  guests.push(socket);
  await once(socket, "open");
  const subscribe = channels.map((name) => ({ channel: name, presence: { join: true } }));
  socket.send(JSON.stringify({ op: "connect", token, subscribe }));
  return socket;
}

const NAMED = { 1: "row:&P10_ID.", 4: "NAMES" };

describe("recipe: Who is here: the presence region", () => {
  it("two users see each other come and go; names are text, whatever they look like", async () => {
    world.site.state.set("P10_ID", "7");
    const attack = "<img src=x onerror=alert(1)>";
    const ada = await open("ADA", { ...NAMED, 2: "Ada Lovelace" });
    await until("she is told that she is alone", async () =>
      (await ada.page.textContent(".rtm-Presence"))!.includes("Nobody else is here"),
    );
    const king = await open("KING", { ...NAMED, 2: attack });
    await shows(ada, attack);
    await shows(king, "Ada Lovelace");
    await ada.sees("presence", {
      event: "joined",
      on: "PEOPLE",
      user: "KING",
      name: attack,
      count: 2,
    });
    await until(
      "it is read out",
      async () => (await ada.page.textContent("span[role=status]")) === `${attack} has come`,
    );
    expect(await king.seen("presence")).toEqual([]);
    expect(await ada.page.locator(".rtm-Presence img").count()).toBe(0);
    await king.page.close();
    await shows(ada);
    await ada.sees("presence", { event: "left", user: "KING", count: 1 });
    expect(await ada.problems()).toEqual([]);
  });

  it("of many a few are shown and the others counted; a picture that cannot be loaded is initials", async () => {
    for (const n of [1, 2, 3, 4, 5]) {
      await guest("row:many", `U${n}`, {
        name: `User Number${n}`,
        since: 1_000 + n,
        ...(n === 1 ? { image: "/nowhere.png" } : n === 2 ? { image: "javascript:alert(1)" } : {}),
      });
    }
    const tab = await open("ADA", { 1: "row:many", 5: "3", 9: "MYSELF" });
    await shows(tab, "User Number1", "User Number2", "User Number3");
    expect(await tab.page.textContent(".rtm-Presence-more")).toBe("+33 more");
    await until(
      "initials are shown",
      async () =>
        (await tab.page.locator(".rtm-Presence-avatar").allTextContents()).join() === "UN,UN,UN,+3",
    );
    const number = await open("KING", {
      1: "row:many",
      4: "NUMBER",
      12: '{"count": "#count# da"}',
    });
    await until(
      "the number is shown",
      async () => (await number.page.textContent(".rtm-Presence-note")) === "6 da",
    );
  });

  it("whoever has the page in the background is away", async () => {
    const away = { 1: "row:away", 9: "AWAY", 12: '{"awaySeconds": 0}' };
    const ada = await open("ADA", away);
    const king = await open("KING", away);
    await shows(ada, "KING");
    await king.visible(false);
    await shows(ada, "KING, away");
    await king.visible(true);
    await shows(ada, "KING");
    expect(await ada.seen("presence")).toHaveLength(1);
    expect(await king.problems()).toEqual([]);
  });

  it("a refresh of the region asks the server for the channel of now", async () => {
    world.site.state.set("P10_ID", "1");
    await guest("row:1", "ONE", { since: 1 });
    await guest("row:2", "TWO", { since: 1 });
    const tab = await open("ADA", NAMED, { items: ["P10_ID"] });
    await shows(tab, "ONE");
    await tab.page.fill("#P10_ID", "2");
    await tab.page.evaluate(`
      jQuery("#PEOPLE").on("apexafterrefresh", () => window.seen.actions.push("refreshed"));
      apex.region("PEOPLE").refresh();
    `);
    await shows(tab, "TWO");
    expect(await tab.seen("actions")).toContain("refreshed");
    expect(await tab.seen("presence")).toEqual([]);
  });
});

describe("who may see whom", () => {
  const silent = async (attributes: Attributes, reason: string) => {
    const tab = await open("ADA", attributes);
    await until("it is in the debug log", async () =>
      (await tab.seen("debug")).join().includes(reason),
    );
    expect(await tab.page.locator("#rtm_presence_1").isVisible()).toBe(false);
    expect(tab.sockets).toBe(0);
    expect(await tab.page.content()).not.toContain("eyJ");
  };

  it("nobody, unless the settings of the component name a function or the region says so", async () => {
    world.site.presenceFunction = false;
    await silent({ 1: "row:closed" }, "Access: name an Authorization Function");
    await guest("row:open", "KING", { since: 1 });
    const tab = await open("ADA", { 1: "row:open", 6: "PAGE" });
    await shows(tab, "KING");
  });

  it("not those whom the function refuses", async () => {
    world.site.refused.add("row:secret");
    await silent({ 1: "row:secret" }, "you may not see");
  });

  it("an empty item is no channel", () => silent({ 1: "row:&P10_ID." }, "Channel"));
});

describe("a region that cannot tell, or not yet", () => {
  it("a record without an id shows nobody until a refresh finds one; then it is a region like others", async () => {
    await guest("row:9", "ONE", { since: 1 });
    const tab = await open("ADA", NAMED, { items: ["P10_ID"] });
    await until("it is in the debug log", async () =>
      (await tab.seen("debug")).join().includes("Channel"),
    );
    await tab.page.fill("#P10_ID", "9");
    await tab.page.evaluate('void apex.region("PEOPLE").refresh()');
    await shows(tab, "ONE");
    expect(await tab.problems()).toEqual([]);
  });

  it("refreshed before it comes into view it is one visit, which ends with the next refresh", async () => {
    world.site.state.set("P10_ID", "L1");
    const watcher = await open("KING", { 1: "row:L1", 4: "NAMES" });
    const tab = await open(
      "ADA",
      { ...NAMED, 9: "LAZY" },
      { items: ["P10_ID"], head: '<link rel="stylesheet" href="/lazy.css">' },
    );
    await tab.page.fill("#P10_ID", "L1");
    await tab.page.evaluate('apex.region("PEOPLE").refresh()');
    await tab.page.evaluate("document.body.classList.add('shown')");
    await shows(watcher, "ADA");
    await tab.page.fill("#P10_ID", "L2");
    await tab.page.evaluate('apex.region("PEOPLE").refresh()');
    // Of two visits one would stay.
    await shows(watcher);
    expect(await tab.problems()).toEqual([]);
  });

  it("nobody is said to be alone where the relay does not tell who is there", async () => {
    const tab = await open("ADA", { 1: "unruled:1", 4: "NAMES", 6: "PAGE" });
    await until("it is in the debug log", async () =>
      (await tab.seen("debug")).join().includes("presence refused"),
    );
    await until(
      "it is offline",
      async () => (await tab.page.getAttribute(".rtm-Presence", "data-state")) === "offline",
    );
    expect((await tab.page.textContent(".rtm-Presence"))!.trim()).toBe("");
  });
});

describe("the record lock hint", () => {
  it("tells who came first, since when, until he leaves", async () => {
    const lock = { 1: "row:lock", 7: "Y", 2: "&APP_USER." };
    const since = Math.floor(Date.now() / 1000) - 3600;
    const first = await guest("row:lock", "ADA", { name: "Ada", since, edits: true });
    const tab = await open("KING", lock);
    const time = await tab.page.evaluate(
      (s) => new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit" }).format(s * 1000),
      since,
    );
    await until("it is told", async () =>
      (await tab.page.textContent(".rtm-Presence-lock"))!.startsWith("Ada edits this record since"),
    );
    expect(await tab.page.textContent(".rtm-Presence-lock")).toContain(time);
    await tab.sees("presence", { event: "locked", user: "ADA", name: "Ada" });
    // Whoever comes later waits, and changes nothing for the others.
    await guest("row:lock", "ZOE", { name: "Zoe", since: since + 7200, edits: true });
    await shows(tab, "Ada", "Zoe");
    first.send(JSON.stringify({ op: "unsubscribe", channels: ["row:lock"] }));
    await tab.sees("presence", { event: "unlocked", user: "ADA" });
    expect(await tab.page.textContent(".rtm-Presence-lock")).toBe("");
  });
});

const THEMES = {
  light: `:root { --ut-component-background-color: #fff; --ut-component-text-default-color: #262626;
    --ut-component-border-color: #d0d0d0 } body { background: #f7f7f7; color: #262626 }`,
  dark: `:root { color-scheme: dark; --ut-component-background-color: #2b2b2b;
    --ut-component-text-default-color: #f2f2f2; --ut-component-border-color: #5a5a5a }
    body { background: #1f1f1f; color: #f2f2f2 }`,
} as const;

describe("looks", () => {
  it.each([
    ["light", 640],
    ["dark", 360],
  ] as const)("no serious fault of accessibility (%s, %i px wide)", async (theme, width) => {
    const channel = `row:looks-${theme}`;
    world.site.file(
      `/people-${theme}.css`,
      `${THEMES[theme]} body { font-family: Arial, sans-serif }`,
    );
    const names = [
      "Ada Lovelace",
      "Grace Hopper",
      "Edgar Codd",
      "Larry",
      "Jim Gray",
      "A very long name of somebody indeed",
    ];
    for (const [n, name] of names.entries()) {
      const info = { name, since: 1_764_150_000 + n, edits: true };
      await guest(channel, `U${n}`, info, n !== 1);
    }
    world.site.user = "KING";
    const tab = await Tab.open(
      world,
      page(
        {
          1: channel,
          4: theme === "light" ? "AVATARS" : "NAMES",
          5: "5",
          7: "Y",
          9: "AWAY:MYSELF",
        },
        {
          head: `<link rel="stylesheet" href="/people-${theme}.css">`,
          body: "<main><h1>Order 42</h1></main>",
        },
      ),
      await world.browser.newContext({ viewport: { width, height: 420 } }),
    );
    await until("five are shown", async () => (await people(tab)).length === 5);
    await until("one is away", async () => {
      const away = (await words(tab)).filter((text) => text.endsWith("away"));
      return away.join() === "Grace Hopper, away";
    });
    if (process.env.RTM_SCREENSHOTS !== undefined) {
      await tab.page.screenshot({ path: `docs/images/presence-${theme}.png` });
    }
    const wide = await tab.page.evaluate(() => document.documentElement.scrollWidth);
    expect(wide).toBeLessThanOrEqual(width);
    const found = await violations(tab.page);
    expect(found.filter((text) => /^(serious|critical)/.test(text))).toEqual([]);
    expect(found.filter((text) => text.includes("rtm-"))).toEqual([]);
  });
});
