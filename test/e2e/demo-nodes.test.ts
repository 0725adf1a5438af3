/** `rtm demo --nodes 3`: nodes and engine are killed while the page goes on. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launchBrowser } from "../page/browser.ts";
import { Program, rtmPath } from "../support/programs.ts";
import { ENGINE_MISSING } from "../support/redis-server.ts";
import { until } from "../support/until.ts";
import { noteWaves } from "./waves.ts";

/** A node that was killed is away for 5 s and then starts, on a machine that may be busy. */
const BACK_MS = 60_000;

interface State {
  readonly nodes: readonly { name: string; state: string; leads: boolean; pages: number }[];
  readonly engine: { readonly state: string };
}

describe.skipIf(ENGINE_MISSING !== "")(`rtm demo --nodes 3${ENGINE_MISSING}`, () => {
  let demo: Program;
  let origin: string;
  let browser: Browser;
  let page: Page;

  const number = async (id: string) =>
    Number((await page.locator(`#${id}`).innerText()).replace(/[^\d.]/g, ""));
  const orders = () => number("orders");
  const state = async () => (await (await fetch(`${origin}/demo/cluster`)).json()) as State;
  const nodeOfThePage = async () => (await state()).nodes.find(({ pages }) => pages > 0)?.name;
  const leader = async () => (await state()).nodes.find(({ leads }) => leads)?.name;
  const allReady = async () => {
    const { nodes, engine } = await state();
    return engine.state === "ready" && nodes.every((node) => node.state === "ready");
  };
  const kill = async (name: string) => {
    await page.click(`#${name} button`);
    await page.locator(`#${name}[data-state="away"]`).waitFor();
  };

  /** A row is committed, and the page shows it however long that takes. */
  const insertAndSee = async () => {
    const before = await orders();
    await page.click("#insert");
    await expect.poll(orders, { timeout: BACK_MS }).toBe(before + 1);
  };

  beforeAll(async () => {
    demo = new Program(
      process.execPath,
      [rtmPath(), "demo", "--nodes", "3", "--port", "0", "--no-feed"],
      { PATH: process.env.PATH },
      "file",
    );
    const [, url] = await demo.printed(/apex-rtm demo: (http:[^ ]+)\/demo\//, BACK_MS);
    origin = url as string;
    browser = await launchBrowser();
    page = await browser.newPage();
    await until("all nodes are ready", allReady, BACK_MS);
    await page.goto(`${origin}/demo/`);
    await page.locator('#badge[data-state="connected"]').waitFor();
    await page.locator("#cluster").waitFor();
  }, 4 * BACK_MS);

  afterAll(async () => {
    await browser?.close();
    demo?.kill("SIGTERM");
    expect(await demo?.exited, demo?.output).toBe(0);
  }, 30_000);

  it(
    "shows three nodes, one of which dequeues, and the engine",
    async () => {
      await until("one leads", async () => (await leader()) !== undefined);
      await page.locator("#nodes .note", { hasText: "dequeues" }).waitFor();
      await page.locator('#engine[data-state="ready"]').waitFor();
      expect(await page.locator("#nodes .node").count()).toBe(4);
      await insertAndSee();
    },
    BACK_MS,
  );

  it("names the console of every node", async () => {
    const named = [...demo.output.matchAll(/^ {4}(node-\d): (http:\S+\/console\/)$/gm)];
    expect(named.map(([, node]) => node)).toEqual(["node-1", "node-2", "node-3"]);
    for (const [, , url] of named) {
      expect(await (await fetch(url as string)).text()).toContain("<title>");
    }
  });

  it(
    "visitors on any node see each other, their waves and the totals, and are signed out on all of them",
    async () => {
      await page.locator("#tiles .note", { hasText: "1 order" }).waitFor();
      const others: Page[] = [];
      for (let count = 2; count <= 4; count++) {
        const other = await browser.newPage();
        others.push(other);
        await other.goto(`${origin}/demo/`);
        await other.locator("#tiles .note", { hasText: "1 order" }).waitFor();
        await page.locator("#people-count", { hasText: String(count) }).waitFor();
      }
      await until("they are on all nodes", async () =>
        (await state()).nodes.every(({ pages }) => pages > 0),
      );
      const notes = await Promise.all(others.map(noteWaves));
      await page.click("#wave");
      for (const waves of notes)
        await until("the wave is seen", async () => (await waves()).length === 1);
      const [, ...buttons] = await page.locator("#people li button").all();
      for (const button of buttons.reverse()) await button.click();
      for (const other of others) await other.locator("#ended").waitFor();
      await page.locator("#people-count", { hasText: "1" }).waitFor();
      for (const other of others) await other.close();
    },
    2 * BACK_MS,
  );

  it(
    "a node that is killed costs its pages a reconnect, and nothing else",
    async () => {
      await kill((await nodeOfThePage()) as string);
      await insertAndSee();
      await expect.poll(() => number("recoveries")).toBe(1);
      expect(await number("refreshes")).toBe(0);
      await until("it is back", allReady, BACK_MS);
    },
    2 * BACK_MS,
  );

  it(
    "another node dequeues when the one that did is killed",
    async () => {
      const before = (await leader()) as string;
      await kill(before);
      await insertAndSee();
      await until("it is back", allReady, BACK_MS);
      expect(await leader()).not.toBe(before);
      expect(await number("refreshes")).toBe(0);
    },
    2 * BACK_MS,
  );

  it(
    "an engine that is killed costs one refresh: batches are held until it is back",
    async () => {
      await kill("engine");
      await insertAndSee();
      await expect.poll(() => number("refreshes"), { timeout: BACK_MS }).toBe(1);
      await until("the engine is back", allReady, BACK_MS);
      await insertAndSee();
    },
    2 * BACK_MS,
  );
});

it("rtm demo --nodes says what to install where there is no engine", {
  timeout: BACK_MS,
}, async () => {
  const demo = new Program(process.execPath, [rtmPath(), "demo", "--nodes", "3", "--port", "0"], {
    PATH: "/nonexistent",
  });
  const { code, stderr } = await demo.finished;
  expect(code).toBe(1);
  expect(stderr).toContain("apt-get install redis-server");
  expect(stderr).not.toContain("    at ");
});
