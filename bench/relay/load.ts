/** The load process: opens the connections, counts what arrives, and posts where a scenario says so. */
import { once } from "node:events";
import { Agent, request } from "node:http";
import { connect, type Socket } from "node:net";
import { WebSocket } from "ws";
import { natsPublisher, subscribeNats } from "./nats.ts";
import {
  API_KEY,
  type Command,
  channelName,
  payloadText,
  type Report,
  type Scenario,
  type ServerKind,
  sharedClock,
} from "./protocol.ts";
import { Storm } from "./storm.ts";

const [kindText, scenarioText] = process.argv.slice(2);
const kind = kindText as ServerKind;
const scenario = JSON.parse(scenarioText as string) as Scenario;
const perMessage = scenario.connections / scenario.channels;

/** How long messages of a server that cannot keep up are waited for, ms. */
const LATE_MS = 60_000;
/** Far more messages than are ever under way. */
const RING = 65_536;
/** By channel: how many subscribers have received its n-th message, n modulo the ring. */
const receivers = Array.from({ length: scenario.channels }, () => new Uint32Array(RING));
/** Messages that all their subscribers have received. */
let completed = 0;
let acked = 0;
let ackSocket: Socket | undefined;
let scheduled = false;
/** In a paced scenario: when message n was due is `startsAt + n * interval`. */
let latencies: { startsAt: number; from: number; values: number[] } | undefined;
let onCompleted: () => void = () => {};

function acknowledge(): void {
  scheduled = false;
  if (completed === acked) return;
  acked = completed;
  ackSocket?.write(`${completed}\n`);
  onCompleted();
}

/** One subscriber of the channel has received its n-th message. */
function arrived(channel: number, number: number): void {
  const ring = receivers[channel] as Uint32Array;
  const slot = number % RING;
  const count = (ring[slot] as number) + 1;
  if (count === perMessage) completed++;
  ring[slot] = count === perMessage ? 0 : count;
}

/** Counts message frames in the bytes of one connection: those with a 16-bit length. */
function counter(channel: number): (chunk: Buffer) => void {
  let skip = 0;
  let header: Buffer = Buffer.alloc(0);
  let received = 0;
  return (chunk) => {
    let at = 0;
    const before = received;
    while (at < chunk.length) {
      if (skip > 0) {
        const step = Math.min(skip, chunk.length - at);
        skip -= step;
        at += step;
        continue;
      }
      let head = chunk;
      let start = at;
      if (header.length > 0 || chunk.length - at < 4) {
        head = Buffer.concat([header, chunk.subarray(at)]);
        start = 0;
        if (head.length < 4) {
          header = head;
          break;
        }
        at -= header.length;
        header = Buffer.alloc(0);
      }
      const length = (head[start + 1] as number) & 127;
      if (length === 126) {
        skip = 4 + head.readUInt16BE(start + 2);
        arrived(channel, received++);
      } else skip = 2 + length;
      const step = Math.min(skip, chunk.length - at);
      skip -= step;
      at += step;
    }
    if (received === before) return;
    if (latencies) {
      const now = sharedClock();
      const interval = 1000 / scenario.ratePerSecond;
      for (let number = before; number < received; number++) {
        const due = latencies.startsAt + number * interval;
        if (due >= latencies.from) latencies.values.push(now - due);
      }
    }
    acknowledgeSoon();
  };
}

function acknowledgeSoon(): void {
  if (scheduled) return;
  scheduled = true;
  setImmediate(acknowledge);
}

async function openOne(index: number, port: number, token: string): Promise<void> {
  if (kind === "nats") {
    await subscribeNats(port, index % scenario.channels, arrived, acknowledgeSoon);
    return;
  }
  const channel = channelName(index % scenario.channels);
  const ws =
    kind === "plain"
      ? new WebSocket(`ws://127.0.0.1:${port}/?channel=${channel}`, { perMessageDeflate: false })
      : new WebSocket(`ws://127.0.0.1:${port}/ws`, ["rtm.v1"], { perMessageDeflate: false });
  ws.on("error", (error) => {
    throw error;
  });
  const subscribed = new Promise<void>((resolve) => {
    ws.on("message", (data) => {
      if (String(data).includes('"subscribed"')) resolve();
    });
  });
  await once(ws, "open");
  if (kind !== "plain") ws.send(JSON.stringify({ op: "connect", token, subscribe: [{ channel }] }));
  await subscribed;
  // From here on only bytes are counted: a client that parses would cost more than the server.
  const socket = (ws as unknown as { _socket: Socket })._socket;
  socket.removeAllListeners("data");
  socket.on("data", counter(index % scenario.channels));
  socket.resume();
}

