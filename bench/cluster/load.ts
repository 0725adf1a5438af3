/** The pages of the cluster benchmark: one socket each, spread over the nodes. */
import { io } from "socket.io-client";
import { WebSocket } from "ws";
import {
  CHANNELS,
  type Command,
  channelName,
  type Kind,
  type Report,
  sharedClock,
} from "./protocol.ts";

/** One page per channel and node. */
const tell = (report: Report) => process.send?.(report);

/** Messages that a page which moves has missed. */
const MISSED = 1000;

let received = 0;
let pages = 0;
let latencies: number[] = [];
let epoch = "";
let head = 0;
let waiting: (() => void) | undefined;

function got(text: string): void {
  received++;
  const at = text.indexOf('"at":');
  if (at > 0) latencies.push(sharedClock() - Number.parseFloat(text.slice(at + 5, at + 30)));
  waiting?.();
}

function connect(kind: Kind, port: number, channel: string): Promise<void> {
  pages++;
  return new Promise((resolve, reject) => {
    if (kind === "socket.io") {
      const socket = io(`http://127.0.0.1:${port}`, {
        transports: ["websocket"],
        query: { channel },
        forceNew: true,
      });
      socket.on("message", got);
      socket.on("connect", () => resolve());
      socket.on("connect_error", reject);
      return;
    }
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws?channel=${channel}`, {
      perMessageDeflate: false,
    });
    socket.on("message", (data) => got(data.toString()));
    socket.on("open", () => resolve());
    socket.on("error", reject);
  });
}

/** Comes with a position from before the last messages, and counts what it is given. */
function move(port: number, channel: string, wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, "rtm.v1");
    let count = 0;
    socket.on("open", () =>
      socket.send(
        JSON.stringify({
          op: "connect",
          subscribe: [
            epoch === "" ? { channel } : { channel, since: { epoch, seq: head - MISSED } },
          ],
        }),
      ),
    );
    socket.on("message", (data) => {
      const frame = JSON.parse(data.toString()) as {
        op?: string;
        epoch?: string;
        seq?: number;
        recovered?: boolean;
      };
      if (frame.op === "subscribed") {
        if (epoch === "") {
          epoch = frame.epoch as string;
          head = frame.seq as number;
        } else if (!frame.recovered) reject(new Error("a page that moved was told to refresh"));
        if (wanted === 0) done();
      } else if (frame.op === undefined && ++count === wanted) done();
    });
    const done = () => {
      socket.terminate();
      resolve(count);
    };
    socket.on("error", reject);
  });
}

process.on("message", async (command: Command) => {
  if (command.do === "connect") {
    for (const port of command.ports) {
      for (let index = 0; index < CHANNELS; index++) {
        await connect(command.kind, port, channelName(index));
      }
    }
    tell({ is: "connected" });
  } else if (command.do === "await") {
    const wanted = (command.messages * pages) / CHANNELS;
    // Without a guarantee some may never come: then what has come by the deadline is the answer.
    const deadline = setTimeout(() => waiting?.(), 20_000);
    const end = performance.now() + 20_000;
    await new Promise<void>((resolve) => {
      waiting = () => {
        if (received >= wanted || performance.now() >= end) resolve();
      };
      waiting();
    });
    clearTimeout(deadline);
    waiting = undefined;
    const sorted = latencies.sort((a, b) => a - b);
    const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
    tell({ is: "received", messages: received, p50: at(0.5), p99: at(0.99) });
    received = 0;
    latencies = [];
  } else if (command.do === "move") {
    const { ports, pages: moving } = command;
    await move(ports[0] as number, channelName(0), 0);
    const start = performance.now();
    let messages = 0;
    for (let from = 0; from < moving; from += 50) {
      const some = Array.from({ length: Math.min(50, moving - from) }, (_, k) =>
        move(ports[(from + k) % ports.length] as number, channelName(0), MISSED),
      );
      for (const count of await Promise.all(some)) messages += count;
    }
    tell({ is: "moved", seconds: (performance.now() - start) / 1000, messages });
  } else if (command.do === "stop") process.exit(0);
});
