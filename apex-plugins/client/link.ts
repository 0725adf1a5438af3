/** One socket that is opened again: backoff, connect deadline, heartbeat dead-man, status. */
import type { ClientFrame, MessageFrame, ServerFrame } from "../../relay/contract/protocol.ts";
import { backoffMs } from "./backoff.ts";
import { closeAction } from "./close-action.ts";
import { attempt, type Environment } from "./environment.ts";
import type { NOT_LOADED, Socket, SocketHandlers } from "./socket.ts";
import { type Via, Ways } from "./ways.ts";

/**
 * `idle` nothing to listen to; `waiting` for the next attempt; `token` nothing can be asked for
 * before a token arrives; `paused` the page lies in the back-forward cache; `parked` the page was
 * hidden for long and gave up its socket until it is shown; `stopped` for good.
 */
export type State =
  | "idle"
  | "connecting"
  | "connected"
  | "waiting"
  | "token"
  | "paused"
  | "parked"
  | "stopped";

export interface Status {
  readonly state: State;
  /** Why: a WebSocket close code, or a word such as `heartbeat_timeout` or `session_ended`. */
  readonly code?: number | string | undefined;
  /** State `connected`: what carries the messages. */
  readonly via?: Via | undefined;
  /** State `waiting`: time until the next attempt, ms. */
  readonly retryInMs?: number | undefined;
}

/** How the relay began. */
export type Greeting = Extract<ServerFrame, { op: "connected" }>;

export interface LinkOwner {
  /** Why there is nothing to connect for at present; the owner calls `open` when there is. */
  unready(): "idle" | "token" | undefined;
  /** The first frame. Called when the socket is open: an age in it is counted from then. */
  hello(): ClientFrame;
  /** Every frame but `ping`. */
  frame(frame: ServerFrame | MessageFrame): void;
  /** The socket is gone. `early` when the connect frame was not answered. */
  closed(code: number, early: boolean): void;
}

/** From opening the socket to `connected`, ms; and where another way may be better. */
const CONNECT_MS = 15_000;
const IMPATIENT_MS = 5_000;
/** A connection that lived this long (ms) starts the backoff anew. */
const STABLE_MS = 10_000;
/** Silence (ms) after which a relay that does not say how often it pings is taken for dead. */
const SILENCE_MS = 60_000;
/** Longest silence, ms: an hour. A timer cannot be set for any number. */
const LONGEST_SILENCE_MS = 3_600_000;

