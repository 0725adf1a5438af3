/**
 * What looks like a WebSocket and is a sequence of HTTP requests, each with all that the relay has to
 * know: tokens, and channels with positions. What changes is told by asking anew.
 */
import type {
  ClientFrame,
  MessageFrame,
  PollAnswer,
  PresenceWish,
  ServerFrame,
  Since,
  SubscribeRequest,
} from "../../relay/contract/protocol.ts";
import type { Socket, SocketHandlers } from "./socket.ts";

export type Carrier = "stream" | "poll";

/** What of a page the ways without WebSockets need. */
export interface Http {
  /** The way of the tab's earlier page to the relay at `url`, where it was no WebSocket. */
  stored(url: string): string | undefined;
  store(url: string, via: string | undefined): void;
  /**
   * Leave to keep a request to `url` open, until it is given back. Over HTTP/1.1 a browser has six
   * connections to a host for all its tabs; undefined: too many wait already.
   */
  slot(url: string): Promise<(() => void) | undefined>;
}

/** A stream of which nothing has come after this time is held up somewhere, ms. */
const FIRST_BYTES_MS = 5_000;
/** How often a tab polls that has no connection to wait on, ms. */
const UNHELD_MS = 5_000;
const STREAM_ENDED = 4008;

type Frame = ServerFrame | MessageFrame;

interface Token {
  readonly token: string;
  /** By the page's monotonic clock; undefined before the relay has answered. */
  endsAt?: number;
}

interface Place {
  since: Since | undefined;
  readonly events: readonly string[] | undefined;
  readonly presence: PresenceWish | undefined;
  /** How many of the newest messages are wanted where nothing can be recovered. */
  readonly last: number | undefined;
  /** So many of them are still to come. */
  newest: number;
  /** When `since` was told: an age grows. */
  at: number;
  /** It waits for its answer. */
  asked: boolean;
  /** Of the last answer. */
  epoch: string;
  seq: number;
}

export class HttpSocket implements Socket {
  /** What is worth remembering. */
  stored: Carrier;
  readonly #http: Pick<Http, "slot">;
  readonly #url: string;
  readonly #handlers: SocketHandlers;
  readonly #onVia: (via: Carrier) => void;
  readonly #places = new Map<string, Place>();
  #via: Carrier;
  #tokens: Token[] = [];
  #greeted = false;
  #ended = false;
  #running = false;
  /** Ends the request under way, or the pause before the next. */
  #abort = new AbortController();
  /** Tokens of this request that were answered. */
  #answers = 0;
  #pingAt = 0;
  #heardAt = 0;

  constructor(
    http: Pick<Http, "slot">,
    url: string,
    handlers: SocketHandlers,
    via: Carrier,
    onVia: (via: Carrier) => void,
  ) {
    this.#http = http;
    this.#url = url;
    this.#handlers = handlers;
    this.#via = via;
    this.#onVia = onVia;
    this.stored = via;
    queueMicrotask(() => this.#ended || handlers.open());
  }

  /** One that the relay has taken. */
  get token(): string | undefined {
    return this.#tokens.at(-1)?.token;
  }

  send(text: string): void {
    const frame = JSON.parse(text) as Exclude<ClientFrame, { readonly op: "publish" }>;
    if (frame.op === "pong") return;
    if (frame.op === "unsubscribe") {
      // The next request does without.
      for (const channel of frame.channels) this.#places.delete(channel);
      return;
    }
    if (frame.token !== undefined) this.#tokens.push({ token: frame.token });
    const at = performance.now();
    for (const entry of ("subscribe" in frame && frame.subscribe) || []) {
      const { channel, since, events, presence } = entry;
      const last = since && "last" in since ? since.last : undefined;
      const fresh = { asked: true, epoch: "", seq: 0, newest: 0 };
      this.#places.set(channel, { since, events, presence, last, at, ...fresh });
    }
    this.#askAnew();
    if (!this.#running) void this.#run();
  }

  #askAnew(): void {
    this.#abort.abort();
    this.#abort = new AbortController();
  }

  abandon(): void {
    this.#ended = true;
    this.#abort.abort();
  }

  #close(code: number): void {
    if (this.#ended) return;
    this.abandon();
    this.#handlers.close(code);
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (!this.#ended) {
      const { signal } = this.#abort;
      const free = await this.#http.slot(this.#url);
      try {
        const streams = this.stored === "stream" && free !== undefined;
        this.#tell(streams ? "stream" : "poll");
        if (streams) await this.#stream(signal);
        else await this.#poll(signal, free !== undefined);
      } catch {
        // Asked anew, unless it was not we who ended it.
        if (!signal.aborted) this.#close(1006);
      } finally {
        free?.();
      }
    }
  }

  #tell(via: Carrier): void {
    if (via === this.#via) return;
    this.#via = via;
    this.#onVia(via);
  }

  async #ask(path: Carrier, signal: AbortSignal, waitMs?: number): Promise<Response> {
    const now = performance.now();
    this.#tokens = this.#tokens.filter(({ endsAt = now + 1 }) => endsAt > now);
    this.#answers = 0;
    const subscribe: SubscribeRequest[] = [];
    for (const [channel, { since, events, presence, at }] of this.#places) {
      const aged = since && "ageMs" in since ? { ageMs: since.ageMs + Math.ceil(now - at) } : since;
      // Whoever polls is here and gone all the time.
      subscribe.push({
        channel,
        since: aged,
        events,
        presence: path === "poll" ? undefined : presence,
      });
    }
    const tokens = this.#tokens.map(({ token }) => token);
    const body = JSON.stringify({ op: "connect", tokens, waitMs, subscribe });
    const response = await fetch(new URL(path, this.#url.replace(/^ws/, "http")), {
      method: "POST",
      body,
      signal,
      credentials: "omit",
    });
    if (response.ok) return response;
    this.#close(response.status === 413 ? 1009 : 1006);
    throw response;
  }

