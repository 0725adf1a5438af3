/** The console in a real browser: what it shows, who it lets in, and that it can be used by everybody. */
import { randomBytes, randomUUID } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { createLogger } from "../../common/logger.ts";
import { look, type Started, startWithConsole } from "../cli/console-support.ts";
import { built } from "../support/build.ts";
import { temporaryDirectory } from "../support/programs.ts";
import { until } from "../support/until.ts";
import { launchBrowser } from "./browser.ts";

let browser: Browser;
beforeAll(async () => {
  built("cli/console/page/page.js");
  browser = await launchBrowser();
}, 120_000);
afterAll(() => browser?.close());

/** The console's page, and everything that its browser complained about. */
async function open(
  { port }: Started,
  options: BrowserContextOptions = {},
): Promise<{ page: Page; complaints: string[] }> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (line) => {
    if (line.type() === "error") complaints.push(line.text());
  });
  await page.goto(`http://127.0.0.1:${port}/console/`);
  return { page, complaints };
}

const text = (page: Page, selector: string) => page.locator(selector).innerText();

const SOURCE = { name: "queue:RTM.TEST" };

function message(channel: string, payload: unknown, eventName = "event") {
  const id = randomUUID();
  return { channel, eventName, payload: JSON.stringify(payload), id, ts: Date.now() };
}

async function publish({ service }: Started, channel: string, from: number, to = from) {
  const batch = Array.from({ length: to - from + 1 }, (_unused, n) =>
    message(channel, { n: from + n }),
  );
  await service.relay!.publisher.publish(batch, SOURCE);
}

it("shows queues, rates, channels and latencies as they change", async () => {
  const started = await startWithConsole();
  const { page, complaints } = await open(started);
  await page.waitForSelector("#badge[data-state=connected]");
  expect(await text(page, "#subject")).toContain("serve");
  expect(await text(page, "#conditions")).toContain("insecure");
  await started.world.publish(1, 40, "sales");
  await page.waitForSelector("#channels td:text('sales')");
  await until("the rate is above zero", async () => Number(await text(page, "#accepted")) > 0);
  await until(
    "the queue's messages are settled",
    async () =>
      /RTM_QUEUE\s+active/.test(await text(page, "#queues")) &&
      /\b40\b/.test(await text(page, "#queues")),
  );
  for (const leg of ["dequeue", "write"]) {
    await until(`${leg} is measured`, async () =>
      (await text(page, `#${leg}Latency`)).includes("40 messages"),
    );
  }
  const kept = { ...message("wall", { n: 1 }), retain: 3600 };
  await started.service.relay!.publisher.publish([kept], SOURCE);
  // One message: in the history, and as a last value.
  await until("its last value is shown", async () =>
    /\bwall\s.*\b1, (\d+ B)\s+1, \1/.test(await text(page, "#channels")),
  );
  // What a picture shows is said too.
  const label = () => page.locator("#heatCanvas").getAttribute("aria-label");
  expect(await label()).toMatch(/^Call to worker, heat map: half within /);
  await page.locator("text=Relay to sockets >> nth=0").click();
  await until("the other leg is shown", async () =>
    /^Relay to sockets/.test((await label()) ?? ""),
  );
  const drawn = await page.evaluate(() => {
    const canvas = document.querySelector<HTMLCanvasElement>("#heatCanvas")!;
    const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
    return data.some((value) => value > 0);
  });
  expect(drawn).toBe(true);
  expect(await page.locator("#acceptedChart").getAttribute("aria-label")).toMatch(/highest \d/);
  expect(complaints).toEqual([]);
});

