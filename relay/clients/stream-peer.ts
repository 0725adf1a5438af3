/** A client that reads an event stream: it has said all it has to say with its request. */
import type { ServerResponse } from "node:http";
import { CLOSE, type CloseName } from "../contract/protocol.ts";
import { StreamWire } from "../wire/stream-wire.ts";
import { closeReason } from "../wire/wire.ts";
import type { Peer, PeerOwner } from "./peer.ts";

/** How long a client has to take what was written before its stream was closed, ms. */
const LEAVE_MS = 5000;
/** How long an EventSource waits before it comes back, ms. */
const RETRY_MS = 2000;

/** The line that names an event of `GET /sse` that is no message. */
export const CONTROL_EVENT = "event: rtm\n";

/**
 * An EventSource gives up for good at every status but 200, so only what will not pass has another
 * (WHATWG HTML, "Server-sent events", processing model).
 */
const SSE_STATUS: ReadonlyMap<number, number> = new Map([
  [CLOSE.token_expired, 401],
  [CLOSE.token_invalid, 401],
  [CLOSE.token_required, 401],
  [CLOSE.token_revoked, 401],
  [CLOSE.token_limit, 403],
  [CLOSE.forbidden, 403],
  [CLOSE.origin_not_allowed, 403],
  [CLOSE.bad_request, 400],
]);

export interface HttpPeerOptions {
  readonly address: string | undefined;
  /** No other response is under way on its socket. */
  readonly response: ServerResponse;
  /** Of the answer. */
  readonly headers: Readonly<Record<string, string>>;
  /** `sse`: in place of the usual one. */
  readonly retryMs?: number | undefined;
}

export class StreamPeer implements Peer {
  readonly kind: "stream" | "sse";
  readonly answers = false;
  readonly address: string | undefined;
  readonly wire: StreamWire;
  readonly #response: ServerResponse;

  constructor(kind: "stream" | "sse", options: HttpPeerOptions) {
    const { address, response, headers, retryMs = RETRY_MS } = options;
    this.kind = kind;
    this.address = address;
    this.#response = response;
    const head =
      kind === "sse"
        ? {
            retryMs,
            control: CONTROL_EVENT,
            statusOf: (code: number) => SSE_STATUS.get(code) ?? 200,
          }
        : { retryMs: undefined, control: "", statusOf: () => 200 };
    this.wire = new StreamWire(response, { ...head, headers });
  }

  /** Closes it without a connection. */
  refuse(name: CloseName, reason: string): void {
    this.wire.close(CLOSE[name], closeReason(reason));
    this.dismiss();
  }

  get gone(): boolean {
    return this.#response.closed;
  }

  serve(owner: PeerOwner): void {
    this.#response.on("close", () => owner.ended());
  }

  pause(): void {}
  resume(): void {}

  dismiss(): void {
    const leaving = setTimeout(() => this.terminate(), LEAVE_MS).unref();
    this.#response.on("close", () => clearTimeout(leaving));
  }

  silence(): void {
    this.dismiss();
  }

  terminate(): void {
    this.wire.destroy();
  }
}
