/** One node of the cluster benchmark. Arguments: kind, port of the engine. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdapter } from "@socket.io/redis-streams-adapter";
import { Redis } from "ioredis";
import { Server as SocketIo } from "socket.io";
import { type WebSocket, WebSocketServer } from "ws";
import { parseConfig } from "../../common/config.ts";
import { relayConfig } from "../../relay/config/config.ts";
import type { Message } from "../../relay/contract/message.ts";
import { startRelay } from "../../relay/relay.ts";
import { log, sharedLog } from "./log.ts";
import {
  type Command,
  channelName,
  type Kind,
  LAST,
  PAYLOAD_BYTES,
  type Report,
  sharedClock,
} from "./protocol.ts";

const [kind, enginePort] = [process.argv[2] as Kind, Number(process.argv[3])];
const tell = (report: Report) => process.send?.(report);

/** Sends one batch; resolves when the node may send the next. */
type Publish = (batch: readonly Message[]) => Promise<unknown>;

const starts: Record<Kind, () => Promise<{ port: number; publish: Publish }>> = {
  ours: () => relay(true),
  one: () => relay(false),
  pubsub,
  "socket.io": socketIo,
};

async function relay(shared: boolean) {
  const config = parseConfig(relayConfig, { port: 0, insecure: true, origins: ["*"] });
  const running = await startRelay(config, {
    log,
    ...(shared && { messageLog: sharedLog(enginePort) }),
  });
  const source = { name: "queue:BENCH" };
  return {
    port: running.port,
    publish: (batch: readonly Message[]) => running.publisher.publish(batch, source),
  };
}

async function pubsub() {
  const rooms = new Map<string, Set<WebSocket>>();
  const server = createServer();
  new WebSocketServer({ server, perMessageDeflate: false }).on("connection", (socket, request) => {
    const channel =
      new URL(request.url ?? "", "http://localhost").searchParams.get("channel") ?? "";
    const room = rooms.get(channel) ?? new Set();
    rooms.set(channel, room.add(socket));
    socket.on("close", () => room.delete(socket));
  });
  const subscriber = new Redis(enginePort, "127.0.0.1");
  await subscriber.psubscribe("channel-*");
  subscriber.on("pmessage", (_pattern, channel, text) => {
    for (const socket of rooms.get(channel) ?? []) socket.send(text);
  });
  const publisher = new Redis(enginePort, "127.0.0.1");
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    publish: (batch: readonly Message[]) => {
      const pipeline = publisher.pipeline();
      for (const message of batch) pipeline.publish(message.channel, textOf(message));
      return pipeline.exec();
    },
  };
}

async function socketIo() {
  const server = createServer();
  const client = new Redis(enginePort, "127.0.0.1");
  const adapter = createAdapter(client, { maxLen: 10_000 });
  const io = new SocketIo(server, { adapter, transports: ["websocket"] });
  io.on("connection", (socket) => {
    socket.join(String(socket.handshake.query.channel));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    // It says nothing about when a message is in the stream: a ping on its connection does.
    publish: (batch: readonly Message[]) => {
      for (const message of batch) io.to(message.channel).emit("message", textOf(message));
      return client.ping();
    },
  };
}

function textOf({ channel, eventName, payload, id, ts }: Message): string {
  return `{"channel":"${channel}","eventName":"${eventName}","payload":${payload},"id":"${id}","ts":${ts}}`;
}

let count = 0;
function nextMessage(channel: (n: number) => string): Message {
  const n = count++;
  const head = `{"at":${sharedClock()},"n":${n},"p":"`;
  const payload = `${head}${"x".repeat(Math.max(0, PAYLOAD_BYTES - head.length - 2))}"}`;
  // As the database gives them: 16 bytes in hex. Made cheaply, since the publisher's time counts.
  const id = n.toString(16).padStart(32, "0");
  return { channel: channel(n), eventName: "order-created", payload, id, ts: Date.now() };
}

const { port, publish } = await starts[kind]();
const began = process.cpuUsage();
tell({ is: "listening", port });

process.on("message", async (command: Command) => {
  if (command.do === "cpu") {
    const { user, system } = process.cpuUsage(began);
    tell({ is: "cpu", seconds: (user + system) / 1e6 });
  } else if (command.do === "publish") {
    const { messages, channels, batch, everyMs } = command;
    const next = () => nextMessage((n) => channelName(n % channels));
    const start = performance.now();
    for (let sent = 0; sent < messages; sent += batch) {
      await publish(Array.from({ length: batch }, next));
      if (everyMs > 0) await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
    tell({ is: "published", seconds: (performance.now() - start) / 1000 });
  } else if (command.do === "last") {
    await publish([nextMessage(() => LAST)]);
  } else if (command.do === "stop") process.exit(0);
});
