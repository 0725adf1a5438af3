/** The surroundings of a connection without a page: Node and workers. */
import { RelayConnection } from "./relay-connection.ts";
import { openSocket, type WebSocketClass } from "./socket.ts";
import { relayUrl } from "./url.ts";

const connections = new Map<string, RelayConnection>();

/**
 * The process's connection to `url`. Throws `TypeError` when there is no WebSocket class. Nothing is
 * remembered beyond the process; `page` counts from here.
 */
export function processConnectionTo(
  url: string,
  webSocket: WebSocketClass | undefined,
  report: (error: unknown) => void,
): RelayConnection {
  const WebSocketOf = webSocket ?? (globalThis.WebSocket as WebSocketClass | undefined);
  if (!WebSocketOf) {
    throw new TypeError("rtm: there is no WebSocket here; give the class of the package ws");
  }
  const address = relayUrl(url, globalThis.location?.href ?? "");
  const present = connections.get(address);
  if (present && present.link.status.state !== "stopped") return present;
  const startedAt = performance.now();
  const connection = new RelayConnection(
    {
      connect: (target, handlers) => openSocket(WebSocketOf, target, handlers),
      beforeFrame: (task) => void setTimeout(task),
      pageAgeMs: () => performance.now() - startedAt,
      random: Math.random,
      positionsBefore: () => ({}),
      report,
    },
    address,
  );
  connections.set(address, connection);
  return connection;
}
