/** The three ways in, each as a connection that is asked something and brings frames. */
import { type ClientRequest, request } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocket } from "ws";
import { EventReader } from "../../protocol-kit/event-stream.ts";

export type Carrier = "websocket" | "stream" | "poll";

export interface Frame {
  readonly op?: string;
  readonly [key: string]: unknown;
}

export interface Handlers {
  readonly frame: (frame: Frame) => void;
  /** It is over. `code` is what the relay said; undefined: it, or the network, said nothing. */
  readonly end: (code: number | undefined) => void;
}

export interface Link {
  /** Only a WebSocket can be asked more. */
  send(frame: object): void;
  /** Goes away as a network does; `end` is not called. */
  cut(): void;
}

export function connect(carrier: Carrier, end: Duplex, ask: object, handlers: Handlers): Link {
  let over = false;
  const ended = (code?: number) => {
    if (over) return;
    over = true;
    handlers.end(code);
  };
  const frame = (text: string) => {
    if (over) return;
    const parsed = JSON.parse(text) as Frame;
    if (parsed.op === "close") ended(parsed.code as number);
    else handlers.frame(parsed);
  };
  const open = { websocket: overWebSocket, stream: overStream, poll: overPoll };
  const send = open[carrier](end, { op: "connect", ...ask }, frame, ended);
  return {
    send,
    cut: () => {
      over = true;
      end.destroy();
    },
  };
}

/** @returns what sends more */
type Open = (
  end: Duplex,
  ask: object,
  frame: (text: string) => void,
  ended: (code?: number) => void,
) => (frame: object) => void;

const overWebSocket: Open = (end, ask, frame, ended) => {
  const createConnection = () => end as never;
  const options = { perMessageDeflate: false, createConnection };
  const ws = new WebSocket("ws://relay/ws", ["rtm.v1"], options);
  ws.on("error", () => {});
  ws.on("open", () => ws.send(JSON.stringify(ask)));
  ws.on("message", (data) => {
    const text = data.toString();
    if (text === '{"op":"ping"}') ws.send('{"op":"pong"}');
    else frame(text);
  });
  ws.on("close", (code) => ended(code < 4000 ? undefined : code));
  return (more) => ws.send(JSON.stringify(more));
};

const overStream: Open = (end, ask, frame, ended) => {
  post(end, "/stream", ask)
    .on("error", () => ended())
    .on("response", (response) => {
      const reader = new EventReader(response);
      response.on("data", () => {
        for (const { data } of reader.events.splice(0)) frame(data);
      });
      response.on("close", () => ended());
    });
  return nothingMore;
};

const overPoll: Open = (end, ask, frame, ended) => {
  post(end, "/poll", ask)
    .on("error", () => ended())
    .on("response", (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        text += part;
      });
      response.on("error", () => ended());
      response.on("end", () => {
        const { frames = [] } = JSON.parse(text) as { frames?: Frame[] };
        for (const each of frames) frame(JSON.stringify(each));
        ended();
      });
    });
  return nothingMore;
};

function post(end: Duplex, path: string, ask: object): ClientRequest {
  const headers = { host: "relay", "content-type": "text/plain" };
  const asked = request({ path, method: "POST", headers, createConnection: () => end as never });
  asked.end(JSON.stringify(ask));
  return asked;
}

function nothingMore(): never {
  throw new Error("it takes nothing more");
}

/** Asks by REST, over a connection of its own. */
export function get(end: Duplex, path: string, key: string): Promise<object> {
  return new Promise((resolve, reject) => {
    const headers = { host: "relay", "x-api-key": key };
    const asked = request({ path, headers, createConnection: () => end as never });
    asked.on("error", reject).on("response", (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        text += part;
      });
      response.on("error", reject);
      response.on("end", () => resolve(JSON.parse(text) as object));
    });
    asked.end();
  });
}
