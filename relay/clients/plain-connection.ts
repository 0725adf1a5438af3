/** A plain URL subscription: a WebSocket without a subprotocol (docs/protocol.md). */
import { type View, viewOf } from "../channels/view.ts";
import { nameProblem } from "../contract/message.ts";
import { type CloseName, MAX_EVENTS, MAX_LAST, type Since } from "../contract/protocol.ts";
import { ClientConnection, LOST_REASONS, type LostCode } from "./client-connection.ts";
import { isProblem, parsePosition } from "./client-frame.ts";
import type { Clients } from "./clients.ts";
import type { Peer } from "./peer.ts";

/** What the URL asks for. */
export interface PlainRequest {
  readonly channels: readonly string[];
  readonly since: Since | undefined;
  /** It begins with the newest messages of each event where nothing is recovered. */
  readonly lasting: boolean;
  readonly view: View;
  readonly token: string | undefined;
}

/** Why the URL is refused. */
export interface PlainRefusal {
  readonly close: CloseName;
  readonly reason: string;
}

export function bad(reason: string): PlainRefusal {
  return { close: "bad_request", reason };
}

/** Which channels and events a URL names. */
export interface UrlNames {
  readonly channels: readonly string[];
  /** undefined: all. */
  readonly events: readonly string[] | undefined;
}

/** Reads `channel` and `event`, which may come several times. */
export function parseNames(
  parameters: URLSearchParams,
  maxChannels: number,
): UrlNames | PlainRefusal {
  const channels = [...new Set(parameters.getAll("channel"))];
  const events = [...new Set(parameters.getAll("event"))];
  for (const [key, names] of Object.entries({ channel: channels, event: events })) {
    const problem = names.map(nameProblem).find((text) => text !== undefined);
    if (problem) return bad(`${key} ${problem}`);
  }
  if (channels.length > maxChannels) return bad(`more than ${maxChannels} channels`);
  if (events.length > MAX_EVENTS) return bad(`more than ${MAX_EVENTS} events`);
  return { channels, events: events.length === 0 ? undefined : events };
}

/** Reads `last`: how many of the newest messages of each event are wanted; undefined: none. */
export function parseLast(parameters: URLSearchParams): number | undefined | PlainRefusal {
  const [text, another] = parameters.getAll("last");
  if (text === undefined) return undefined;
  const last = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  return another === undefined && last >= 1 && last <= MAX_LAST
    ? last
    : bad(`last must be a whole number from 1 to ${MAX_LAST}`);
}

/** A place in a channel, or the newest messages where that cannot be gone on from. */
export function withLast(since: Since | undefined, last: number | undefined): Since | undefined {
  if (last === undefined) return since;
  return since && "epoch" in since ? { ...since, last } : { last };
}

/** Reads the parameters; unknown ones are ignored. */
export function parsePlainRequest(
  parameters: URLSearchParams,
  options: { readonly firehose: boolean; readonly maxChannels: number },
): PlainRequest | PlainRefusal {
  const names = parseNames(parameters, options.maxChannels);
  if ("close" in names) return names;
  const { channels, events } = names;
  if (channels.length === 0 && !options.firehose) return bad("the URL names no channel");
  const format = parameters.get("format") ?? "message";
  if (format !== "message" && format !== "payload") return bad("format must be payload");
  const position = parameters.getAll("since");
  if (position.length > 0 && (position.length > 1 || channels.length !== 1)) {
    return bad("since needs exactly one channel");
  }
  const since = position[0] === undefined ? undefined : parsePosition(position[0]);
  if (position.length > 0 && since === undefined) return bad("since must be <epoch>:<seq>");
  const last = parseLast(parameters);
  if (typeof last === "object") return last;
  if (last !== undefined && channels.length === 0) return bad("last needs a channel");
  return {
    channels,
    since: withLast(since, last),
    lasting: last !== undefined,
    view: viewOf(format, events),
    token: parameters.get("token") ?? undefined,
  };
}

export class PlainConnection extends ClientConnection {
  /** It was promised everything after a position. */
  readonly #recovers: boolean;
  /** It was promised the newest messages where that is not possible. */
  readonly #lasting: boolean;

  constructor(clients: Clients, peer: Peer, request: PlainRequest) {
    super(clients, peer, request.view);
    this.#recovers = request.since !== undefined;
    this.#lasting = request.lasting;
    this.#start(request);
  }

  protected override frame(): void {}

  protected override ping(): void {
    this.outlet.wire.ping();
  }

  override restarted(): void {
    // No frame could tell it: it comes back, and is given the newest again.
    if (this.#lasting) this.close("going_away", "the relay began anew");
    else if (this.#recovers)
      this.close("not_recovered", "the relay began anew; connect without since");
  }

  /** It has no frames but messages. */
  override caughtUp(): void {}

  protected override lost(_channel: string, code: LostCode): void {
    if (this.subscriptions.size > 0) return;
    this.close(code, LOST_REASONS[code]);
  }

  #start({ token, channels, since }: PlainRequest): void {
    const { hub, stats, config } = this.clients;
    if (token !== undefined && !config.insecure) {
      const grant = this.present(token);
      if (isProblem(grant)) {
        this.close(grant.close, "the token was refused");
        return;
      }
    }
    if (channels.length === 0) {
      hub.addFirehose(this.outlet);
      return;
    }
    const now = Date.now();
    const granted = channels.filter((channel) => this.rights.allows(channel, now));
    if (granted.length === 0) {
      stats.authFailed(token === undefined ? "token_required" : "channel_forbidden");
      if (token === undefined) this.close("token_required", "a token is needed");
      else this.close("forbidden", "the token grants none of the channels");
      return;
    }
    const ask = granted.some((channel) => hub.mustCatchUp(channel, since));
    if (ask) this.whenCaughtUp(() => this.#subscribe(granted, since));
    else this.#subscribe(granted, since);
  }

  #subscribe(granted: readonly string[], since: Since | undefined): void {
    const { hub } = this.clients;
    const started = granted.map((channel) => {
      const { subscription, recovered, replay } = hub.subscribe(this.outlet, channel, {
        since,
        mayReplay: (bytes) => this.mayReplay(channel, bytes),
      });
      this.subscriptions.set(channel, subscription);
      return { recovered, replay };
    });
    if (this.#recovers && !this.#lasting && !started.every(({ recovered }) => recovered)) {
      this.close("not_recovered", "since cannot be recovered; connect without it and refresh");
      return;
    }
    for (const { replay } of started) replay();
  }
}
