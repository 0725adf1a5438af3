/**
 * Which way the connection takes: a WebSocket, or where something on the path eats WebSockets an event
 * stream or polls (docs/client.md). What decides is in fallback.ts, which is fetched at the first doubt.
 */

import type { Environment } from "./environment.ts";
import type { Fallback } from "./fallback.ts";
import type { Carrier } from "./http-socket.ts";
import { NOT_LOADED, type Socket, type SocketHandlers } from "./socket.ts";

export type Via = "websocket" | Carrier;

export class Ways {
  enabled = true;
  readonly #env: Environment;
  readonly #url: string;
  /** Goes on with a WebSocket that has been answered. */
  readonly #takeOver: (socket: Socket, connected: string) => SocketHandlers;
  /** Another way is gone, or its file could not be had. */
  readonly #changed: (code?: typeof NOT_LOADED) => void;
  #fallback: Fallback | undefined;
  /** The way of the tab's earlier page. */
  #stored: boolean;
  /** A WebSocket was answered: what fails later is an outage. */
  #proven = false;

  constructor(
    env: Environment,
    url: string,
    takeOver: (socket: Socket, connected: string) => SocketHandlers,
    changed: (code?: typeof NOT_LOADED) => void,
  ) {
    this.#env = env;
    this.#url = url;
    this.#takeOver = takeOver;
    this.#changed = changed;
    this.#stored = !!env.fallback?.stored(url);
  }

  get via(): Via {
    return this.#fallback?.via ?? "websocket";
  }

  /** Opens a socket of the kind that is to be tried now; calls `open` after it has returned. */
  open(handlers: SocketHandlers): Socket {
    if (this.#fallback) return this.#fallback.open(handlers);
    if (!this.enabled || !this.#stored) return this.#env.connect(this.#url, handlers);
    this.#stored = false;
    let socket: Socket | undefined;
    let ended = false;
    this.#load().then(
      (fallback) => {
        if (!ended) socket = fallback.open(handlers);
      },
      () => {
        if (!ended) handlers.close(NOT_LOADED);
      },
    );
    return {
      send: (text) => socket?.send(text),
      abandon() {
        ended = true;
        socket?.abandon();
      },
    };
  }

  async #load(): Promise<Fallback> {
    const { fallback } = await this.#env.more();
    this.#fallback ??= fallback({
      url: this.#url,
      connect: this.#env.connect,
      onVia: () => this.#changed(),
      takeOver: this.#takeOver,
    });
    return this.#fallback;
  }

  /** Whether a socket that is not answered soon would mean something. */
  get impatient(): boolean {
    const { fallback } = this.#env;
    return this.via === "websocket" && !this.#proven && this.enabled && !!fallback?.watched();
  }

  connected(): void {
    if (this.via === "websocket") this.#proven = true;
    this.#fallback?.connected();
  }

  /**
   * The socket is gone.
   * @param code a close code, or 1006
   * @param livedMs since `connected`; undefined when it was not answered
   */
  lost(code: number, livedMs: number | undefined, pingMs: number): void {
    const { fallback } = this.#env;
    const unanswered = livedMs === undefined;
    if (this.via === "websocket" && code < 4000 && unanswered) {
      // An outage, or nobody to whom it matters.
      if (this.#proven || !fallback?.watched()) return;
    }
    if (this.#fallback) this.#fallback.lost(code, livedMs, pingMs);
    else if (fallback && this.enabled && code < 4000 && (unanswered || livedMs < pingMs)) {
      this.#load().then(
        (loaded) => loaded.lost(code, livedMs, pingMs),
        () => this.#changed(NOT_LOADED),
      );
    }
  }

  /** No socket is wanted now. */
  rest(): void {
    this.#fallback?.rest();
  }

  /** Another network, perhaps. */
  online(connected: boolean): void {
    this.#proven = false;
    this.#fallback?.online(connected);
  }
}