it("of a relay alone shows the relay's part, and where the other one is", async () => {
  const started = await startWithConsole({ roles: { worker: false } });
  const { page, complaints } = await open(started);
  await page.waitForSelector("#badge[data-state=connected]");
  const label = () => page.locator("#heatCanvas").getAttribute("aria-label");
  await until("the picture is the relay's", async () =>
    /^Relay to sockets, heat map/.test((await label()) ?? ""),
  );
  expect(await text(page, "#legsNote")).toContain("is in the console of rtm worker");
  for (const part of ["legs", "dequeueFigure", "backlogTile", "queuesPanel"]) {
    expect([part, await page.locator(`#${part}`).isVisible()]).toEqual([part, false]);
  }
  expect(await page.locator("#deliveredTile").isVisible()).toBe(true);
  expect(complaints).toEqual([]);
});

it("names of others stay text, wherever they come from", async () => {
  const started = await startWithConsole({ console: { payloads: true } });
  const evil = `<img src=x onerror="window.hacked=1">`;
  const attack = `"><script>window.hacked=1</script>${evil}`;
  const { page, complaints } = await open(started);
  await started.service.relay!.publisher.publish([message(attack, { text: evil }, evil)], SOURCE);
  createLogger("warn", { write: () => {} }).warn({ reason: attack, component: evil }, evil);
  await page.waitForSelector("#channels button");
  await page.locator("#channels button").click();
  await page.locator("#tailRows td", { hasText: '{"text"' }).waitFor();
  await page.waitForSelector("#warnings td.code");
  expect(await page.locator("#channels td").first().innerText()).toBe(attack);
  expect(await page.locator("#tailState").innerText()).toContain(attack);
  expect(await page.locator("#warnings").innerText()).toContain("onerror");
  expect(
    await page.evaluate(() => document.querySelectorAll("img, main script, iframe").length),
  ).toBe(0);
  expect(await page.evaluate(() => (window as { hacked?: number }).hacked)).toBeUndefined();
  // What turns the direction of text around is written out, and the channel is found all the same.
  const turned = "sales\u202egnp.exe";
  const seen = turned.replace("\u202e", "\\u202e");
  await started.service.relay!.publisher.publish([message(turned, turned, turned)], SOURCE);
  await page.getByRole("button", { name: `Follow ${seen}` }).click();
  await page.locator("#tailRows td", { hasText: seen }).first().waitFor();
  expect(await text(page, "#tailState")).toContain(`following ${seen}`);
  expect(await page.locator("#channels").innerText()).toContain(seen);
  expect(await page.evaluate(() => document.body.innerText)).not.toContain("\u202e");
  // Whoever found a way to write HTML would be stopped by the policy.
  const written = await page.evaluate(() => {
    try {
      document.querySelector("#subject")!.innerHTML = "<b>x</b>";
      return "written";
    } catch (error) {
      return (error as Error).name;
    }
  });
  expect(written).toBe("TypeError");
  const inline = await page.evaluate(() => {
    const script = document.createElement("script");
    try {
      script.textContent = "window.hacked = 1";
      document.body.append(script);
    } catch {
      // As it should be.
    }
    return (window as { hacked?: number }).hacked;
  });
  expect(inline).toBeUndefined();
  // Only what this test provoked itself.
  expect(
    complaints.filter((line) => !/Content Security Policy|TrustedHTML|TrustedScript/i.test(line)),
  ).toEqual([]);
});

it("is used by keys alone, and a refreshed table does not lose the focus", async () => {
  const started = await startWithConsole();
  await publish(started, "alpha", 1, 3);
  await publish(started, "beta", 1, 2);
  const { page } = await open(started);
  await page.waitForSelector("#channels button");
  const follow = page.locator('button[aria-label="Follow beta"]');
  await follow.focus();
  // The busiest comes first, so the rows change places.
  await publish(started, "beta", 3, 60);
  await page.waitForFunction(
    () => document.querySelector("#channels tbody td")?.textContent === "beta",
  );
  expect(await page.evaluate(() => document.activeElement?.getAttribute("aria-label"))).toBe(
    "Follow beta",
  );
  await page.keyboard.press("Enter");
  await page.waitForFunction(
    () => document.querySelectorAll("#tailRows tbody tr:not([hidden])").length > 5,
  );
  expect(await text(page, "#tailState")).toContain("following beta");
  await page.locator("#tailChannel").focus();
  await page.keyboard.press("Control+A");
  await page.keyboard.type("alpha");
  await page.keyboard.press("Enter");
  await until("the other one is followed", async () =>
    (await text(page, "#tailState")).includes("following alpha: 3 shown"),
  );
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await until("it is stopped", async () =>
    (await text(page, "#tailState")).includes("stopped: alpha"),
  );
  // The legs of the way are one control, changed by arrows.
  await page.locator('input[value="dequeue"]').focus();
  await page.keyboard.press("ArrowRight");
  expect(await page.locator('input[value="write"]').isChecked()).toBe(true);
});

