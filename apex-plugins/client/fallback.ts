/**
 * The ways without WebSockets, when they are gone, and the way back: what a page fetches when a
 * WebSocket does not get through.
 */
import { type Carrier, type Http, HttpSocket } from "./http-socket.ts";
import type { Socket, SocketHandlers } from "./socket.ts";

/** Sockets without an answer, and short-lived ones, after which another way is tried. */
const MISSES = 2;
const DEATHS = 3;
/** How long a WebSocket is tried before it is taken over, ms. */
const PROBE_MS = 15_000;
/** First and longest pause between two such trials, ms. */
const FIRST_PROBE = 60_000;
const LAST_PROBE = 1_800_000;

/** What it needs of the client that has fetched it. */
export interface FallbackOptions {
  readonly url: string;
  /** Opens a WebSocket. */
  connect(url: string, handlers: SocketHandlers): Socket;
  /** Goes on with a WebSocket that has been answered. */
  takeOver(socket: Socket, connected: string): SocketHandlers;
  /** Something else carries the messages. */
  onVia(): void;
}

export class Fallback {
  via: "websocket" | Carrier = "websocket";
  readonly #page: Http;
  readonly #options: FallbackOptions;
  /** WebSockets do not get through, as far as is known. */
  #fallen: boolean;
  /** Streams do not get through either. */
  readonly #polls: boolean;
  #misses = 0;
  #deaths = 0;
  #probeMs = FIRST_PROBE;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #probing: Socket | undefined;
  #http: HttpSocket | undefined;

  constructor(page: Http, options: FallbackOptions) {
    this.#page = page;
    this.#options = options;
    const stored = page.stored(options.url);
    this.#fallen = stored !== undefined;
    this.#polls = stored === "poll";
  }

  /** Opens a socket of the kind that is to be tried now; calls `open` after it has returned. */
  open(handlers: SocketHandlers): Socket {
    const { url, connect, onVia } = this.#options;
    if (!this.#fallen) {
      this.via = "websocket";
      return connect(url, handlers);
    }
    this.via = this.#polls ? "poll" : "stream";
    this.#http = new HttpSocket(this.#page, url, handlers, this.via, (via) => {
      this.via = via;
      onVia();
    });
    return this.#http;
  }

  connected(): void {
    const { url } = this.#options;
    if (this.via === "websocket") {
      this.#misses = 0;
      if (this.#deaths === 0) this.#page.store(url, undefined);
      return;
    }
    const known = this.#page.stored(url) !== undefined;
    this.#page.store(url, this.#http!.stored);
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
      this.#fallen = ++this.#misses >= MISSES;
    } else if (livedMs >= pingMs) {
      this.#deaths = 0;
    } else this.#fallen = ++this.#deaths >= DEATHS;
  }

  rest(): void {
    clearTimeout(this.#timer);
    this.#probing?.abandon();
    this.#probing = undefined;
  }

  /** Another network, perhaps. */
  online(connected: boolean): void {
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
    const { url, connect, takeOver } = this.#options;
    const token = this.#http?.token;
    const socket = connect(url, {
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
        handlers = takeOver(socket, text);
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
