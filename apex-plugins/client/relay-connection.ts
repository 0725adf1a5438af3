/** The channels and tokens of one relay connection, shared by all listeners of the page. */
import type {
  ClientFrame,
  MessageFrame,
  ServerFrame,
  SubscribeRequest,
} from "../../relay/contract/protocol.ts";
import { backoffMs } from "./backoff.ts";
import { Channel } from "./channel.ts";
import { closeAction } from "./close-action.ts";
import { Dispatcher } from "./dispatcher.ts";
import { attempt, type Environment } from "./environment.ts";
import { Link } from "./link.ts";
import type { Listener, ListenerEvents, Position } from "./listener.ts";
import { forgetLoss, tellLoss } from "./losses.ts";
import type { Members } from "./members.ts";
import { isStop, type TokenSource } from "./token.ts";

type Frame<Op> = Extract<ServerFrame, { op: Op }>;
type ErrorFrame = Frame<"error">;
/** To a frame with a `ref`. */
type Answer = Frame<"published"> | ErrorFrame;

/** A token is renewed after this part of its life, and not sooner than after `RENEW_MS`. */
const RENEW_AT = 0.8;
const RENEW_MS = 1_000;
/** A token that was good for so long (ms) ends a series of refusals. */
const GOOD_MS = 10_000;
/** Longest delay a timer can have, ms. */
const LONGEST_TIMER = 2_147_483_647;

export class RelayConnection {
  readonly link: Link;
  /** What waits for answers, by `ref`. */
  readonly answers = new Map<string | undefined, (answer: Answer) => void>();
  /** Also for the second file. */
  readonly env: Environment;
  readonly #channels = new Map<string, Channel>();
  readonly #dispatcher: Dispatcher;
  readonly #abort = new AbortController();
  readonly #before: Readonly<Record<string, Position>>;
  /** The source whose token the last connect, subscribe or refresh frame carried, unanswered. */
  #presenting: TokenSource | undefined;
  #toPresent: TokenSource[] = [];
  /** The relay has closed a connection because it brought no token. */
  #tokenRequired = false;
  #scheduled = false;

  constructor(env: Environment, url: string) {
    this.env = env;
    this.#dispatcher = new Dispatcher(env);
    this.#before = env.positionsBefore(url);
    this.link = new Link(env, url, {
      unready: () => this.#unready(),
      hello: () => this.#hello(),
      frame: (frame) => this.#frame(frame),
      closed: (code, early) => this.#closed(code, early),
    });
    this.link.watch(({ state }) => {
      if (state !== "stopped") return;
      this.#abort.abort();
      for (const source of this.#sources()) source?.drop();
      this.#dispatcher.flush();
    });
  }

  add(name: string, listener: Listener): void {
    let channel = this.#channels.get(name);
    if (!channel) {
      channel = new Channel(name, this.#before[name]);
      this.#channels.set(name, channel);
    }
    channel.listeners = [...channel.listeners, listener];
    if (listener.presence.watch) this.#people(channel, (members) => members.welcome(listener));
    // Asked again for the newcomer; the others drop what they have seen.
    channel.reset();
    this.#soon();
  }

  remove(name: string, listener: Listener): void {
    const channel = this.#channels.get(name);
    this.#dispatcher.forget(listener);
    forgetLoss(listener);
    if (!channel?.listeners.includes(listener)) return;
    channel.listeners = channel.listeners.filter((other) => other !== listener);
    listener.on = {};
    const { source, presence } = listener;
    if (channel.listeners.length === 0) this.#channels.delete(name);
    if (source && !this.#sources().includes(source)) source.rest();
    if (channel.listeners.length > 0) {
      if (!presence.join && !presence.watch) return;
      // Perhaps the others do not want to be seen, or to see.
      if (!channel.presence?.watch) channel.members?.forget();
      channel.reset();
      this.#soon();
      return;
    }
    channel.members?.forget();
    if (this.#channels.size === 0) this.link.idle();
    else if (channel.state !== "new") this.link.send({ op: "unsubscribe", channels: [name] });
  }

  /** After how long in a hidden page the socket may be given up, ms: all listeners must agree. */
  get parkMs(): number {
    let most = 0;
    for (const { listeners } of this.#channels.values()) {
      for (const { parkMs } of listeners) most = Math.max(most, parkMs);
    }
    return most;
  }

  /** Where this page stands, for the tab's next page. */
  positions(): Record<string, Position> {
    const positions = { ...this.#before };
    for (const { name, position } of this.#channels.values()) {
      if (position) positions[name] = position;
    }
    return positions;
  }

  /** Subscriptions made in one turn of the page's script travel in one frame. */
  #soon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      if (this.#channels.size === 0) return;
      if (this.link.is("connected")) this.#askForNew();
      else this.link.openSoon();
    });
  }

  #sources(): (TokenSource | undefined)[] {
    const sources = new Set<TokenSource | undefined>();
    for (const { listeners } of this.#channels.values()) {
      for (const { source } of listeners) sources.add(source);
    }
    return [...sources];
  }

  /** The source whose token was under way. */
  #presented(): TokenSource | undefined {
    const source = this.#presenting;
    this.#presenting = undefined;
    return source;
  }

