/** The console's page: samples in, figures, charts and tables out. */
import type { AccessInfo, Hello, Sample } from "../contract.ts";
import { bytes, count, countedUpTo, latency, perSecond, seconds, UNKNOWN } from "../format.ts";
import { ConsoleModel, type Leg } from "../model.ts";
import { ApiError, call } from "./api.ts";
import { AsidePanel } from "./aside.ts";
import { Spark } from "./charts.ts";
import { element, hide, setText, show, showList } from "./elements.ts";
import { HeatMap } from "./heat-map.ts";
import { nodeList, pagesList } from "./lists.ts";
import { LiveTail } from "./live-tail.ts";
import { makeTables } from "./tables.ts";

const LEGS: Readonly<Record<Leg, string>> = {
  dequeue: "Call to worker",
  write: "Relay to sockets",
};
/** What there is to know about the legs of each role. */
const NOTES: Readonly<Record<string, string>> = {
  serve:
    "The call to the worker contains the caller's open transaction and the queue. What follows the sockets is the network: rtm doctor --probe measures the whole way.",
  relay:
    "This is a relay alone: the way from the call to the worker is in the console of rtm worker. What follows the sockets is the network: rtm doctor --probe measures the whole way.",
  worker:
    "This is a worker alone: the way from the relay to the sockets is in the console of rtm relay. The call to the worker contains the caller's open transaction and the queue.",
};
const UNDER = "ten seconds a column; the stronger the colour, the more messages";

const model = new ConsoleModel();
const tail = new LiveTail();
let access: AccessInfo["access"] = "none";
let leg: Leg = "dequeue";
let listeners: string | null | undefined;
let source: EventSource | undefined;

new AsidePanel(
  () => access === "full",
  (text) => {
    listeners = text;
  },
);
const heatMap = new HeatMap((text) => show("heatUnder", text ?? UNDER));

const sparks = {
  accepted: new Spark({
    id: "acceptedChart",
    label: "Messages in per second",
    text: perSecond,
    atLeast: 4,
  }),
  delivered: new Spark({
    id: "deliveredChart",
    label: "Messages written to pages per second",
    text: perSecond,
    atLeast: 4,
  }),
  connections: new Spark({ id: "connectionsChart", label: "Open pages", text: count, atLeast: 4 }),
  backlog: new Spark({
    id: "backlogChart",
    label: "Messages waiting in queues",
    text: count,
    atLeast: 4,
  }),
};

const tables = makeTables({
  rateOf: (queue) => model.queueRate(queue),
  follow: (channel) => tail.follow(channel),
});

function showConditions({ reasons, conditions }: Sample): void {
  const list = element("conditions");
  const texts = [
    ...reasons.map(({ code, message }) => ["bad", `${code}: ${message}`] as const),
    ...conditions.map(({ code, message }) => ["warn", `${code}: ${message}`] as const),
  ];
  list.hidden = texts.length === 0;
  while (list.children.length > texts.length) list.lastElementChild?.remove();
  for (const [index, [className, text]] of texts.entries()) {
    const item = list.children[index] ?? list.appendChild(document.createElement("li"));
    item.className = className;
    setText(item, text);
  }
}

function showLatency(): void {
  const words = (which: Leg): string => {
    const { messages, p50, p99 } = model.latency(which);
    if (messages === 0) return "no messages in the last minute";
    return `half within ${latency(p50)}, 99 of 100 within ${latency(p99)}; ${count(messages)} messages in the last minute`;
  };
  show("dequeueLatency", words("dequeue"));
  show("writeLatency", words("write"));
  const now = model.sample?.point.at ?? 0;
  heatMap.show(model.heat(leg, now), model.bounds(leg), `${LEGS[leg]}, heat map: ${words(leg)}`);
}

function render(): void {
  const { hello, sample } = model;
  if (!hello || !sample) return;
  const { point, relay } = sample;
  const badge = element("badge");
  badge.dataset.state = sample.ready ? "connected" : "stopped";
  show("badge", sample.ready ? "ready" : "not ready");
  showConditions(sample);
  show("accepted", perSecond(model.rate("accepted")));
  show("delivered", perSecond(model.rate("delivered")));
  show("deliveredBytes", `${bytes(model.rate("deliveredBytes"))}/s`);
  show("connections", count(point.connections));
  show("backlog", countedUpTo(point.backlog));
  const ages = sample.queues.map(({ oldestAgeS }) => oldestAgeS ?? 0);
  show("oldest", sample.queues.length === 0 ? UNKNOWN : seconds(Math.max(...ages)));
  sparks.accepted.show(model.rates("accepted"), model.span);
  sparks.delivered.show(model.rates("delivered"), model.span);
  sparks.connections.show(model.gauges("connections"), model.span);
  sparks.backlog.show(model.gauges("backlog"), model.span);
  showLatency();
  tables.queues.show(sample.queues);
  tables.channels.show(sample.channels);
  tail.offer(sample.channels.map(({ channel }) => channel));
  tables.slowClients.show(sample.slowClients.map((row, place) => ({ ...row, place })));
  if (relay) {
    show("channelCount", count(relay.channels));
    show("heldBytes", bytes(relay.heldBytes));
    showList("pages", pagesList(relay));
  }
  showList("node", nodeList(sample, hello, listeners));
  tables.warnings.show(model.warnings);
  show(
    "cost",
    `${sample.watching} looking on, one sample a second; nothing runs while nobody does`,
  );
}