it("puts a message back only after it has asked", async () => {
  const started = await startWithConsole();
  const { world } = started;
  const exceptions = world.emulator.queue(world.queue.exceptionQueue);
  await world.emulator.faults.refuseConnections();
  for (const session of world.emulator.sessions()) world.emulator.faults.kill(session);
  const header = { v: 1, channel: "sales", eventName: "order", ts: Date.now() };
  world.queue.enqueue(`${JSON.stringify(header)}\n{}`, { expiration: 1 });
  await until("it has expired", () => exceptions.depth() === 1, 20_000);
  await world.emulator.faults.clear();
  const { page } = await open(started);
  await page.waitForSelector("#badge[data-state=connected]", { timeout: 30_000 });
  await page.locator("#asideLoad").click();
  const button = page.locator("#exceptions button");
  await button.waitFor();
  expect(await text(page, "#exceptions")).toContain("expired");
  for (const refuse of [
    () => page.locator("#confirmNo").click(),
    () => page.keyboard.press("Escape"),
  ]) {
    await button.focus();
    await page.keyboard.press("Enter");
    await page.waitForSelector("dialog[open]");
    expect(await text(page, "#confirmText")).toContain("channel sales");
    await refuse();
    await page.waitForSelector("dialog:not([open])", { state: "attached" });
    expect(exceptions.depth()).toBe(1);
  }
  await button.click();
  await page.locator("#confirmYes").click();
  await page.waitForSelector("#exceptions td:text('The exception queue is empty.')");
  expect(await text(page, "#asideState")).toMatch(/^Put back as [0-9a-f]{32}/);
  await until("it is delivered", async () => /\bsales\b/.test(await text(page, "#channels")));
});

it("asks for the token from elsewhere, and lets in who has it", async () => {
  const token = randomBytes(24).toString("base64url");
  const file = join(temporaryDirectory(), "token");
  writeFileSync(file, token);
  const started = await startWithConsole({ console: { tokenFile: file } });
  const { page } = await open(started, { extraHTTPHeaders: { "x-forwarded-for": "192.0.2.7" } });
  await page.waitForSelector("#signIn");
  expect(await page.locator("#content").isVisible()).toBe(false);
  await page.locator("#token").fill("not the token");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#signInProblem:text('this is not the token')");
  await page.locator("#token").fill(token);
  await page.keyboard.press("Enter");
  await page.waitForSelector("#badge[data-state=connected]");
  expect(await page.locator("#signInPanel").isVisible()).toBe(false);
  expect(await page.evaluate(() => document.cookie)).toBe("");
  await page.reload();
  await page.waitForSelector("#badge[data-state=connected]");
  await page.locator("#signOut").click();
  await page.waitForSelector("#signIn");
  expect(await page.locator("#content").isVisible()).toBe(false);

  const local = await open(started);
  await local.page.waitForSelector("#badge[data-state=connected]");
  expect(await text(local.page, "#signInWhy")).toContain("You may look");
});

