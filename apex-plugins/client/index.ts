/** rtm-client: messages of apex-rtm in a browser page. docs/apex.md, "The browser client". */
import { connectionTo } from "./browser.ts";
import { RtmClient, type Token } from "./client.ts";

export interface ConnectOptions {
  /** The relay: `wss://host/ws`, a path of the page's host, or absent for `/ws` there. */
  readonly url?: string | undefined;
  /** The token for subscriptions that bring none. Public channels need no token. */
  readonly token?: Token | undefined;
}

/**
 * A client of the relay. Clients of one URL share a socket, which opens with the first
 * subscription. Throws `TypeError` when the URL cannot be used.
 */
export function connect(options: ConnectOptions = {}): RtmClient {
  return new RtmClient(connectionTo(options.url ?? ""), options.token);
}

export type { MessageFrame } from "../../relay/contract/protocol.ts";
export type { Position, Start } from "./channel.ts";
export type { RtmClient, RtmSubscription, SubscribeOptions, Token } from "./client.ts";
export type { State, Status } from "./link.ts";
export { StopError, type TokenOptions, type TokenProvider } from "./token.ts";