/** Of two processes each tells its own part; the other's would stay empty for ever. */
function showPartsOf(role: string): void {
  const [noWorker, noRelay] = [role === "relay", role === "worker"];
  if (noWorker) leg = "write";
  if (noRelay) leg = "dequeue";
  for (const id of ["queuesPanel", "backlogTile", "dequeueFigure"]) hide(id, noWorker);
  for (const id of [
    "relayHalves",
    "pagesHalves",
    "deliveredTile",
    "connectionsTile",
    "writeFigure",
  ])
    hide(id, noRelay);
  hide("legs", noWorker || noRelay);
  show("legsNote", NOTES[role] ?? "");
}

function begin(hello: Hello): void {
  model.begin(hello);
  access = hello.access;
  show("subject", `${hello.host} · ${hello.role} · version ${hello.version} · Node ${hello.node}`);
  show("mostConnections", count(hello.limits.connections));
  show("mostHeld", bytes(hello.limits.heldBytes));
  hide("content", false);
  hide("signInPanel", true);
  showPartsOf(hello.role);
  hide("asidePanel", !hello.database);
  tail.begin(hello);
  tail.resume();
}

/** Looks on while the page is seen. */
function watch(): void {
  if (source || document.hidden) return;
  const events = new EventSource("api/events");
  source = events;
  events.addEventListener("hello", ({ data }) => begin(JSON.parse(data) as Hello));
  events.addEventListener("sample", ({ data }) => {
    model.take(JSON.parse(data) as Sample);
    render();
  });
  events.onerror = () => {
    element("badge").dataset.state = "connecting";
    show("badge", "no connection");
    // Refused: not for ever, and it says why.
    if (events.readyState !== EventSource.CLOSED) return;
    leave();
    setTimeout(() => void enter(), 2_000);
  };
}

function leave(): void {
  source?.close();
  source = undefined;
  tail.pause();
}

/** Asks who this is, then looks on or asks for the token. */
async function enter(): Promise<void> {
  try {
    const info = await call<AccessInfo>("access");
    access = info.access;
    hide("signOut", !(info.tokenConfigured && access === "full"));
    if (access !== "none") {
      watch();
      if (info.tokenConfigured && access === "read")
        offerSignIn("You may look. To put messages back, sign in.");
      return;
    }
    hide("content", true);
    offerSignIn(
      info.tokenConfigured
        ? "This host looks without it; from elsewhere the console needs its token."
        : "Only the host itself may look, and no token is configured: set service.console.tokenFile, or open an SSH tunnel.",
      info.tokenConfigured,
    );
    show("badge", "signed out");
  } catch (error) {
    element("badge").dataset.state = "connecting";
    show("badge", "no connection");
    const refused = error instanceof ApiError && error.status === 421;
    if (!refused) setTimeout(() => void enter(), 2_000);
  }
}

function offerSignIn(why: string, possible = true): void {
  hide("signInPanel", false);
  show("signInWhy", why);
  for (const control of element("signIn").querySelectorAll("input, button, label")) {
    (control as HTMLElement).hidden = !possible;
  }
}

element("signIn").addEventListener("submit", async (event) => {
  event.preventDefault();
  const token = element<HTMLInputElement>("token");
  try {
    await call("sign-in", { token: token.value });
    token.value = "";
    show("signInProblem", "");
    hide("signInPanel", true);
    leave();
    await enter();
  } catch (error) {
    show("signInProblem", (error as Error).message);
    token.select();
  }
});
element("signOut").addEventListener("click", async () => {
  await call("sign-out", {});
  leave();
  await enter();
});
for (const radio of document.querySelectorAll<HTMLInputElement>('input[name="leg"]')) {
  radio.addEventListener("change", () => {
    leg = radio.value as Leg;
    showLatency();
  });
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const spark of Object.values(sparks)) spark.redraw();
  render();
});
// Who does not see the page does not make the service work for it.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) leave();
  else void enter();
});
void enter();
