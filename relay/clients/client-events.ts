/**
 * Events that clients send to each other, such as "is typing": they are no messages, have no number, are
 * never stored, and go to whoever can take them now.
 */
import { randomBytes } from "node:crypto";
import { SharedFrames } from "../channels/control-frames.ts";
import type { Hub } from "../channels/hub.ts";
import type { Subscription } from "../channels/outlet.ts";
import type { ClientEventsConfig } from "../config/client-events.ts";
import { MAX_DEPTH, nameProblem } from "../contract/message.ts";
import { matchesAny } from "../contract/patterns.ts";
import { CLIENT_EVENT_PREFIX, type ClientEventFrame, type Code } from "../contract/protocol.ts";
import { RateLimit } from "./rate-limit.ts";

/** A client for which more is unsent gets no events, bytes. */
const BUSY_BYTES = 64 * 1024;
/** Channels whose rate is remembered; beyond it the one that was used longest ago is forgotten. */
const MAX_CHANNELS = 10_000;
/** Bytes of the id of a connection. */
const CONN_BYTES = 8;

/** As what others see a sender. */
export interface SeenAs {
  readonly user?: string;
  /** In place of the id of its connection. */
  readonly conn?: string;
}

/** Who sends, and what it may. */
export interface Sender {
  /** Of its connection; the receivers see it, unless it is seen as another one. */
  readonly conn: string;
  /** As whom it is seen in the channel, where a token lets it send there; undefined: it may not. */
  senderIn(channel: string): SeenAs | undefined;
  /** How much it has sent. */
  readonly rate: RateLimit;
}

/** A connection that may get events. */
export interface Hearer {
  readonly conn: string;
  readonly hearsEvents: boolean;
}

export interface EventToSend {
  readonly channel?: unknown;
  readonly eventName?: unknown;
  readonly payload?: unknown;
}

export interface EventProblem {
  readonly code: Code;
  readonly message: string;
  readonly channel?: string;
}

export class ClientEvents {
  readonly #hub: Hub;
  readonly #config: ClientEventsConfig;
  readonly #channels = new Map<string, RateLimit>();
  /** Tells other nodes, which do as `heard`; nothing where there is none. */
  forward: (text: string) => void = () => {};

  constructor(hub: Hub, config: ClientEventsConfig) {
    this.#hub = hub;
    this.#config = config;
  }

  /** Whether events may be sent anywhere. */
  get enabled(): boolean {
    return this.#config.channels.length > 0;
  }

  /** The rate of a new connection. */
  newRate(): RateLimit {
    return new RateLimit(this.#rate(this.#config.perSecond), performance.now());
  }

  newConn(): string {
    return randomBytes(CONN_BYTES).toString("hex");
  }

  #rate(perSecond: number) {
    return { perSecond, burst: 2 * perSecond };
  }

  /** Sends the event to all others who read the channel and can take it now, or says why not. */
  send(event: EventToSend, sender: Sender): EventProblem | undefined {
    const problem = this.#problemOf(event, sender);
    this.#hub.stats.clientEvents.add(problem ? problem.code : "sent");
    return problem;
  }

  #problemOf({ channel, eventName, payload }: EventToSend, sender: Sender) {
    const bad = nameProblem(channel);
    if (bad) return { code: "bad_channel", message: `channel ${bad}` } as const;
    const name = channel as string;
    const refused = (code: Code, message: string): EventProblem => ({
      code,
      message,
      channel: name,
    });
    const badEvent = nameProblem(eventName);
    if (badEvent) return refused("bad_event_name", `eventName ${badEvent}`);
    if (!(eventName as string).startsWith(CLIENT_EVENT_PREFIX)) {
      return refused("bad_event_name", `eventName must begin with ${CLIENT_EVENT_PREFIX}`);
    }
    if (!matchesAny(this.#config.channels, name)) {
      return refused("publish_forbidden", "relay.clientEvents.channels does not name the channel");
    }
    const who = sender.senderIn(name);
    if (!who) return refused("publish_forbidden", "no token grants both publish and channels");
    if (isDeeper(payload, MAX_DEPTH)) {
      return refused("bad_frame", `payload is nested deeper than ${MAX_DEPTH}`);
    }
    const text = JSON.stringify(payload ?? null);
    const { bytes, perSecond, channelPerSecond } = this.#config;
    if (Buffer.byteLength(text) > bytes) {
      return refused("message_too_large", `payload has more than ${bytes} bytes`);
    }
    const now = performance.now();
    if (!sender.rate.take(1, now, this.#rate(perSecond))) {
      return refused("publish_limit", `more than ${perSecond} events per second`);
    }
    if (!this.#takeOf(name, now)) {
      const message = `more than ${channelPerSecond} events per second of all in the channel`;
      return refused("publish_limit", message);
    }
    const from = { user: who.user, conn: who.conn ?? sender.conn };
    const head = JSON.stringify({ op: "event", channel: name, eventName, from, ts: Date.now() });
    const frame = `${head.slice(0, -1)},"payload":${text}}`;
    this.#deliver(name, eventName as string, sender.conn, frame);
    this.forward(frame);
    return undefined;
  }

  #takeOf(channel: string, now: number): boolean {
    const rate = this.#rate(this.#config.channelPerSecond);
    const limit = this.#channels.get(channel) ?? new RateLimit(rate, now);
    this.#channels.delete(channel);
    this.#channels.set(channel, limit);
    if (this.#channels.size > MAX_CHANNELS) {
      const [oldest] = this.#channels.keys();
      this.#channels.delete(oldest as string);
    }
    return limit.take(1, now, rate);
  }

  /** An event that another node forwards. */
  heard(text: string): void {
    let frame: ClientEventFrame;
    try {
      frame = JSON.parse(text) as ClientEventFrame;
    } catch {
      return;
    }
    const { channel, eventName, from } = frame;
    if (typeof channel !== "string" || typeof eventName !== "string") return;
    this.#deliver(channel, eventName, from?.conn, text);
  }

  #deliver(name: string, eventName: string, conn: string | undefined, text: string): void {
    const channel = this.#hub.channels.get(name);
    if (!channel) return;
    let frames: SharedFrames | undefined;
    // A client that is too slow even for this one is ended, and leaves the set.
    for (const subscription of [...channel.subscriptions]) {
      if (!canTake(subscription, eventName, conn)) continue;
      frames ??= new SharedFrames([text]);
      subscription.outlet.controls(frames.as(subscription.outlet.view.format));
    }
  }
}

/** Whether objects and lists are nested deeper than `depth`; then `JSON.stringify` may have no stack for them. */
function isDeeper(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return depth === 0 || Object.values(value).some((member) => isDeeper(member, depth - 1));
}

function canTake({ outlet, state, view }: Subscription, eventName: string, conn?: string): boolean {
  const hearer = outlet.owner as Partial<Hearer>;
  return (
    hearer.hearsEvents === true &&
    hearer.conn !== conn &&
    state === "live" &&
    !outlet.dead &&
    outlet.held <= BUSY_BYTES &&
    (!view.events || view.events.has(eventName))
  );
}
