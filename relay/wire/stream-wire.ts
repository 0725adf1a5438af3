/**
 * A way out over HTTP: a text/event-stream whose body ends with its connection, so that the finished
 * events of all clients go to the socket as they are, without a chunk header for each client.
 */
import type { ServerResponse } from "node:http";
import { COMMENT, eventOf } from "./event.ts";
import type { Frames } from "./frame.ts";
import type { Wire } from "./wire.ts";

export interface StreamHead {
  readonly headers: Readonly<Record<string, string>>;
  /** How long an EventSource waits before it comes back, ms; undefined: its own idea of it. */
  readonly retryMs: number | undefined;
  /** Lines of each event that is no message, each with its end. */
  readonly control: string;
  /** The HTTP status for a client that is closed with `code` before anything was written. */
  statusOf(code: number): number;
}

const HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-store, no-transform",
  // nginx.
  "x-accel-buffering": "no",
  connection: "close",
};

export class StreamWire implements Wire {
  readonly #response: ServerResponse;
  readonly #socket: NonNullable<ServerResponse["socket"]>;
  readonly #head: StreamHead;
  #begun = false;
  #ended = false;

  /** @param response one that has its socket, so no other response is under way there */
  constructor(response: ServerResponse, head: StreamHead) {
    this.#response = response;
    this.#socket = response.socket as NonNullable<ServerResponse["socket"]>;
    this.#head = head;
    this.#socket.setNoDelay(true);
  }

  get pending(): number {
    return this.#socket.writableLength;
  }

  get open(): boolean {
    return !this.#ended && !this.#socket.destroyed;
  }

  write({ frames, joined, headOf }: Frames): void {
    if (!this.open) return;
    this.#begin();
    if (!headOf) {
      this.#socket.write(joined);
      return;
    }
    this.#socket.cork();
    for (const [index, frame] of frames.entries()) {
      this.#socket.write(headOf(index));
      this.#socket.write(frame);
    }
    this.#socket.uncork();
  }

  /** Writes what is no event. */
  lines(text: string): void {
    if (!this.open) return;
    this.#begin();
    this.#socket.write(text);
  }

  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  ping(): void {
    if (!this.open) return;
    this.#begin();
    this.#socket.write(COMMENT);
  }

  pong(): void {}

  close(code: number, reason: string): void {
    if (!this.open) return;
    const status = this.#begun ? 200 : this.#head.statusOf(code);
    const text = JSON.stringify({ op: "close", code, reason });
    if (status === 200) {
      this.#begin();
      this.#socket.write(eventOf(Buffer.from(text), this.#head.control));
      this.#response.end();
    } else {
      const headers = { "content-type": "application/json; charset=utf-8", connection: "close" };
      this.#response.writeHead(status, { ...this.#head.headers, ...headers }).end(text);
    }
    this.#ended = true;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  onDrain(listener: () => void): void {
    this.#socket.on("drain", listener);
  }

  #begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    // Neither a length nor chunks: the body ends with the connection (RFC 9112 section 6.3).
    this.#response.removeHeader("transfer-encoding");
    this.#response.writeHead(200, { ...HEADERS, ...this.#head.headers }).flushHeaders();
    if (this.#head.retryMs !== undefined) this.#socket.write(`retry: ${this.#head.retryMs}\n\n`);
  }
}
