/** rtm-client: messages of apex-rtm in a browser page or a Node process. docs/client.md. */
import { connectionTo } from "./browser.ts";
import { type Connect, connector } from "./connect.ts";
import { processConnectionTo } from "./process.ts";

/** See `Connect`. */
export const connect: Connect = connector(
  (url, { webSocket, onError = () => {} }, more) =>
    typeof document === "undefined"
      ? processConnectionTo(url, { webSocket, report: onError, more })
      : connectionTo(url, more),
  () => import("./more.ts"),
);

export type { MessageFrame } from "../../relay/contract/protocol.ts";
export type { RtmClient, RtmSubscription, SubscribeOptions, Token } from "./client.ts";
export type { Connect, ConnectOptions } from "./connect.ts";
export type { PublishError } from "./events.ts";
export type { State, Status } from "./link.ts";
export type { ClientEvent, Member, MembersChange, Position, Start } from "./listener.ts";
export type { WebSocketClass, WebSocketLike } from "./socket.ts";
export { StopError, type TokenOptions, type TokenProvider } from "./token.ts";
export type { Via } from "./ways.ts";
