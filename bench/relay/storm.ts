/**
 * The load of the row "reconnect storm": pages that come back after a restart, each with a token of
 * its own and three positions. Raw sockets, because a client that parses would cost more than the
 * server.
 */
import { connect, type Socket } from "node:net";
import { channelName, type ServerKind } from "./protocol.ts";

/** Pages that are on their way in at a time. */
const AT_ONCE = 50;
const CHANNELS = 3;
const LEAVE_MS = 500;

const UPGRADED = Buffer.from("\r\n\r\n");
const SUBSCRIBED = Buffer.from('"op":"subscribed"');

function handshake(kind: ServerKind): string {
  return [
    `GET ${kind === "relay" ? "/ws" : "/"} HTTP/1.1`,
    "Host: apex.example.com",
    "Origin: https://apex.example.com",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Accept-Language: en-US,en;q=0.9",
    `Cookie: ORA_WWV_APP_100=ORA_WWV-${"x".repeat(24)}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    ...(kind === "relay" ? ["Sec-WebSocket-Protocol: rtm.v1"] : []),
    "",
    "",
  ].join("\r\n");
}

/** A text frame of a client, masked with zeros. */
function frame(text: string): Buffer {
  const bytes = Buffer.from(text);
  const head = Buffer.alloc(8);
  head[0] = 0x81;
  head[1] = 0x80 | 126;
  head.writeUInt16BE(bytes.length, 2);
  return Buffer.concat([head, bytes]);
}

function count(haystack: Buffer, needle: Buffer): number {
  let found = 0;
  for (let at = haystack.indexOf(needle); at >= 0; at = haystack.indexOf(needle, at + 1)) found++;
  return found;
}

export class Storm {
  readonly #kind: ServerKind;
  readonly #port: number;
  #sockets: Socket[] = [];
  /** Where the channels were when they were subscribed last. */
  #since: { epoch: string; seq: number } | undefined;

  constructor(kind: ServerKind, port: number) {
    this.#kind = kind;
    this.#port = port;
  }

  /** All pages leave; the server has a moment to notice. */
  async leave(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets = [];
    await new Promise((resolve) => setTimeout(resolve, LEAVE_MS));
  }

  /** A page with each of the tokens comes back; resolves when all are where they were. */
  async comeBack(tokens: readonly string[]): Promise<void> {
    const left = [...tokens];
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (let token = left.pop(); token !== undefined; token = left.pop()) {
          await this.#page(token);
        }
      }),
    );
  }

  #page(token: string): Promise<void> {
    const since = this.#since;
    const subscribe = Array.from({ length: CHANNELS }, (_, index) => ({
      channel: channelName(index),
      since,
    }));
    return new Promise((resolve, reject) => {
      const socket = connect(this.#port, "127.0.0.1");
      this.#sockets.push(socket);
      let received = Buffer.alloc(0);
      let upgraded = false;
      socket.setNoDelay().on("error", reject).write(handshake(this.#kind));
      socket.on("data", (chunk) => {
        received = Buffer.concat([received, chunk]);
        if (!upgraded && received.includes(UPGRADED)) {
          upgraded = true;
          if (this.#kind === "plain") resolve();
          else socket.write(frame(JSON.stringify({ op: "connect", token, subscribe })));
        }
        if (count(received, SUBSCRIBED) < CHANNELS) return;
        const text = received.toString("latin1");
        if (since !== undefined && text.includes('"recovered":false')) {
          reject(new Error(`a page could not recover: ${text}`));
        }
        this.#since ??= {
          epoch: /"epoch":"([^"]+)"/.exec(text)?.[1] as string,
          seq: Number(/"seq":(\d+)/.exec(text)?.[1]),
        };
        resolve();
      });
    });
  }
}
