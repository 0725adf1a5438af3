/** The measured process: the relay with all features on, or a plain `ws` + express server. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import express from "express";
import { type WebSocket, WebSocketServer } from "ws";
import { parseConfig } from "../../common/config.ts";
import { createLogger } from "../../common/logger.ts";
import { mintToken } from "../../relay/access/token.ts";
import { relayConfig } from "../../relay/config/config.ts";
import { startRelay } from "../../relay/relay.ts";
import { startNats } from "./nats.ts";
import {
  API_KEY,
  type Command,
  channelName,
  payloadText,
  type Report,
  type Scenario,
  SECRET,
  type ServerKind,
  sharedClock,
} from "./protocol.ts";

/** Publishes one message to the channel. */
type Publish = (channel: string) => void;

interface Started {
  readonly port: number;
  readonly publish: Publish;
  readonly token: string;
  /** CPU time so far of the measured process, where that is another one, µs. */
  readonly cpuMicros?: () => number;
}

const SOURCE = { name: "queue:BENCH" };

/** The loop that everybody writes first: stringify once, `send` to each. */
async function startPlain(): Promise<Started> {
  const app = express();
  app.use(express.json({ limit: "8mb" }));
  const server = createServer(app);
  const sockets = new WebSocketServer({ server });
  const channels = new Map<string, Set<WebSocket>>();
  let seq = 0;
  sockets.on("connection", (ws, request) => {
    const name = new URL(request.url ?? "", "http://x").searchParams.get("channel") ?? "";
    const members = channels.get(name) ?? new Set();
    channels.set(name, members.add(ws));
    ws.on("close", () => members.delete(ws));
    ws.on("error", () => {});
    ws.send('{"op":"subscribed"}');
  });
  const send = (message: { channel: string; eventName: string; payload: unknown }) => {
    seq++;
    const { channel, eventName, payload } = message;
    const text = JSON.stringify({
      channel,
      eventName,
      payload,
      id: randomUUID(),
      seq,
      ts: Date.now(),
    });
    let recipients = 0;
    for (const ws of channels.get(channel) ?? []) {
      if (ws.readyState !== ws.OPEN) continue;
      ws.send(text);
      recipients++;
    }
    return recipients;
  };
  app.post("/api/broadcast", (request, response) => {
    if (Array.isArray(request.body)) {
      response.json({
        ok: true,
        results: request.body.map((m) => ({ ok: true, recipients: send(m) })),
      });
    } else response.json({ ok: true, recipients: send(request.body) });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const payload = JSON.parse(payloadText());
  return {
    port: (server.address() as AddressInfo).port,
    publish: (channel) => void send({ channel, eventName: "event", payload }),
    token: "",
  };
}

async function startOurs(wire: "auto" | "joined"): Promise<Started> {
  const config = parseConfig(relayConfig, {
    port: 0,
    tokens: { secrets: [{ kid: "bench", secret: SECRET }] },
    apiKeys: [{ name: "bench", key: API_KEY, trusted: true }],
    limits: { connections: 20_000 },
    wire,
    origins: ["https://apex.example.com"],
  });
  const relay = await startRelay(config, { log: createLogger("silent") });
  const payload = payloadText();
  // So that there are positions to come back to.
  for (let index = 0; index < 3; index++) {
    const id = randomUUID();
    const message = { channel: channelName(index), eventName: "event", payload, id, ts: 1 };
    await relay.publisher.publish([message], SOURCE);
  }
  return {
    port: relay.port,
    publish: (channel) => {
      const message = { channel, eventName: "event", payload, id: randomUUID(), ts: Date.now() };
      void relay.publisher.publish([message], SOURCE);
    },
    token: mint("bench"),
  };
}

function mint(subject: string): string {
  return mintToken({
    subject,
    channels: ["channel-*"],
    lifetimeMs: 3_600_000,
    kid: "bench",
    secret: Buffer.from(SECRET),
  });
}

const [kind, scenarioText] = process.argv.slice(2);
const scenario = JSON.parse(scenarioText as string) as Scenario;

async function startFloor(): Promise<Started> {
  const { port, cpuMicros } = await startNats();
  const publish = () => {
    throw new Error("a NATS server publishes nothing itself");
  };
  return { port, publish, token: "", cpuMicros };
}

function start(): Promise<Started> {
  if ((kind as ServerKind) === "plain") return startPlain();
  if ((kind as ServerKind) === "nats") return startFloor();
  return startOurs(kind === "joined" ? "joined" : "auto");
}

/** Of this process, µs. */
function ownCpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

const { port, publish, token, cpuMicros = ownCpuMicros } = await start();

/** The longest wait for `spendCpu`, ms. */
const MAX_SPAN_MS = 30_000;

let published = 0;
/** Messages that all their subscribers have received, as the load process says. */
let completed = 0;
let running = false;

function publishNext(): void {
  publish(channelName(published++ % scenario.channels));
}

function feed(): void {
  if (!running || scenario.feed !== "in-process" || scenario.inFlight === 0) return;
  while (published - completed < scenario.inFlight) publishNext();
}

const acks = createTcpServer((socket) => {
  socket.on("data", (data) => {
    const lines = data.toString().trimEnd().split("\n");
    completed = Number(lines.at(-1));
    feed();
  });
});
acks.listen(0, "127.0.0.1");
await once(acks, "listening");

function report(value: Report): void {
  process.send?.(value);
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Waits until this process has used that much CPU time: on a busy machine a wall-clock second may
 * hold little of it, and would compare code that is warm with code that is not.
 */
async function spendCpu(ms: number): Promise<void> {
  const start = cpuMicros();
  const deadline = sharedClock() + MAX_SPAN_MS;
  for (;;) {
    if ((cpuMicros() - start) / 1000 >= ms || sharedClock() > deadline) return;
    await pause(100);
  }
}

/** Publishes each message when it is due; a server that is behind publishes all of them late. */
async function publishAtRate(startsAt: number, forMs: number): Promise<void> {
  const interval = 1000 / scenario.ratePerSecond;
  const total = Math.floor(forMs / interval);
  while (published < total) {
    // All that is due now, as a server finds it when it comes back to its sockets or its queue.
    const due = Math.min(total, Math.floor((sharedClock() - startsAt) / interval) + 1);
    if (published >= due) await pause(1);
    while (published < due) publishNext();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function run({
  warmUpMs,
  measureMs,
  startsAt,
}: Extract<Command, { do: "run" }>): Promise<void> {
  running = true;
  const paced =
    scenario.inFlight === 0 ? publishAtRate(startsAt, warmUpMs + measureMs) : Promise.resolve();
  feed();
  const span = scenario.inFlight === 0 ? pause : spendCpu;
  await span(warmUpMs);
  const before = { completed, cpu: cpuMicros(), at: sharedClock() };
  await span(measureMs);
  const cpu = cpuMicros() - before.cpu;
  const perMessage = scenario.connections / scenario.channels;
  report({
    is: "measured",
    deliveries: (completed - before.completed) * perMessage,
    cpuSeconds: cpu / 1e6,
    seconds: (sharedClock() - before.at) / 1000,
  });
  running = false;
  await paced;
}

process.on("message", (command: Command) => {
  if (command.do === "run") void run(command);
  else if (command.do === "measure-memory") {
    globalThis.gc?.();
    report({ is: "memory", rss: process.memoryUsage().rss });
  } else if (command.do === "measure-cpu") {
    report({ is: "cpu", micros: cpuMicros() });
  } else if (command.do === "mint") {
    const tokens = Array.from({ length: command.count }, (_, page) => mint(`page-${page}`));
    report({ is: "minted", tokens });
  } else if (command.do === "stop") process.exit(0);
});
process.on("disconnect", () => process.exit(0));
report({ is: "listening", port, ackPort: (acks.address() as AddressInfo).port, token });
