/** One answer in the format `text/event-stream` (WHATWG HTML, section 9.2). */
import type { ServerResponse } from "node:http";

/** Unread bytes at which a viewer is taken for gone. */
const MOST_UNREAD_BYTES = 1024 * 1024;
/** How soon a browser comes back after its stream has ended, ms. */
const RETRY_MS = 2_000;

export class EventStream {
  readonly #response: ServerResponse;

  /** Begins the answer. */
  constructor(response: ServerResponse) {
    this.#response = response;
    response.writeHead(200, {
      "content-type": "text/event-stream",
      // A proxy that collects would show everything late.
      "x-accel-buffering": "no",
    });
    response.write(`retry: ${RETRY_MS}\n\n`);
  }

  /** Called once, when the viewer has gone or the stream was ended. */
  onEnd(run: () => void): void {
    this.#response.once("close", run);
  }

  /** @param json without line breaks, as `JSON.stringify` writes it */
  send(event: string, json: string): void {
    const response = this.#response;
    if (response.writableLength > MOST_UNREAD_BYTES) response.destroy();
    else response.write(`event: ${event}\ndata: ${json}\n\n`);
  }

  end(): void {
    this.#response.end();
  }
}