it("leaves while nobody sees it, and comes back", async () => {
  const started = await startWithConsole();
  const { page } = await open(started);
  await page.waitForSelector("#badge[data-state=connected]");
  const other = await look(started.port, "api/events");
  await until("two look on", () => other.samples.at(-1)?.watching === 2);
  const setHidden = (hidden: boolean) =>
    page.evaluate((value) => {
      Object.defineProperty(document, "hidden", { value, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
  await setHidden(true);
  await until("one looks on", () => other.samples.at(-1)?.watching === 1);
  await setHidden(false);
  await until("two look on again", () => other.samples.at(-1)?.watching === 2);
});

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string }[];
}

const LOOKS = {
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  phone: {
    colorScheme: "dark",
    viewport: { width: 390, height: 844 },
    deviceScaleFactor: 2,
    isMobile: true,
  },
} as const;

const SCREENSHOTS = process.env.RTM_SCREENSHOTS !== undefined;

const CHANNELS = ["sales", "stock:berlin", "stock:lyon", "user:SCOTT", "user:MILLER", "jobs"];

/** The pages of a shop, until the end of the test. */
function openPages({ service }: Started): void {
  for (let client = 0; client < 24; client++) {
    const wanted = CHANNELS.slice(0, 1 + (client % 4)).map((channel) => `channel=${channel}`);
    const url = `ws://127.0.0.1:${service.relay!.port}/ws?${wanted.join("&")}`;
    const socket = new WebSocket(url).on("error", () => {});
    onTestFinished(() => socket.terminate());
  }
}

/**
 * A day in a shop: messages in all channels, and a poisoned one.
 * @param ms how long it goes on after the first transactions, which come at once
 */
async function shop({ world }: Started, ms: number): Promise<void> {
  world.queue.enqueue("no header at all");
  const connection = await world.connect();
  const end = performance.now() + ms;
  for (let n = 0; n < 2 * CHANNELS.length || performance.now() < end; n++) {
    const channel = CHANNELS[n] ?? CHANNELS[Math.floor(Math.random() ** 2 * CHANNELS.length)]!;
    const orders = 1 + Math.floor(Math.random() * 6 * (1 + Math.sin(n / 40)));
    for (let order = 0; order < orders; order++) {
      await world.broadcast(connection, { n, order }, channel, "order-created");
    }
    await connection.commit();
    const pause = ms > 0 ? 60 + Math.random() * 120 : 0;
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

it("has no fault of accessibility, and fits: light, dark, on a phone", {
  timeout: 300_000,
}, async () => {
  const started = await startWithConsole();
  openPages(started);
  const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  for (const [name, options] of Object.entries(LOOKS)) {
    const { page, complaints } = await open(started, options);
    await page.waitForSelector("#badge[data-state=connected]");
    const done = shop(started, SCREENSHOTS ? 40_000 : 0);
    await page.waitForSelector("#channels button");
    await page.locator("#asideLoad").click();
    await page.locator('button[aria-label="Follow sales"]').click();
    await page.waitForSelector("#warnings td.warn");
    await page.waitForSelector("#tailRows tbody tr:not([hidden])");
    await page.waitForSelector("#acceptedChart[aria-label*=highest]");
    await done;
    await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
    if (SCREENSHOTS)
      await page.screenshot({ path: `docs/images/console-${name}.png`, fullPage: true });
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(overflow, name).toBeLessThanOrEqual(0);
    // Through the debugger, which the page's policy does not concern.
    const session = await page.context().newCDPSession(page);
    await session.send("Runtime.evaluate", { expression: axe });
    const audit = async () => {
      const { result } = await session.send("Runtime.evaluate", {
        expression: "axe.run().then(({ violations }) => JSON.stringify(violations))",
        awaitPromise: true,
      });
      const violations = JSON.parse(result.value as string) as Violation[];
      return violations.map(({ id, impact, nodes }) => `${impact} ${id} ${nodes[0]?.html}`);
    };
    expect(await audit(), name).toEqual([]);
    await page.evaluate(() => document.querySelector<HTMLDialogElement>("dialog")!.showModal());
    expect(await audit(), `${name}, with a dialog`).toEqual([]);
    expect(complaints, name).toEqual([]);
    // What it draws takes from the next one's time.
    await page.context().close();
  }
});
