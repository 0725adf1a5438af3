/** The demo's dashboard: rtm-client in, figures, chart and log out. */
import "../../page/language.ts";
import type * as Client from "../../../apex-plugins/client/index.ts";
import { toggleBlock } from "./block.ts";
import { drawChart } from "./chart.ts";
import { showCluster } from "./cluster.ts";
import { call, element, show } from "./dom.ts";
import { cents, clock, milliseconds, money, now, whole } from "./format.ts";
import { Dashboard, type Order, type Snapshot } from "./model.ts";
import { People } from "./people.ts";
import { SIGNED_OUT, Visitor } from "./visitor.ts";
import { hangWall } from "./wall.ts";

const rtm = (globalThis as unknown as { rtm: typeof Client }).rtm;

const REGIONS = ["North", "South", "East", "West"];
const LOG_ROWS = 14;

/** What carries the messages, in words. */
const VIA = { websocket: "a WebSocket", stream: "an event stream", poll: "polls" } as const;

const dashboard = new Dashboard(REGIONS);
let received = 0;
let recoveries = 0;
let refreshes = 0;
let rolledBack = 0;
let feeding = true;
const recent: number[] = [];

async function refresh(): Promise<void> {
  const snapshot = await call<Snapshot>("/demo/state", "GET");
  dashboard.reset(snapshot);
  rolledBack = snapshot.rolledBack;
  showFeed(snapshot.feeding);
  show("version", snapshot.version);
  element("cluster").hidden = !snapshot.cluster;
  if (snapshot.cluster) await showCluster(element("nodes"));
}

function showFeed(on: boolean): void {
  feeding = on;
  element("feed").textContent = on ? "Pause the feed" : "Resume the feed";
  element("feed").setAttribute("aria-pressed", String(on));
}

/** Anybody may publish on the channel, for example `rtm publish sales`. */
function orderOf({ payload }: Client.MessageFrame): Order | undefined {
  const order = payload as Partial<Order> | null;
  return typeof order?.orderId === "number" && typeof order.amount === "number"
    ? (order as Order)
    : undefined;
}

function logRow(
  message: Client.MessageFrame,
  order: Order | undefined,
  at: number,
): HTMLTableRowElement {
  const row = document.createElement("tr");
  row.className = "fresh";
  const cells: [string, boolean][] = [
    [clock(at), false],
    [message.eventName, false],
    [order ? `#${order.orderId}` : "", false],
    [order?.region ?? "", false],
    [order?.product ?? JSON.stringify(message.payload).slice(0, 60), false],
    [order ? cents.format(order.amount) : "", true],
    [String(message.seq), true],
    [milliseconds(order && dashboard.latencyOf(order.tx, at)), true],
  ];
  for (const [text, isNumber] of cells) {
    const cell = row.insertCell();
    cell.textContent = text;
    if (isNumber) cell.className = "number";
  }
  row.dataset.tx = String(order?.tx);
  row.dataset.at = String(at);
  return row;
}

function takeIn(messages: readonly Client.MessageFrame[]): void {
  const at = now();
  const rows: HTMLTableRowElement[] = [];
  for (const message of messages) {
    const order = orderOf(message);
    received++;
    if (order) dashboard.received(order.tx, at);
    if (order && dashboard.add(order, message.ts)) recent.push(message.ts);
    rows.push(logRow(message, order, at));
  }
  const log = element<HTMLTableSectionElement>("log");
  log.prepend(...rows.slice(-LOG_ROWS).reverse());
  while (log.rows.length > LOG_ROWS) log.deleteRow(-1);
  render();
}

function render(): void {
  show("revenue", money.format(dashboard.revenue));
  show("orders", whole.format(dashboard.orders));
  show("average", dashboard.orders ? cents.format(dashboard.revenue / dashboard.orders) : "-");
  show("rolledBack", whole.format(rolledBack));
  show("leaked", whole.format(dashboard.leaked));
  show("received", whole.format(received));
  show("recoveries", whole.format(recoveries));
  show("refreshes", whole.format(refreshes));
  show("p50", milliseconds(dashboard.latency(0.5)));
  show("p99", milliseconds(dashboard.latency(0.99)));
  const cutoff = now() - 2000;
  while (recent.length > 0 && (recent[0] as number) < cutoff) recent.shift();
  show("rate", whole.format(Math.round(recent.length / 2)));
}

/** Joins the commit times that the producer saw with what was received. */
async function joinCommits(): Promise<void> {
  const { commits } = await call<{ commits: [number, number][] }>("/demo/commits", "GET");
  for (const [tx, at] of commits) dashboard.committed(tx, at);
  for (const row of element<HTMLTableSectionElement>("log").rows) {
    const last = row.cells[row.cells.length - 1];
    if (last)
      last.textContent = milliseconds(
        dashboard.latencyOf(Number(row.dataset.tx), Number(row.dataset.at)),
      );
  }
}

function wireButton(
  id: string,
  path: string,
  describe: (answer: { tx: number; rows: number }) => string,
): void {
  const button = element<HTMLButtonElement>(id);
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const answer = await call<{ tx: number; rows: number; rolledBack?: boolean }>(path);
      if (answer.rolledBack) {
        dashboard.rolledBack(answer.tx);
        rolledBack += answer.rows;
      }
      show("outcome", describe(answer));
    } catch (error) {
      show("outcome", String(error));
    } finally {
      button.disabled = false;
      render();
    }
  });
}

function start(): void {
  const redraw = drawChart(REGIONS, () => dashboard.chart(now()));
  wireButton("insert", "/demo/insert", ({ rows }) => `Committed ${rows} order.`);
  wireButton(
    "rollback",
    "/demo/rollback",
    ({ rows }) => `Inserted ${rows} order and rolled back: nothing arrives.`,
  );
  wireButton(
    "burst",
    "/demo/burst",
    ({ rows }) => `Committed ${whole.format(rows)} orders in one transaction.`,
  );
  element("feed").addEventListener("click", async () => {
    showFeed((await call<{ feeding: boolean }>(`/demo/feed/${feeding ? "off" : "on"}`)).feeding);
  });

  element("block").addEventListener("click", () => {
    const blocked = toggleBlock();
    const button = element("block");
    button.textContent = blocked ? "Let WebSockets through" : "Block WebSockets";
    button.setAttribute("aria-pressed", String(blocked));
  });
  const visitor = new Visitor(rtm.StopError);
  const client = rtm.connect({ url: "/ws", token: visitor.token });
  const people = new People(client, visitor);
  client.onStatus((status) => {
    const badge = element("badge");
    badge.dataset.state = status.state;
    badge.textContent = status.state;
    show("via", status.via === undefined ? "-" : VIA[status.via]);
    if (status.code === SIGNED_OUT) people.ended();
  });
  hangWall(client, REGIONS, element("tiles"));
  let first = true;
  client.subscribe("sales", {
    onMessages: takeIn,
    onSubscribed(_channel, recovered) {
      dashboard.live(now());
      if (!first) recovered ? recoveries++ : refreshes++;
      if (!recovered || first) refresh().then(render, (error) => show("outcome", String(error)));
      first = false;
    },
  });
  setInterval(() => {
    render();
    redraw();
    const cluster = element("cluster");
    Promise.all([joinCommits(), cluster.hidden || showCluster(element("nodes"))]).catch(() => {
      // The relay is restarting; the next second tries again.
    });
  }, 1000);
}

start();