export class Link {
  readonly ways: Ways;
  /** Of the present connection, or the last one. */
  greeting: Greeting | undefined;
  readonly #env: Environment;
  readonly #owner: LinkOwner;
  readonly #watchers = new Set<(status: Status) => void>();
  #status: Status = { state: "idle" };
  #socket: Socket | undefined;
  #attempt = 0;
  #connectedAt = 0;
  #heardAt = 0;
  #silenceMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(env: Environment, url: string, owner: LinkOwner) {
    this.#env = env;
    this.#owner = owner;
    this.ways = new Ways(
      env,
      url,
      (socket, connected) => this.#takeOver(socket, connected),
      (code) => {
        if (code && !this.is("waiting", "connecting")) return;
        if (code || this.is("connected")) this.#set({ ...this.#status, code });
      },
    );
  }

  get status(): Status {
    return this.#status;
  }

  /** Whether its state is one of these. */
  is(...states: State[]): boolean {
    return states.includes(this.#status.state);
  }

  /** Calls `watcher` now and at every change; returns what ends it. */
  watch(watcher: (status: Status) => void): () => void {
    const guarded = (status: Status) => attempt(this.#env, () => watcher(status));
    this.#watchers.add(guarded);
    guarded(this.#status);
    return () => void this.#watchers.delete(guarded);
  }

  send(frame: ClientFrame): void {
    this.#socket?.send(JSON.stringify(frame));
  }

  /** Connects unless that is under way, done, or not wanted. */
  open(): void {
    if (this.#socket || this.is("paused", "parked", "stopped")) return;
    clearTimeout(this.#timer);
    const unready = this.#owner.unready();
    if (unready) {
      this.#set({ state: unready, code: this.#status.code });
      return;
    }
    this.#set({ state: "connecting" });
    try {
      this.#socket = this.ways.open(this.#handlers());
    } catch (error) {
      this.#env.report(error);
      this.stop("socket_refused");
      return;
    }
    const connectMs = this.ways.impatient ? IMPATIENT_MS : CONNECT_MS;
    this.#timer = setTimeout(() => this.#lost("connect_timeout"), connectMs);
  }

  #handlers(): SocketHandlers {
    return {
      open: () => this.send(this.#owner.hello()),
      frame: (text) => this.#heard(text),
      close: (code) => this.#lost(code),
    };
  }

  /** A better way is there: what was under way on the old one is asked for again by position. */
  #takeOver(socket: Socket, connected: string): SocketHandlers {
    this.#socket?.abandon();
    this.#socket = socket;
    this.#owner.closed(1000, false);
    this.#heard(connected);
    return this.#handlers();
  }

  /** Opens it after a token arrived, unless an attempt is scheduled already. */
  openSoon(): void {
    if (!this.is("waiting")) this.open();
  }

  /** The page is hidden for the back-forward cache, or left. */
  pause(): void {
    if (!this.is("stopped")) this.#drop("paused");
  }

  /** Nobody looks at the page: the socket is given up until `resume`. */
  park(): void {
    if (!this.is("stopped", "paused", "idle")) this.#drop("parked");
  }

  /** Ends `from`; in any other state it does nothing. */
  resume(from: "paused" | "parked" = "paused"): void {
    if (!this.is(from)) return;
    this.#attempt = 0;
    this.#set({ state: "idle" });
    this.open();
  }

  /** Nothing to listen to any more. */
  idle(): void {
    if (!this.is("stopped", "paused", "parked")) this.#drop("idle");
  }

  /** Ends it for good. */
  stop(code: number | string): void {
    if (!this.is("stopped")) this.#drop("stopped", code);
  }

  /** Network or page are back: do not wait any longer, and look whether the socket still lives. */
  wake(online = false): void {
    if (online) this.ways.online(this.is("connected"));
    if (this.is("waiting")) this.open();
    else if (this.is("connected")) this.#watch();
  }

  #set(to: Status): void {
    const { state, code, via } = this.#status;
    const status = to.state === "connected" ? { ...to, via: this.ways.via } : to;
    const same = status.state === state && status.code === code && status.via === via;
    this.#status = status;
    if (same && status.state !== "waiting") return;
    for (const watcher of this.#watchers) watcher(status);
  }

  /** Whether there was a socket. A close handshake with a dead peer would take minutes: not awaited. */
  #release(): boolean {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.abandon();
    return socket !== undefined;
  }

  #drop(state: State, code?: number | string): void {
    this.ways.rest();
    if (this.#release()) this.#owner.closed(1000, !this.is("connected"));
    this.#set({ state, code });
  }

  #heard(text: string): void {
    this.#heardAt = performance.now();
    let frame: ServerFrame | MessageFrame;
    try {
      frame = JSON.parse(text);
    } catch (error) {
      this.#env.report(error);
      return;
    }
    if (typeof frame !== "object" || !frame || Array.isArray(frame)) return;
    const is = "op" in frame ? frame : undefined;
    if (is?.op === "ping") {
      this.send({ op: "pong" });
      return;
    }
    if (is?.op === "connected") {
      this.greeting = is;
      this.#connectedAt = this.#heardAt;
      const silenceMs = 2 * is.pingMs;
      this.#silenceMs = silenceMs > 0 ? Math.min(silenceMs, LONGEST_SILENCE_MS) : SILENCE_MS;
      this.ways.connected();
      this.#set({ state: "connected" });
      this.#watch();
    }
    this.#owner.frame(frame);
  }

  /** The relay says something every `pingMs`. After twice that in silence it is taken for dead. */
  #watch(): void {
    clearTimeout(this.#timer);
    const left = this.#heardAt + this.#silenceMs - performance.now();
    if (left <= 0) this.#lost("heartbeat_timeout");
    else this.#timer = setTimeout(() => this.#watch(), left + 1);
  }

  #lost(code: number | "connect_timeout" | "heartbeat_timeout" | typeof NOT_LOADED): void {
    const early = !this.is("connected");
    this.#release();
    const number = typeof code === "number" ? code : 1006;
    const action = closeAction(number);
    const livedMs = early ? undefined : performance.now() - this.#connectedAt;
    if (livedMs !== undefined && livedMs > STABLE_MS) this.#attempt = 0;
    this.ways.lost(number, livedMs, this.#silenceMs / 2);
    this.#owner.closed(number, early);
    if (this.is("stopped")) return;
    if (action === "stop") {
      this.stop(code);
      return;
    }
    const first = this.#attempt++ === 0;
    const retryInMs =
      action === "token" && first ? 0 : backoffMs(this.#attempt - 1, this.#env.random);
    this.#set({ state: "waiting", code, retryInMs });
    this.#timer = setTimeout(() => this.open(), retryInMs);
  }
}