const agent = new Agent({ keepAlive: true, maxSockets: 64 });
let posted = 0;

function post(port: number): Promise<void> {
  const body: string[] = [];
  for (let count = 0; count < scenario.postSize; count++) {
    const channel = channelName(posted++ % scenario.channels);
    body.push(`{"channel":"${channel}","eventName":"event","payload":${payloadText()}}`);
  }
  const bytes = Buffer.from(scenario.postSize === 1 ? (body[0] as string) : `[${body.join(",")}]`);
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        port,
        host: "127.0.0.1",
        method: "POST",
        path: "/api/broadcast",
        agent,
        headers: {
          "content-type": "application/json",
          "content-length": bytes.length,
          "x-api-key": API_KEY,
        },
      },
      (response) => {
        if (response.statusCode !== 200) reject(new Error(`POST: ${response.statusCode}`));
        response.resume();
        response.on("end", resolve);
      },
    );
    outgoing.on("error", reject);
    outgoing.end(bytes);
  });
}

/** Frames of a publishing socket that may be unanswered; the relay reads no more. */
const WINDOW = 32;

/** Opens the relay's publishing socket, or NATS's, and keeps messages under way over it. */
async function keepSending(port: number): Promise<void> {
  let unanswered = 0;
  let n = 0;
  let send: (channels: readonly number[]) => void;
  if (kind === "nats") send = await natsPublisher(port);
  else {
    const options = { headers: { "x-api-key": API_KEY }, perMessageDeflate: false };
    const ws = new WebSocket(`ws://127.0.0.1:${port}/api/publish`, "rtm.publish.v1", options);
    await once(ws, "message");
    ws.on("message", () => {
      unanswered--;
      more();
    });
    const payload = payloadText();
    send = (channels) => {
      unanswered++;
      const messages = channels.map(
        (channel) =>
          `{"channel":"${channelName(channel)}","eventName":"event","payload":${payload}}`,
      );
      ws.send(`{"op":"publish","n":${n++},"messages":[${messages.join(",")}]}`);
    };
  }
  function more(): void {
    while (posted - completed + scenario.postSize <= scenario.inFlight && unanswered < WINDOW) {
      send(Array.from({ length: scenario.postSize }, () => posted++ % scenario.channels));
    }
  }
  onCompleted = more;
  more();
}

/** Keeps at most `inFlight` messages posted and not yet received, until this process is stopped. */
function keepPosting(port: number): void {
  while (posted - completed + scenario.postSize <= scenario.inFlight) {
    void post(port).then(() => keepPosting(port));
  }
}

function report(value: Report): void {
  process.send?.(value);
}

let serverPort = 0;

async function connectAll(command: Extract<Command, { do: "connect" }>): Promise<void> {
  serverPort = command.port;
  ackSocket = connect(command.ackPort, "127.0.0.1").setNoDelay();
  await once(ackSocket, "connect");
  for (let index = 0; index < scenario.connections; index += 50) {
    const count = Math.min(50, scenario.connections - index);
    await Promise.all(
      Array.from({ length: count }, (_, offset) =>
        openOne(index + offset, command.port, command.token),
      ),
    );
  }
  report({ is: "connected" });
}

async function run({
  warmUpMs,
  measureMs,
  startsAt,
}: Extract<Command, { do: "run" }>): Promise<void> {
  if (scenario.feed === "post") {
    onCompleted = () => keepPosting(serverPort);
    keepPosting(serverPort);
    return;
  }
  if (scenario.feed === "socket") {
    await keepSending(serverPort);
    return;
  }
  if (scenario.inFlight > 0) return;
  latencies = { startsAt, from: startsAt + warmUpMs, values: [] };
  const expected = Math.floor((measureMs / 1000) * scenario.ratePerSecond) * scenario.connections;
  const deadline = startsAt + warmUpMs + measureMs + LATE_MS;
  while (latencies.values.length < expected && sharedClock() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const values = Float64Array.from(latencies.values).sort();
  latencies = undefined;
  const at = (share: number) => values[Math.floor((values.length - 1) * share)] ?? Number.NaN;
  report({ is: "latency", p50: at(0.5), p99: at(0.99), count: values.length });
}

let storm: Storm | undefined;

process.on("message", (command: Command) => {
  if (command.do === "connect") void connectAll(command);
  else if (command.do === "run") void run(command);
  else if (command.do === "storm") {
    storm ??= new Storm(kind, command.port);
    void storm.comeBack(command.tokens).then(() => report({ is: "back" }));
  } else if (command.do === "leave") void storm?.leave().then(() => report({ is: "left" }));
  else if (command.do === "stop") process.exit(0);
});
process.on("disconnect", () => process.exit(0));
