import { mkdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { runNginx } from "../ops/nginx.ts";
import { freePort } from "../support/free-port.ts";
import { has, temporaryDirectory } from "../support/programs.ts";
import { until } from "../support/until.ts";
import { Tab, useWorld } from "./kit.ts";
import type { PageSpec } from "./site.ts";

const world = useWorld();

interface Sale {
  readonly product: string;
  readonly amount: number;
}

/** What the regions' queries would find. */
const sales: Sale[] = [
  { product: "Bolt", amount: 120 },
  { product: "Nut", amount: 80 },
  { product: "Washer", amount: 45 },
];

const STYLE = `
body { font: 15px/1.4 "DejaVu Sans", Arial, sans-serif; margin: 24px; background: #f5f4f2; color: #1c1b1a }
h1 { font-size: 20px } .cards { display: flex; gap: 16px }
.card { background: #fff; border: 1px solid #dcdad6; border-radius: 6px; padding: 14px 18px; width: 190px }
.card b { display: block; font-size: 26px } .card span { color: #5b5a58 }
#CHART { background: #fff; border: 1px solid #dcdad6; border-radius: 6px; margin-top: 16px; padding: 14px; width: 720px }
rect { fill: #2a6fb0 } text { font-size: 13px; fill: #1c1b1a }
`;

function cards(): string {
  const revenue = sales.reduce((sum, { amount }) => sum + amount, 0);
  const best = sales.reduce((a, b) => (b.amount > a.amount ? b : a));
  const card = (label: string, value: string | number) =>
    `<div class="card"><span>${label}</span><b>${value}</b></div>`;
  return `<div class="cards">${card("Sales", sales.length)}${card("Revenue", revenue)}${card("Best sale", best.product)}</div>`;
}

function chart(): string {
  const bars = sales.slice(-12).map(({ product, amount }, index) => {
    const height = Math.min(amount, 180);
    const x = 10 + index * 60;
    return `<rect x="${x}" y="${200 - height}" width="40" height="${height}"/><text x="${x}" y="218">${product}</text>`;
  });
  return `<svg width="720" height="230" role="img" aria-label="Latest sales">${bars.join("")}</svg>`;
}

/** Cards and chart as in docs/apex.md, "A live dashboard". */
function dashboard(): PageSpec {
  world.site.file("/dashboard.css", STYLE);
  world.site.region = (id) => (id === "CARDS" ? cards() : chart());
  const refresh = { 2: "sales", 3: "*", 5: "REFRESH", 7: "CARDS, CHART", 9: "100", 10: "REFRESH" };
  return {
    head: '<link rel="stylesheet" href="/dashboard.css">',
    body: '<h1>Sales, live</h1><div id="CARDS"></div><div id="CHART"></div>',
    actions: [
      {
        event: "ready",
        actions: [
          { script: 'for (const id of ["CARDS", "CHART"]) apex.region(id).refresh();' },
          { listener: refresh },
          {
            listener: {
              2: "sales",
              3: "big-sale",
              5: "NOTIFY",
              8: "#product# sold for #amount#",
              15: '{"type": "success"}',
            },
          },
        ],
      },
    ],
  };
}

async function screenshot(tab: Tab, name: string): Promise<void> {
  if (process.env.RTM_SCREENSHOTS === undefined) return;
  mkdirSync("docs/images", { recursive: true });
  await tab.page.screenshot({ path: `docs/images/${name}.png` });
}

describe("recipe: A live dashboard", () => {
  it("shows what was committed, and nothing of what was rolled back", async () => {
    const context = await world.browser.newContext({ viewport: { width: 800, height: 540 } });
    const tab = await Tab.open(world, dashboard(), context);
    await tab.page.waitForSelector("#CHART rect");
    await tab.page.waitForSelector("#CARDS .card");
    expect(await tab.page.locator("#CARDS .card b").first().textContent()).toBe("3");
    await screenshot(tab, "dashboard-before");
    await world.stack.transaction(
      [{ channel: "sales", eventName: "sale", payload: { product: "Ghost", amount: 1 } }],
      false,
    );
    const sold = [
      { product: "Screw", amount: 60 },
      { product: "Rivet", amount: 170 },
      { product: "Hinge", amount: 95 },
    ];
    sales.push(...sold);
    await world.stack.transaction(
      sold.map((payload) => ({
        channel: "sales",
        eventName: payload.amount > 150 ? "big-sale" : "sale",
        payload,
      })),
    );
    await tab.page.waitForFunction(() => document.querySelectorAll("#CHART rect").length === 6);
    await tab.page.waitForFunction(
      () => document.querySelector("#CARDS .card b")?.textContent === "6",
    );
    await tab.page.waitForSelector(".rtm-Toast-text");
    expect(await tab.page.textContent(".rtm-Toast-text")).toBe("Rivet sold for 170");
    await screenshot(tab, "dashboard-after");
    expect(await tab.problems()).toEqual([]);
  });
});

/** A page that brings its own WebSocket code, as the dashboard article shows it. */
const ARTICLE_SCRIPT = `
  window.seen.rows = [];
  window.seen.opened = [];
  function connect() {
    var socket = new WebSocket("ws://" + location.host + "/ords/demo/dashboard/live");
    socket.onopen = function () { window.seen.opened.push(1); };
    socket.onmessage = function (event) { window.seen.rows.push(JSON.parse(event.data)); };
    socket.onclose = function () { setTimeout(connect, 3000); };
  }
  connect();
`;

/** The article's reverse proxy: a server block that serves the pages and has our locations. */
async function startProxy(): Promise<string> {
  const directory = temporaryDirectory();
  const port = await freePort();
  runNginx({
    directory,
    relayPort: world.stack.port,
    edit: (text) => text.replace("listen 80;", `listen unix:${directory}/plain.sock;`),
    http: `include ${directory}/conf/rtm-http.conf;
server {
  listen 127.0.0.1:${port};
  include ${directory}/conf/rtm-ords.inc;
  location / { access_log off; proxy_pass ${world.site.origin}; }
}`,
  });
  const origin = `http://127.0.0.1:${port}`;
  await until("nginx listens", async () => {
    const answer = await fetch(`${origin}/rtm/readyz`).catch(() => undefined);
    return answer?.status === 200;
  });
  return origin;
}

const through = has("nginx") ? "nginx" : "the site's own proxy (there is no nginx)";

/** The dashboard article's page (second compatibility row). */
describe("recipe: A page of your own", () => {
  it(`gets the bare payloads of its JMS queue without a token, through ${through}`, async () => {
    const origin = has("nginx") ? await startProxy() : world.site.origin;
    world.stack.origins.push(origin);
    await world.stack.stopService();
    await world.stack.startService();
    const actions = [{ event: "ready", actions: [{ script: ARTICLE_SCRIPT }] }];
    const tab = await Tab.open(world, { actions }, undefined, origin);
    await tab.page.waitForFunction(() => window.seen.opened?.length === 1);
    await world.stack.insertSale({ sales: 0, region: "nobody's" }, "rollback");
    await world.stack.insertSale({ sales: 1, region: "EMEA" });
    await tab.page.waitForFunction(() => window.seen.rows?.length === 1);
    await world.stack.stopService();
    await world.stack.startService();
    await tab.page.waitForFunction(() => window.seen.opened?.length === 2);
    await world.stack.insertSale({ sales: 2, region: "Österreich €" });
    await tab.page.waitForFunction(() => window.seen.rows?.length === 2);
    expect(await tab.seen("rows")).toEqual([
      { sales: 1, region: "EMEA" },
      { sales: 2, region: "Österreich €" },
    ]);
    expect(await tab.problems()).toEqual([]);
  });
});
