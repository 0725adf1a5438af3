/** A client at the other end of a WebSocket. */
import type { Duplex } from "node:stream";
import { type RawData, WebSocket } from "ws";
import type { Wire, WireFactory } from "../wire/wire.ts";
import type { Farewells } from "./farewells.ts";
import type { Peer, PeerOwner } from "./peer.ts";

/** A WebSocket that knows whose it is, so that listeners need no closures. */
export class RelaySocket extends WebSocket {
  peer: WebSocketPeer | undefined;
}

function ownerOf(ws: WebSocket): PeerOwner | undefined {
  return (ws as RelaySocket).peer?.owner;
}

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  ownerOf(this)?.received(data as Buffer, isBinary);
}

function onPing(this: WebSocket, data: Buffer): void {
  ownerOf(this)?.pinged(data);
}

function onPong(this: WebSocket): void {
  ownerOf(this)?.ponged();
}

function onClose(this: WebSocket): void {
  ownerOf(this)?.ended();
}

function onError(this: WebSocket, error: Error & { readonly code?: string }): void {
  (this as RelaySocket).peer?.failed(error);
}

export interface WebSocketPeerOptions {
  readonly ws: RelaySocket;
  /** What it was upgraded from. */
  readonly socket: Duplex;
  readonly address: string | undefined;
  readonly makeWire: WireFactory;
  readonly farewells: Farewells;
}

export class WebSocketPeer implements Peer {
  readonly kind = "websocket";
  readonly answers = true;
  readonly address: string | undefined;
  readonly wire: Wire;
  owner: PeerOwner | undefined;
  readonly #ws: RelaySocket;
  readonly #socket: Duplex;
  readonly #farewells: Farewells;

  constructor({ ws, socket, address, makeWire, farewells }: WebSocketPeerOptions) {
    this.address = address;
    this.wire = makeWire(ws, socket);
    this.#ws = ws;
    this.#socket = socket;
    this.#farewells = farewells;
    ws.peer = this;
  }

  get gone(): boolean {
    return this.#ws.readyState === this.#ws.CLOSED;
  }

  serve(owner: PeerOwner): void {
    this.owner = owner;
    const ws = this.#ws;
    ws.on("message", onMessage);
    ws.on("ping", onPing);
    ws.on("pong", onPong);
    ws.on("close", onClose);
    ws.on("error", onError);
  }

  pause(): void {
    this.#ws.pause();
  }

  resume(): void {
    this.#ws.resume();
  }

  dismiss(): void {
    // Its close frame must be read, also by a reader that was paused, or both sides wait out a timer.
    this.#ws.resume();
    this.#farewells.closed(this.#socket);
  }

  silence(): void {
    this.#ws.pause();
    this.#farewells.silenced(this.#socket);
  }

  terminate(): void {
    this.#ws.terminate();
  }

  /** @internal The connection broke, or its bytes are none that `ws` takes; it closes. */
  failed(error: Error & { readonly code?: string }): void {
    const breach = error.code?.startsWith("WS_ERR_") ?? false;
    if (breach) this.#farewells.refused(this.#socket);
    this.owner?.failed(error, breach);
  }
}
