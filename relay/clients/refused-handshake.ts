/** Requests that do not become a WebSocket: why, and what each is answered. */
import { maxHeaderSize, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { SUBPROTOCOL } from "../contract/protocol.ts";

export interface RefusalAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers?: readonly string[] | undefined;
  /** Default: plain text. */
  readonly type?: string;
}

/** Why a request does not become a WebSocket, and what it is answered. */
export const HANDSHAKE_REFUSALS = {
  protocol: { status: 400, text: "send HTTP/1.1 without the header Upgrade" },
  path: { status: 404, text: "WebSockets are served at /ws and at / and nowhere else." },
  subprotocol: {
    status: 400,
    text: `The subprotocol must be ${SUBPROTOCOL}; without the header it is a plain URL subscription.`,
  },
  handshake: {
    status: 400,
    text: "This is no WebSocket handshake.",
    headers: ["Sec-WebSocket-Version: 13"],
  },
  upgrade_missing: {
    status: 426,
    text:
      "This is a WebSocket endpoint, and the request came without the header Upgrade: " +
      "a proxy on the way removes it. nginx needs proxy_http_version 1.1, " +
      'proxy_set_header Upgrade $http_upgrade and proxy_set_header Connection "upgrade".',
  },
  address: {
    status: 429,
    text: "Too many clients of this address were refused lately.",
    headers: ["Retry-After: 10"],
  },
  not_serving: {
    status: 503,
    text: "This node does not serve now.",
    headers: ["Retry-After: 1"],
  },
  headers_too_large: {
    status: 431,
    text: `The headers, cookies among them, are larger than ${maxHeaderSize} bytes.`,
  },
  request_timeout: { status: 408, text: "The request did not arrive in time." },
  request_malformed: { status: 400, text: "This is no HTTP request." },
} as const satisfies Readonly<Record<string, RefusalAnswer>>;

export type HandshakeRefusal = keyof typeof HANDSHAKE_REFUSALS;

/** By codes of Node's HTTP parser. */
export const MALFORMED: Readonly<Record<string, HandshakeRefusal>> = {
  HPE_HEADER_OVERFLOW: "headers_too_large",
  ERR_HTTP_REQUEST_TIMEOUT: "request_timeout",
};

/** Answers a request for an upgrade over its socket, which then closes. */
export function answerUpgrade(
  socket: Duplex,
  { status, text, headers = [], type = "text/plain; charset=utf-8" }: RefusalAnswer,
): void {
  socket.once("finish", () => socket.destroy());
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    ...headers,
    "Connection: close",
    `Content-Type: ${type}`,
    `Content-Length: ${Buffer.byteLength(text)}`,
  ];
  socket.end(`${lines.join("\r\n")}\r\n\r\n${text}`);
}
