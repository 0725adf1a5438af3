/** The documentation's reading order, and the site that is made of it (RTM_TEST_LONG=1 builds it). */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import express from "express";
import { expect, it, onTestFinished } from "vitest";
import { readingOrder } from "../../scripts/site/pages.ts";
import { launchBrowser } from "../page/browser.ts";

const LONG = process.env.RTM_TEST_LONG === "1";

it("names every page in docs/README.md", () => {
  const named = readingOrder().flatMap(({ pages }) => pages.map(({ page }) => page));
  const pages = ["", "design/"].flatMap((folder) =>
    readdirSync(join("docs", folder))
      .filter((name) => name.endsWith(".md"))
      .map((name) => `${folder}${name}`),
  );
  expect([...new Set(named), "README.md"].sort()).toEqual(pages.sort());
});

it.skipIf(!LONG)(
  `builds with every link leading somewhere, and is searched in the browser, without another host${LONG ? "" : " (skipped: long; RTM_TEST_LONG=1)"}`,
  { timeout: 600_000 },
  async () => {
    const built = spawnSync("npm", ["run", "-s", "docs:site"], { encoding: "utf8" });
    expect(built.status, built.stderr + built.stdout).toBe(0);
    const server = express().use(express.static("build/site")).listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const browser = await launchBrowser();
    onTestFinished(() => browser.close());
    const page = await browser.newPage();
    const elsewhere: string[] = [];
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    page.on("request", (request) => {
      if (!request.url().startsWith(origin)) elsewhere.push(request.url());
    });
    await page.goto(`${origin}/keeping.html`);
    await page.getByRole("button", { name: "Search" }).first().click();
    await page.getByRole("searchbox").fill("poison file");
    await page.locator(".results a", { hasText: "RTM_POISON_UNKEPT" }).first().click();
    await page.waitForURL(/errors\.html#rtm_poison_unkept/);
    expect(elsewhere).toEqual([]);
  },
);
