/** A plain URL subscription: a WebSocket without a subprotocol (docs/protocol.md). */
import { type View, viewOf } from "../channels/view.ts";
import type { Since } from "../contract/protocol.ts";
import { parsePosition } from "./client-frame.ts";
import type { Clients } from "./clients.ts";
import type { Peer } from "./peer.ts";
import { RIGHTS_END_REASONS, type RightsEndCode } from "./token-problem.ts";
import { UrlConnection } from "./url-connection.ts";
import { bad, parseLast, parseNames, type UrlRefusal, withLast } from "./url-request.ts";

/** What the URL asks for. */
export interface PlainRequest {
  readonly channels: readonly string[];
  readonly since: Since | undefined;
  /** It begins with the newest messages of each event where nothing is recovered. */
  readonly lasting: boolean;
  readonly view: View;
  readonly token: string | undefined;
}

/** Reads the parameters; unknown ones are ignored. */
export function parsePlainRequest(
  parameters: URLSearchParams,
  options: { readonly firehose: boolean; readonly maxChannels: number },
): PlainRequest | UrlRefusal {
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

export class PlainConnection extends UrlConnection {
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

  protected override rightsEnded(_channel: string, code: RightsEndCode): void {
    if (this.subscriptions.size > 0) return;
    this.close(code, RIGHTS_END_REASONS[code]);
  }

  #start({ token, channels, since }: PlainRequest): void {
    if (!this.enter(token)) return;
    if (channels.length === 0) {
      this.clients.hub.addFirehose(this.outlet);
      return;
    }
    const granted = this.grantedOf(channels, token);
    if (granted)
      this.whenJudged(
        granted,
        () => since,
        () => this.#subscribe(granted, since),
      );
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
