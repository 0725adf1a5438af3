/** `rtm demo` as a newcomer sees it: a real process and a real browser. */
import { readFileSync } from "node:fs";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { violations } from "../page/axe.ts";
import { launchBrowser } from "../page/browser.ts";
import { Program, rtmPath } from "../support/programs.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { noteWaves } from "./waves.ts";

/** For what a page shows a moment later, on a machine that may be busy. */
const PATIENT = { timeout: 20_000 };

describe("rtm demo", () => {
  let demo: Program;
  let origin: string;
  let proxy: TcpProxy;
  let browser: Browser;
  let page: Page;
  /** Of another visitor, who comes later. */
  let other: Page;
  const complaints: string[] = [];

  const number = async (id: string) =>
    Number((await page.locator(`#${id}`).innerText()).replace(/[^\d.]/g, ""));
  const orders = () => number("orders");

  beforeAll(async () => {
    demo = new Program(
      process.execPath,
      [rtmPath(), "demo", "--port", "0", "--no-feed"],
      { PATH: process.env.PATH },
      "file",
    );
    [, origin] = (await demo.printed(/apex-rtm demo: (http:[^ ]+)\/demo\//)) as unknown as [
      string,
      string,
    ];
    proxy = await TcpProxy.to(Number(new URL(origin).port));
    browser = await launchBrowser();
    // Without a locale, as under LANG=C, Chromium reports a language that Intl refuses.
    page = await browser.newPage();
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(message.text());
    });
    await page.goto(`http://127.0.0.1:${proxy.port}/demo/`);
    await page.locator('#badge[data-state="connected"]').waitFor();
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    await proxy?.close();
    demo?.kill("SIGTERM");
    expect(await demo?.exited, demo?.output).toBe(0);
  });

  it("shows a committed order, and says that the database is an emulator", async () => {
    expect(await page.locator(".notice").innerText()).toContain("The database here is an emulator");
    await page.click("#insert");
    await page.locator("#log tr").first().waitFor();
    await expect.poll(orders).toBe(1);
    expect(await number("received")).toBe(1);
  });

  it("names its console", async () => {
    const [, url] = await demo.printed(/^ {2}What happens inside, live: (http:\S+\/console\/)$/m);
    expect(await (await fetch(url as string)).text()).toContain("<title>");
  });

  it("never shows an order that was rolled back", async () => {
    await page.click("#rollback");
    await expect.poll(() => number("rolledBack")).toBe(1);
    // A commit after it is the proof that there was time to arrive.
    await page.click("#insert");
    await expect.poll(orders).toBe(2);
    expect(await number("leaked")).toBe(0);
    expect(await number("received")).toBe(2);
  });

  it("shows a burst of 1,000 rows in one transaction, and the latency from commit to page", async () => {
    await page.click("#burst");
    await expect.poll(orders, { timeout: 20_000 }).toBe(1002);
    expect(await number("received")).toBe(1002);
    await expect.poll(() => page.locator("#p50").innerText()).toMatch(/^[\d.]+ ms$/);
    await expect.poll(() => page.locator("#p99").innerText()).toMatch(/^[\d.]+ ms$/);
    expect(await page.locator("#chart canvas").count()).toBe(1);
  });

  it("shows a message of a stranger without taking it for an order", async () => {
    const post = (key: object) =>
      fetch(`${origin}/api/broadcast`, {
        method: "POST",
        headers: { "content-type": "application/json", ...key },
        body: '{"channel":"sales","eventName":"note","payload":{"n":1}}',
      });
    expect((await post({})).status).toBe(401);
    const [, keyFile] = /--key-file (\S+)/.exec(demo.output)!;
    const key = readFileSync(keyFile!, "utf8").trim();
    expect((await post({ "x-api-key": key })).status).toBe(200);
    await page.locator("#log tr", { hasText: '{"n":1}' }).waitFor();
    expect(await orders()).toBe(1002);
    expect(await page.locator("#revenue").innerText()).toMatch(/^€[\d,]+$/);
  });

  it("fills the wall of a page that opens later with the newest total of each region", async () => {
    const euros = (text: string) => Number(text.replace(/[^\d]/g, ""));
    const figures = (of: Page) => of.locator("#tiles .figure").allInnerTexts();
    const sum = async (of: Page) =>
      (await figures(of)).reduce((total, text) => total + euros(text), 0);
    // Nothing is committed meanwhile: what it shows was there before it.
    other = await browser.newPage();
    await other.goto(`${origin}/demo/`);
    // Of what was rolled back there is nothing in any of them.
    const revenue = euros(await page.locator("#revenue").innerText());
    await expect.poll(() => sum(other), PATIENT).toBe(revenue);
    expect(await figures(other)).toHaveLength(4);
    await expect.poll(() => figures(page), PATIENT).toEqual(await figures(other));
  });

  it("shows who is here, under names that are text, and who is away", async () => {
    const people = page.locator("#people li");
    await expect.poll(() => people.count(), PATIENT).toBe(2);
    expect(await page.locator("#people-count").innerText()).toBe("2");
    const evil = "<img src=x onerror=alert(1)>";
    await other.fill("#name", evil);
    await other.click("#rename button");
    const row = page.locator("#people li", { hasText: evil });
    await row.waitFor();
    expect(await page.locator("#people img").count()).toBe(0);
    const turn = (visibility: "hidden" | "visible") =>
      other.evaluate(`
        Object.defineProperty(document, "visibilityState", {
          value: "${visibility}",
          configurable: true,
        });
        document.dispatchEvent(new Event("visibilitychange"));
      `);
    await turn("hidden");
    await row.getByText("away").waitFor();
    await turn("visible");
    await row.getByText("away").waitFor({ state: "detached" });
  });

  it("shows for 3 s that somebody waves, to the others and not to whoever does", async () => {
    const [ofPage, ofOther] = [await noteWaves(page), await noteWaves(other)];
    const news = (of: Page) => of.locator("#people-news");
    await other.clock.install();
    await page.click("#wave");
    await expect.poll(() => news(page).innerText(), PATIENT).toBe("You waved.");
    const me = await page.locator("#people li", { hasText: "you" }).locator("strong").innerText();
    await expect.poll(ofOther, PATIENT).toEqual([`${me} waves. | ${me}`]);
    await other.clock.runFor(3000);
    expect(await other.locator("#people li.waves").count()).toBe(0);
    expect(await news(other).innerText()).toBe("");
    await other.clock.resume();
    // Its name is text here too.
    await other.click("#wave");
    const evil = "<img src=x onerror=alert(1)>";
    await expect.poll(ofPage, PATIENT).toEqual([`${evil} waves. | ${evil}`]);
    expect(await ofOther()).toHaveLength(1);
  });

  it("ends what a visitor may do at once when somebody signs it out, reload or not", async () => {
    // It has taken another name, so it has two tokens: both end.
    const row = page.locator("#people li").nth(1);
    await row.getByRole("button", { name: /^Sign out <img/ }).click();
    await other.locator("#ended").waitFor();
    expect(await other.locator("#wave").isVisible()).toBe(false);
    await other.locator('#badge[data-state="stopped"]').waitFor();
    expect(await other.locator("#people-news").innerText()).toBe("");
    await row.waitFor({ state: "detached" });
    expect(await page.locator("#people-count").innerText()).toBe("1");
    await other.reload();
    await other.locator("#ended").waitFor();
    await other.click("#back");
    await other.locator('#badge[data-state="connected"]').waitFor();
    await other.locator("#people li", { hasText: "you" }).waitFor();
    await other.close();
  });

  it("does nothing for the pages of others", async () => {
    const before = await orders();
    for (const path of ["insert", "sign-out/visitor-1"]) {
      const headers = { "sec-fetch-site": "cross-site" };
      const answer = await fetch(`${origin}/demo/${path}`, { method: "POST", headers });
      expect(answer.status).toBe(403);
    }
    const text = await fetch(`${origin}/demo/visit`, { method: "POST", body: "{}" });
    expect(text.status).toBe(415);
    const state = (await (await fetch(`${origin}/demo/state`)).json()) as { orders: number };
    expect(state.orders).toBe(before);
  });

  it("pauses and resumes the feed", async () => {
    const label = page.locator("#feed");
    expect(await label.innerText()).toBe("Resume the feed");
    await label.click();
    await label.getByText("Pause the feed").waitFor();
    await expect.poll(orders).toBeGreaterThan(1002);
    await label.click();
    await label.getByText("Resume the feed").waitFor();
  });

  it("fills the gap after the connection was cut", async () => {
    proxy.cut();
    await page.locator('#badge:not([data-state="connected"])').waitFor();
    // The page cannot reach the relay, but the database goes on.
    await fetch(`${origin}/demo/insert`, { method: "POST" });
    const state = (await (await fetch(`${origin}/demo/state`)).json()) as { orders: number };
    proxy.restore();
    await expect.poll(orders, { timeout: 45_000 }).toBe(state.orders);
    expect(await number("recoveries")).toBe(1);
  }, 60_000);

  it("goes on over an event stream while WebSockets are blocked, and comes back", async () => {
    const via = () => page.locator("#via").innerText();
    expect(await via()).toBe("a WebSocket");
    const before = await number("refreshes");
    await page.click("#block");
    await expect.poll(via, { timeout: 60_000 }).toBe("an event stream");
    const had = await orders();
    await page.click("#insert");
    await expect.poll(orders).toBe(had + 1);
    // Nothing is sent this way, and the button says so instead of failing.
    const wave = page.locator("#wave");
    expect(await wave.isDisabled()).toBe(true);
    expect(await page.locator("#wave-note").innerText()).toContain("Not without a WebSocket");
    await page.click("#block");
    await expect.poll(via, { timeout: 60_000 }).toBe("a WebSocket");
    expect(await wave.isEnabled()).toBe(true);
    await page.click("#insert");
    await expect.poll(orders).toBe(had + 2);
    expect(await number("refreshes")).toBe(before);
  }, 150_000);

  it.each(["light", "dark"] as const)(
    "has no fault of accessibility that axe finds (%s)",
    async (colorScheme) => {
      await page.emulateMedia({ colorScheme });
      // The chart says in words what it shows.
      await expect
        .poll(() => page.locator("#chart").getAttribute("aria-label"))
        .toMatch(/North €\d.*, West €\d/);
      expect(await violations(page)).toEqual([]);
    },
  );

  it("runs under a strict content security policy without a complaint", () => {
    const unexpected = complaints.filter(
      (text) => !/ERR_CONNECTION|ERR_SOCKET|ERR_EMPTY_RESPONSE|WebSocket/.test(text),
    );
    expect(unexpected).toEqual([]);
  });
});
