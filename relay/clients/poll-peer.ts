/** A client that asks again and again: each request is a connection that ends with its answer. */
import type { ServerResponse } from "node:http";
import { CLOSE, type CloseName } from "../contract/protocol.ts";
import { CollectingWire } from "../wire/collecting-wire.ts";
import type { Peer, PeerOwner } from "./peer.ts";
import type { HttpPeerOptions } from "./stream-peer.ts";

export class PollPeer implements Peer {
  readonly kind = "poll";
  readonly answers = false;
  readonly address: string | undefined;
  readonly wire: CollectingWire;
  readonly #response: ServerResponse;
  readonly #headers: Readonly<Record<string, string>>;
  #owner: PeerOwner | undefined;
  #waiting: NodeJS.Timeout | undefined;
  #due: NodeJS.Immediate | undefined;
  #answered = false;

  constructor({ address, response, headers }: HttpPeerOptions) {
    this.address = address;
    this.#response = response;
    this.#headers = headers;
    this.wire = new CollectingWire(
      () => this.#answerSoon(),
      () => response.destroy(),
    );
  }

  get gone(): boolean {
    return this.#response.closed || this.#response.writableFinished;
  }

  serve(owner: PeerOwner): void {
    this.#owner = owner;
    this.#response.on("close", () => this.#end());
  }

  /** Answers it without a connection. */
  refuse(name: CloseName, reason: string): void {
    this.wire.close(CLOSE[name], reason);
    this.dismiss();
  }

  hold(waitMs: number): void {
    this.#waiting = setTimeout(() => this.#answerSoon(), waitMs).unref();
  }

  pause(): void {}
  resume(): void {}

  /** The last frame is written: the answer goes with it. */
  dismiss(): void {
    this.#answer();
  }

  silence(): void {
    this.#answer();
  }

  terminate(): void {
    if (!this.gone) this.#response.destroy();
  }

  /** At the end of the turn, with all that it brings. */
  #answerSoon(): void {
    this.#due ??= setImmediate(() => this.#answer());
  }

  #answer(): void {
    if (this.#answered) return;
    this.#answered = true;
    const text = this.wire.answer();
    this.wire.open = false;
    this.#response.writeHead(200, {
      ...this.#headers,
      "content-type": "application/json; charset=utf-8",
      "content-length": Buffer.byteLength(text),
      "cache-control": "no-store",
    });
    this.#response.end(text);
    this.#end();
  }

  #end(): void {
    clearTimeout(this.#waiting);
    clearImmediate(this.#due);
    this.#owner?.ended();
  }
}
