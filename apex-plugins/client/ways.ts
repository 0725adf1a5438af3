/**
 * Which way the connection takes: a WebSocket, or where something on the path eats WebSockets an event
 * stream or polls (docs/client.md). It climbs back by itself.
 */

import type { Environment, Socket, SocketHandlers } from "./environment.ts";
import { type Carrier, HttpSocket } from "./http-socket.ts";

export type Via = "websocket" | Carrier;

/** Sockets without an answer, and short-lived ones, after which another way is tried. */
const MISSES = 2;
const DEATHS = 3;
/** How long a socket is tried before it is taken over, ms. */
const PROBE_MS = 15_000;
/** First and longest pause between two such trials, ms. */
const FIRST_PROBE = 60_000;
const LAST_PROBE = 1_800_000;

export class Ways {
  via: Via = "websocket";
  enabled = true;
  readonly #env: Environment;
  readonly #url: string;
  /** Goes on with a WebSocket that has been answered. */
  readonly #takeOver: (socket: Socket, connected: string) => SocketHandlers;
  readonly #changed: () => void;
  /** WebSockets do not get through, as far as is known. */
  #fallen: boolean;
  /** Streams do not get through either. */
  #polls: boolean;
  #misses = 0;
  #deaths = 0;
  /** A WebSocket was answered: what fails later is an outage. */
  #proven = false;
  #probeMs = FIRST_PROBE;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #probing: Socket | undefined;
  #http: HttpSocket | undefined;

  constructor(
    env: Environment,
    url: string,
    takeOver: (socket: Socket, connected: string) => SocketHandlers,
    changed: () => void,
  ) {
    this.#env = env;
    this.#url = url;
    this.#takeOver = takeOver;
    this.#changed = changed;
    const stored = env.http?.stored(url);
    this.#fallen = stored !== undefined;
    this.#polls = stored === "poll";
  }

  /** Opens a socket of the kind that is to be tried now; calls `open` after it has returned. */
  open(handlers: SocketHandlers): Socket {
    const { http } = this.#env;
    if (!http || !this.enabled || !this.#fallen) {
      this.via = "websocket";
      return this.#env.connect(this.#url, handlers);
    }
    this.via = this.#polls ? "poll" : "stream";
    this.#http = new HttpSocket(http, this.#url, handlers, this.via, (via) => {
      this.via = via;
      this.#changed();
    });
    return this.#http;
  }

  /** Whether a socket that is not answered soon would mean something. */
  get impatient(): boolean {
    const { http } = this.#env;
    return this.via === "websocket" && !this.#proven && this.enabled && !!http?.watched();
  }

  connected(): void {
    if (this.via === "websocket") {
      this.#proven = true;
      this.#misses = 0;
      if (this.#deaths === 0) this.#env.http?.store(this.#url, undefined);
      return;
    }
    const known = this.#env.http?.stored(this.#url) !== undefined;
    this.#env.http?.store(this.#url, this.#http!.stored);
    // Was it an outage that is over by now?
    this.#probeLater(known || this.#deaths > 0 ? undefined : 0);
  }

  /**
   * The socket is gone.
   * @param code a close code, or 1006
   * @param livedMs since `connected`; undefined when it was not answered
   */
  lost(code: number, livedMs: number | undefined, pingMs: number): void {
    this.rest();
    if (this.via !== "websocket") {
      // Not even that: the other way again, and if that fails too, this one.
      if (livedMs === undefined && code < 4000) {
        this.#fallen = false;
        this.#misses = MISSES - 1;
      }
    } else if (code >= 4000) {
      this.#misses = 0;
    } else if (livedMs === undefined) {
      if (this.#proven || !this.#env.http?.watched()) return;
      this.#fallen = ++this.#misses >= MISSES;
    } else if (livedMs >= pingMs) {
      this.#deaths = 0;
    } else this.#fallen = ++this.#deaths >= DEATHS;
  }

  /** No socket is wanted now. */
  rest(): void {
    clearTimeout(this.#timer);
    this.#probing?.abandon();
    this.#probing = undefined;
  }

  /** Another network, perhaps. */
  online(connected: boolean): void {
    this.#proven = false;
    this.#misses = 0;
    this.#probeMs = FIRST_PROBE;
    if (!connected || this.via === "websocket") return;
    this.rest();
    this.#probe();
  }

  #probeLater(ms = this.#probeMs): void {
    clearTimeout(this.#timer);
    if (ms > 0) this.#probeMs = Math.min(2 * ms, LAST_PROBE);
    this.#timer = setTimeout(() => this.#probe(), ms);
  }

  #probe(): void {
    clearTimeout(this.#timer);
    let handlers: SocketHandlers | undefined;
    const failed = () => {
      this.#probing?.abandon();
      this.#probing = undefined;
      this.#probeLater();
    };
    const token = this.#http?.token;
    const socket = this.#env.connect(this.#url, {
      open: () => socket.send(JSON.stringify({ op: "connect", token })),
      frame: (text) => {
        if (handlers) {
          handlers.frame(text);
          return;
        }
        if (!text.startsWith('{"op":"connected"')) return;
        this.#probing = undefined;
        this.rest();
        this.via = "websocket";
        this.#fallen = false;
        // One that dies soon is the last of the series.
        if (this.#deaths > 0) this.#deaths = DEATHS - 1;
        handlers = this.#takeOver(socket, text);
      },
      close: (code) => {
        if (handlers) handlers.close(code);
        else failed();
      },
    });
    this.#probing = socket;
    this.#timer = setTimeout(failed, PROBE_MS);
  }
}
