/** The pages of the cluster benchmark: one socket each, spread over the nodes. */
import { io } from "socket.io-client";
import { WebSocket } from "ws";
import { type Command, channelName, type Kind, type Report } from "./protocol.ts";
import { Receipts } from "./receipts.ts";

const tell = (report: Report) => process.send?.(report);

/** Messages that a page which moves has missed. */
const MISSED = 1000;

const receipts = new Receipts();
let epoch = "";
let head = 0;

function connect(kind: Kind, port: number, channel: string): Promise<void> {
  return new Promise((resolve, reject) => {
    if (kind === "socket.io") {
      const socket = io(`http://127.0.0.1:${port}`, {
        transports: ["websocket"],
        query: { channel },
        forceNew: true,
      });
      socket.on("message", (text: string) => receipts.got(text));
      socket.on("connect", () => resolve());
      socket.on("connect_error", reject);
      return;
    }
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws?channel=${channel}`, {
      perMessageDeflate: false,
    });
    socket.on("message", (data) => receipts.got(data.toString()));
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
    const { kind, ports, channels, pages } = command;
    for (const port of ports) {
      for (const channel of channels) {
        await Promise.all(Array.from({ length: pages }, () => connect(kind, port, channel)));
      }
    }
    tell({ is: "connected" });
  } else if (command.do === "await") {
    tell(await receipts.report(command.deliveries));
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
