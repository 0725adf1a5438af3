/** A WebSocket as the connection uses it: the browser's, Node's, or that of the package ws. */
import { SUBPROTOCOL } from "../../relay/contract/protocol.ts";
import type { Socket, SocketHandlers } from "./environment.ts";

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
