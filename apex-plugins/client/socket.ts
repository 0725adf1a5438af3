/**
 * What carries frames to the relay, as the connection uses it; and a WebSocket as such: the browser's,
 * Node's, or that of the package ws.
 */
import { SUBPROTOCOL } from "../../relay/contract/protocol.ts";

/** The file with the ways without WebSockets (more.ts) could not be had. */
export const NOT_LOADED = "fallback_not_loaded";

export interface Socket {
  send(text: string): void;
  /** Closes it; none of the handlers is called any more. */
  abandon(code?: number): void;
}

export interface SocketHandlers {
  open(): void;
  frame(text: string): void;
  close(code: number | typeof NOT_LOADED): void;
}

/** What of a WebSocket is used. The handlers are `unknown` because their types differ. */
export interface WebSocketLike {
  readonly readyState: number;
  onopen: unknown;
  onmessage: unknown;
  onclose: unknown;
  onerror: unknown;
  send(text: string): void;
  close(code?: number): void;
}

export type WebSocketClass = new (url: string, protocol: string) => WebSocketLike;

const OPEN = 1;

export function openSocket(
  WebSocketOf: WebSocketClass,
  url: string,
  handlers: SocketHandlers,
): Socket {
  const socket = new WebSocketOf(url, SUBPROTOCOL);
  socket.onopen = () => handlers.open();
  socket.onmessage = ({ data }: { data: unknown }) => handlers.frame(String(data));
  socket.onclose = ({ code }: { code: number }) => handlers.close(code);
  // A close follows it. Without a handler the package ws would throw.
  socket.onerror = () => {};
  return {
    send(text) {
      if (socket.readyState === OPEN) socket.send(text);
    },
    abandon() {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(1000);
    },
  };
}