  async #stream(signal: AbortSignal): Promise<void> {
    const timer = setTimeout(() => {
      this.stored = "poll";
      this.#askAnew();
    }, FIRST_BYTES_MS);
    try {
      const response = await this.#ask("stream", signal);
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        clearTimeout(timer);
        if (done) break;
        const events = (rest + value).split("\n\n");
        rest = events.pop()!;
        for (const event of events) {
          if (signal.aborted) return;
          const data = event.replace(/^data: ?/gm, "");
          if (data && this.#frame(JSON.parse(data), data)) return;
        }
      }
      throw signal;
    } finally {
      clearTimeout(timer);
    }
  }

  async #poll(signal: AbortSignal, held: boolean): Promise<void> {
    // What was asked is answered first.
    const wait = held && this.#greeted && ![...this.#places.values()].some(({ asked }) => asked);
    const response = await this.#ask("poll", signal, wait ? undefined : 0);
    const { frames, more } = (await response.json()) as PollAnswer;
    for (const frame of frames) {
      if (signal.aborted || this.#frame(frame, JSON.stringify(frame))) return;
    }
    this.#giveUpNewest();
    if (!more) this.#settle();
    this.#handlers.frame('{"op":"ping"}');
    if (held || more) return;
    await new Promise((resolve) => {
      setTimeout(resolve, UNHELD_MS);
      signal.addEventListener("abort", resolve);
    });
  }

  /** Takes a frame of the relay; true when it was the last one. */
  #frame(frame: Frame, text: string): boolean {
    const now = performance.now();
    if (this.#forward(frame, now)) this.#handlers.frame(text);
    if (!("op" in frame)) this.#heardAt = now;
    else if (frame.op === "close") {
      if (frame.code !== STREAM_ENDED) this.#close(frame.code);
      return true;
    }
    return this.#ended;
  }

  /** Notes what it says; true when the connection has to hear of it as it is. */
  #forward(frame: Frame, now: number): boolean {
    if (!("op" in frame)) {
      const place = this.#places.get(frame.channel);
      if (place && place.newest > 0) {
        if (--place.newest === 0) standAt(place, place.seq);
      } else if (place) standAt(place, frame.seq);
      return true;
    }
    if (frame.op === "connected" || frame.op === "refreshed") {
      const token = this.#tokens[this.#answers++];
      const isNew = token?.endsAt === undefined;
      if (token) token.endsAt = now + (frame.expiresInMs ?? Number.POSITIVE_INFINITY);
      if (frame.op === "refreshed" || !this.#greeted) {
        this.#greeted = true;
        return isNew;
      }
      if (token && isNew) {
        const { expiresInMs } = frame;
        this.#handlers.frame(JSON.stringify({ op: "refreshed", expiresInMs }));
      }
      return false;
    }
    if (frame.op === "ping") {
      // Two pings apart, and nothing between them: no replay is under way.
      if (now - Math.max(this.#pingAt, this.#heardAt) > 1_000 && this.#pingAt > 0) this.#settle();
      this.#pingAt = now;
      return true;
    }
    if (frame.op === "error" && frame.channel === undefined) {
      const token = this.#tokens[this.#answers];
      if (!token || !frame.code.startsWith("token_")) return true;
      this.#tokens.splice(this.#answers, 1);
      return token.endsAt === undefined;
    }
    const place = "channel" in frame ? this.#places.get(frame.channel!) : undefined;
    if (!place) return false;
    if (frame.op === "error" && frame.code.startsWith("presence_")) return true;
    if (frame.op === "position") standAt(place, frame.seq);
    const { asked } = place;
    if (frame.op === "subscribed" || frame.op === "error") place.asked = false;
    if (frame.op === "subscribed") {
      const { epoch, seq, recovered, last } = frame;
      const newest = last?.sent ?? 0;
      Object.assign(place, { epoch, seq, newest });
      // Asked for again until all of them are in.
      if (!recovered && newest === 0) standAt(place, seq);
      return asked || !recovered;
    }
    if (frame.op !== "error" && frame.op !== "unsubscribed") return true;
    this.#places.delete(frame.channel!);
    if (asked || frame.op === "unsubscribed") return true;
    // The right has ended between two requests.
    const told = { op: "unsubscribed", channel: frame.channel, code: "token_expired" };
    this.#handlers.frame(JSON.stringify(told));
    return false;
  }

  /** The next poll would bring the first of them again: more than fit into one are not to be had. */
  #giveUpNewest(): void {
    for (const [channel, place] of this.#places) {
      if (place.newest === 0) continue;
      const { epoch, seq } = place;
      place.newest = 0;
      standAt(place, seq);
      const told = { op: "subscribed", channel, epoch, seq, recovered: false };
      this.#handlers.frame(JSON.stringify(told));
    }
  }

  /** All replays are over: where an age was asked for, the answer's position counts. */
  #settle(): void {
    for (const place of this.#places.values()) {
      const { since, epoch, seq, asked } = place;
      if (since && "ageMs" in since && !asked) place.since = { epoch, seq };
    }
  }
}

function standAt(place: Place, seq: number): void {
  place.since = { epoch: place.epoch, seq, last: place.last };
}
