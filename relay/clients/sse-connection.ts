/** `GET /sse`: a plain URL subscription for an EventSource (docs/protocol.md). */
import type { Subscription } from "../channels/outlet.ts";
import type { View } from "../channels/view.ts";
import type { ServerFrame, Since } from "../contract/protocol.ts";
import { eventOf, idLine } from "../wire/event.ts";
import { REFRESH_SPREAD_MS } from "./client-connection.ts";
import type { Clients } from "./clients.ts";
import { parseLastEventId, parsePositionId, placeBehind, positionId } from "./event-id.ts";
import { CONTROL_EVENT, type StreamPeer } from "./stream-peer.ts";
import { RIGHTS_END_REASONS, type RightsEndCode } from "./token-problem.ts";
import { UrlConnection } from "./url-connection.ts";
import { bad, parseLast, parseNames, type UrlRefusal, withLast } from "./url-request.ts";

/** What the request asks for. */
export interface SseRequest {
  readonly channels: readonly string[];
  /** For each channel; undefined when the request names no position at all. */
  readonly since: readonly (Since | undefined)[] | undefined;
  /** How many of the newest messages of each event are wanted where nothing is recovered. */
  readonly last: number | undefined;
  readonly events: ReadonlySet<string> | undefined;
  readonly token: string | undefined;
}

/** What of the request's headers counts. */
export interface SseHeaders {
  readonly authorization?: string | undefined;
  readonly "last-event-id"?: string | string[] | undefined;
}

/** Reads parameters and headers; unknown ones are ignored. */
export function parseSseRequest(
  parameters: URLSearchParams,
  headers: SseHeaders,
  maxChannels: number,
): SseRequest | UrlRefusal {
  const names = parseNames(parameters, maxChannels);
  if ("close" in names) return names;
  const { channels, events } = names;
  if (channels.length === 0) return bad("the URL names no channel");
  if (parameters.has("format")) return bad("an event stream has messages only: leave out format");
  const last = parseLast(parameters);
  if (typeof last === "object") return last;
  const [given, another] = parameters.getAll("since");
  const asked = given === undefined ? undefined : parsePositionId(given, channels.length);
  if (another !== undefined || (given !== undefined && !asked)) {
    return bad("since must be <epoch>:<seq>[,<seq>...], a seq or - for each channel");
  }
  const { authorization = "", "last-event-id": id } = headers;
  const since = typeof id === "string" && id !== "" ? parseLastEventId(id, channels.length) : asked;
  const [, bearer] = /^bearer +(\S+)$/i.exec(authorization) ?? [];
  return {
    channels,
    since,
    last,
    events: events && new Set(events),
    token: bearer ?? parameters.get("token") ?? undefined,
  };
}

export class SseConnection extends UrlConnection {
  readonly #peer: StreamPeer;
  readonly #request: SseRequest;
  /** Its place in the URL. */
  readonly #places: ReadonlyMap<string, number>;
  /** What was written last, for each channel of the URL. */
  readonly #seqs: (number | undefined)[];
  #epoch = "";

  constructor(clients: Clients, peer: StreamPeer, request: SseRequest) {
    super(clients, peer, clients.events);
    this.#peer = peer;
    this.#request = request;
    this.#places = new Map(request.channels.map((channel, place) => [channel, place]));
    this.#seqs = request.channels.map(() => undefined);
    this.#start();
  }

  protected override frame(): void {}

  /** Says how far it has got where a filter leaves out messages, or else nothing. */
  protected override ping(): void {
    if (!this.#request.events) {
      this.outlet.wire.ping();
      return;
    }
    for (const [channel, { state, channel: its }] of this.subscriptions) {
      if (state === "live") this.#moved(channel, its.offeredSeq);
    }
    // An id without data is taken over without an event.
    this.#peer.wire.lines(`${idLine(this.#id())}\n`);
  }

  override restarted({ channel }: Subscription, seq: number): void {
    const { epoch } = this.clients.hub;
    // Where it stood in the others says nothing any more; they are told next.
    if (epoch !== this.#epoch) this.#seqs.fill(undefined);
    this.#epoch = epoch;
    this.#moved(channel.name, seq);
    const answer = { op: "subscribed", channel: channel.name, epoch, seq } as const;
    this.#control({ ...answer, recovered: false, spreadMs: REFRESH_SPREAD_MS });
  }

  /** Its next ping says so. */
  override caughtUp(): void {}

  protected override rightsEnded(channel: string, code: RightsEndCode): void {
    this.#moved(channel, undefined);
    this.#control({ op: "unsubscribed", channel, code });
    if (this.subscriptions.size === 0) this.close(code, RIGHTS_END_REASONS[code]);
  }

  #start(): void {
    const { token, channels } = this.#request;
    if (!this.enter(token)) return;
    const granted = this.grantedOf(channels, token);
    if (!granted) return;
    const sinceOf = (channel: string) => this.#sinceOf(channel);
    this.whenJudged(granted, sinceOf, () => this.#subscribe(granted));
  }

  /** Answers all channels in one write; the replays follow. */
  #subscribe(granted: readonly string[]): void {
    const { hub } = this.clients;
    this.#epoch = hub.epoch;
    const started = granted.map((channel) => {
      const { subscription, seq, recovered, last, replay } = hub.subscribe(this.outlet, channel, {
        since: this.#sinceOf(channel),
        view: this.#viewOf(channel),
        mayReplay: (bytes) => this.mayReplay(channel, bytes),
      });
      this.subscriptions.set(channel, subscription);
      const from = subscription.state === "behind" ? subscription.cursor - 1 : seq;
      // Whoever is cut off before the newest have come is to ask for them again.
      this.#moved(channel, last && last.sent > 0 ? undefined : from);
      return { channel, seq, recovered, newest: last ? { last } : {}, replay };
    });
    const { outlet } = this;
    const { epoch } = hub;
    outlet.wire.cork();
    for (const { channel, seq, recovered, newest } of started) {
      this.#control({ op: "subscribed", channel, epoch, seq, recovered, ...newest });
    }
    outlet.wire.uncork();
    if (outlet.dead) return;
    hub.actOn(outlet, "taken");
    for (const { replay } of started) replay();
  }

  /** Clients of one channel, all of it, share what is written to them. */
  #viewOf(channel: string): View {
    const { channels, events } = this.#request;
    if (channels.length === 1 && !events) return this.outlet.view;
    const idWhenWritten = (seq: number): string => {
      this.#moved(channel, placeBehind(seq));
      return this.#id();
    };
    return { format: "sse", events, idWhenWritten };
  }

  #sinceOf(channel: string): Since | undefined {
    const { since, last } = this.#request;
    return withLast(since?.[this.#places.get(channel) as number], last);
  }

  #moved(channel: string, seq: number | undefined): void {
    this.#seqs[this.#places.get(channel) as number] = seq;
  }

  #id(): string {
    return positionId(this.#epoch, this.#seqs);
  }

  #control(frame: ServerFrame): void {
    const text = Buffer.from(JSON.stringify(frame));
    this.outlet.controlFrame(eventOf(text, CONTROL_EVENT + idLine(this.#id())));
  }
}