  #unready(): "idle" | "token" | undefined {
    if (this.#channels.size === 0) return "idle";
    const sources = this.#sources();
    for (const source of sources) if (source) this.#want(source);
    const ready = sources.some((source) => (source ? source.usable : !this.#tokenRequired));
    return ready ? undefined : "token";
  }

  #hello(): ClientFrame {
    const first = this.#sources().find((source) => source?.usable);
    this.#presenting = first;
    const subscribe = this.#entries(first);
    return { op: "connect", token: first?.token, subscribe };
  }

  /** Channels to ask for under `source`, marked as asked. Those without a source go along. */
  #entries(source: TokenSource | undefined): SubscribeRequest[] {
    const entries: SubscribeRequest[] = [];
    for (const channel of this.#channels.values()) {
      if (channel.state !== "new") continue;
      for (const listener of channel.listeners) {
        if (listener.source && listener.source !== source) continue;
        if (channel.tried.has(listener.source)) continue;
        const since = channel.since(Math.ceil(this.env.pageAgeMs()));
        const { name, events, presence } = channel;
        channel.asked(listener.source, since);
        entries.push({ channel: name, since, events, presence });
        break;
      }
    }
    return entries;
  }

  /** Asks for what can be asked for under `source`, and presents `token`. */
  #ask(source?: TokenSource, token?: string): void {
    const subscribe = this.#entries(source);
    if (subscribe.length > 0) this.link.send({ op: "subscribe", subscribe, token });
    else if (token !== undefined) this.link.send({ op: "refresh", token });
  }

  #askForNew(): void {
    this.#ask();
    for (const source of this.#sources()) {
      if (source?.usable) this.#present(source);
      else if (source) this.#want(source);
    }
  }

  #present(source: TokenSource): void {
    if (!this.#toPresent.includes(source)) this.#toPresent.push(source);
    this.#presentNext();
  }

  /** One token at a time, so that an `error` without a channel can be told whose it is. */
  #presentNext(): void {
    while (!this.#presenting && this.link.is("connected")) {
      const source = this.#toPresent.shift();
      if (!source) return;
      if (!source.usable) continue;
      const token = source.token!;
      const twin = this.#twin(source);
      // Several sources may be given one token; the relay needs it once.
      if (twin) this.#accepted(source, twin.endsAt - Date.now());
      const taken = source.presented === token;
      if (!taken) this.#presenting = source;
      this.#ask(source, taken ? undefined : token);
    }
  }

  /** A source whose token this socket has taken, and which is `source`'s new token too. */
  #twin({ presented, token }: TokenSource): TokenSource | undefined {
    if (presented === token) return undefined;
    return this.#sources().find((other) => other?.presented === token);
  }

  #accepted(source: TokenSource, expiresInMs: number): void {
    source.presented = source.token;
    source.failures = 0;
    source.acceptedAt = Date.now();
    // What was refused without a token may be granted now.
    this.#retry(undefined);
    for (const channel of this.#channels.values()) {
      if (channel.presenceRefused && channel.state === "live") channel.reset();
      channel.presenceRefused = false;
    }
    clearTimeout(source.timer);
    // A relay that does not say when is heard when the token has ended.
    if (!Number.isFinite(expiresInMs)) return;
    source.endsAt = source.acceptedAt + expiresInMs;
    const renewMs = Math.max(RENEW_MS, Math.min(expiresInMs * RENEW_AT, LONGEST_TIMER));
    source.timer = setTimeout(() => this.#fetchToken(source, "renew"), renewMs);
  }

  /** What was refused under `source` is asked for again. */
  #retry(source: TokenSource | undefined): void {
    for (const channel of this.#channels.values()) {
      if (channel.state === "denied" && channel.tried.has(source)) channel.reset();
    }
  }

  /** Calls `tell` for each listener of the channels whose token comes from `source`. */
  #tell(source: TokenSource, tell: (on: ListenerEvents, channel: string) => void): void {
    for (const { name, listeners } of this.#channels.values()) {
      for (const listener of listeners) {
        if (listener.source === source) this.#call(() => tell(listener.on, name));
      }
    }
  }

  /** The relay refused `source`'s token, or it has ended. */
  #refused(source: TokenSource, code: string): void {
    source.drop();
    if (Date.now() - source.acceptedAt > GOOD_MS) source.refusals = 0;
    if (source.refusals++ > 0) {
      source.failures = source.refusals;
      this.#fetchLater(source, code);
      return;
    }
    this.#tell(source, (on, channel) => on.onSuspended?.(channel, code));
    source.failures++;
    this.#fetchToken(source, code);
  }

  /** After a failure the next attempt is under way or has its time already. */
  #want(source: TokenSource): void {
    if (!source.usable && source.failures === 0) this.#fetchToken(source, "initial");
  }

  #fetchLater(source: TokenSource, reason: string): void {
    clearTimeout(source.timer);
    const delay = backoffMs(source.failures - 1, this.env.random);
    source.timer = setTimeout(() => this.#fetchToken(source, reason), delay);
  }

  #fetchToken(source: TokenSource, reason: string): void {
    if (source.fetching || source.dead || this.#abort.signal.aborted) return;
    if (!source.renew) {
      if (!source.usable) this.#bury(source, reason, "its token has ended");
      return;
    }
    const { renew } = source;
    source.fetching = true;
    new Promise<string>((resolve) => resolve(renew(reason, this.#abort.signal))).then(
      (token) => {
        source.fetching = false;
        source.token = token;
        source.endsAt = Number.POSITIVE_INFINITY;
        this.#retry(source);
        if (this.link.is("connected")) this.#present(source);
        else this.link.openSoon();
      },
      (error) => {
        source.fetching = false;
        if (this.#abort.signal.aborted) return;
        if (isStop(error)) {
          this.#bury(source, error.code, error.message);
          return;
        }
        this.env.report(error);
        source.failures++;
        this.#fetchLater(source, reason);
      },
    );
  }

  /** `source` will give no further token: its channels are denied, the last one ends it all. */
  #bury(source: TokenSource, code: string, message: string): void {
    source.drop();
    source.dead = true;
    this.#tell(source, (on, channel) => on.onDenied?.(channel, code, message));
    for (const channel of this.#channels.values()) {
      const all = channel.listeners.every((listener) => listener.source === source);
      if (all && channel.state !== "new") {
        this.link.send({ op: "unsubscribe", channels: [channel.name] });
        channel.state = "denied";
      }
    }
    const alive = this.#sources().some((other) => !other?.dead);
    if (!alive) this.link.stop(code);
  }

  #frame(frame: ServerFrame | MessageFrame): void {
    const channel = "channel" in frame ? this.#channels.get(frame.channel!) : undefined;
    if ("ref" in frame) this.answers.get(frame.ref)?.(frame);
    else if (!("op" in frame)) {
      const { eventName, id, seq } = frame;
      if (typeof eventName !== "string" || typeof id !== "string" || typeof seq !== "number")
        return;
      for (const listener of channel?.accept(frame) ?? []) this.#dispatcher.add(listener, frame);
      this.#goOn(channel);
    } else if (frame.op === "connected" || frame.op === "refreshed") {
      const source = this.#presented();
      const { op, expiresInMs } = frame;
      // Null: the relay took no notice of the token.
      if (source && expiresInMs !== null) this.#accepted(source, expiresInMs);
      if (op === "connected") this.#askForNew();
      else if (source) this.#present(source);
    } else if (frame.op === "error") {
      this.#error(frame, channel);
    } else if (!channel) {
      // Of one that nobody listens to any more.
    } else if (frame.op === "subscribed") {
      if (typeof frame.epoch !== "string" || !Number.isFinite(frame.seq)) return;
      // What came before the interruption is told before the interruption.
      this.#dispatcher.flush();
      this.#subscribed(channel, frame);
    } else if (frame.op === "unsubscribed") {
      if (frame.code) this.#expired(channel, frame.code);
    } else if (frame.op === "position") {
      if (Number.isFinite(frame.seq)) channel.moved(frame.seq);
    } else if (frame.op === "event") {
      for (const { on, events } of channel.listeners) {
        if (!events || events.has(frame.eventName)) this.#call(() => on.onEvent?.(frame));
      }
    } else if (frame.op === "members" || frame.op === "presence") {
      this.#people(channel, (members) => members.take(frame));
    }
  }

  #error(frame: ErrorFrame, channel: Channel | undefined): void {
    const { code, message } = frame;
    const source = frame.channel === undefined && isTokenRefusal(code) && this.#presented();
    if (source) {
      if (code === "token_subject_mismatch" || code === "token_limit") {
        this.#bury(source, code, message);
      } else this.#refused(source, code);
      this.#presentNext();
    } else if (code === "bad_since" && channel?.bare()) {
      this.#soon();
    } else if (channel && !String(code).startsWith("presence_")) {
      this.#denied(channel, code, message);
    } else if (channel || frame.channel === undefined) {
      if (channel) {
        // The messages go on without it, until another token is taken.
        channel.presenceRefused = true;
        this.#people(channel, (members) => members.refuse(code, message));
      }
      this.env.report(new Error(`rtm: ${code}: ${message} ${frame.channel ?? ""}`));
    }
  }

  #subscribed(
    channel: Channel,
    { epoch, seq, recovered, events, last, spreadMs, user }: Frame<"subscribed">,
  ): void {
    channel.user = user ?? channel.user;
    const lose = (listener: Listener, tell: () => void) =>
      tellLoss(listener, spreadMs, this.env.random(), () => this.#call(tell));
    this.#call(() => channel.subscribed(epoch, seq, recovered, { events, last, lose }));
    this.#goOn(channel);
  }

  /** Others of its listeners may want to be asked for now. */
  #goOn(channel: Channel | undefined): void {
    if (channel?.state === "new") this.#soon();
  }

  /** No token grants the channel any more. What was missed is replayed under the next one. */
  #expired(channel: Channel, code: string): void {
    channel.reset();
    for (const { source } of channel.listeners) {
      const underWay = source === this.#presenting || this.#toPresent.includes(source!);
      if (source && !underWay && source.presented === source.token) this.#refused(source, code);
    }
  }

  #denied(channel: Channel, code: string, message: string): void {
    const { name, listeners, tried, state } = channel;
    if (state === "denied") return;
    if (listeners.some(({ source }) => !tried.has(source))) {
      channel.state = "new";
      this.#askForNew();
      return;
    }
    channel.state = "denied";
    for (const { on } of listeners) this.#call(() => on.onDenied?.(name, code, message));
  }

  /** Tasks wait for the second file, and are done in their order. */
  #people(channel: Channel, task: (members: Members) => void): void {
    this.env.more().then(({ Members }) => {
      channel.members ??= new Members(channel, (tell) => this.#call(tell));
      this.#call(() => task(channel.members!));
    }, this.env.report);
  }

  #closed(code: number, early: boolean): void {
    const presented = this.#presented();
    this.#toPresent = [];
    for (const channel of this.#channels.values()) channel.reset();
    const tokenCode = closeAction(code) === "token";
    // Whoever brings a token later is not to find a dead connection.
    if (tokenCode && early && !presented) this.#tokenRequired = true;
    for (const source of this.#sources()) {
      if (!source) continue;
      source.presented = undefined;
      const ended = early ? source === presented : source.token !== undefined;
      if (tokenCode && ended) this.#refused(source, `closed with ${code}`);
    }
  }

  #call(task: () => void): void {
    attempt(this.env, task);
  }
}

/** Whether the code of an `error` frame without a channel is about the token that is presented. */
function isTokenRefusal(code: unknown): boolean {
  return String(code).startsWith("token_") || code === "too_many_connections";
}
