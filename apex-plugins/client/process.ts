/** The surroundings of a connection without a page: Node and workers. */
import type { Environment } from "./environment.ts";
import { registered } from "./registry.ts";
import { RelayConnection } from "./relay-connection.ts";
import { openSocket, type WebSocketClass } from "./socket.ts";
import { relayUrl } from "./url.ts";

interface ProcessOptions extends Pick<Environment, "report" | "more"> {
  readonly webSocket: WebSocketClass | undefined;
}

/**
 * The process's connection to `url`. Throws `TypeError` when there is no WebSocket class. Nothing is
 * remembered beyond the process; `page` counts from here.
 */
export function processConnectionTo(
  url: string,
  { webSocket, report, more }: ProcessOptions,
): RelayConnection {
  const WebSocketOf = webSocket ?? (globalThis.WebSocket as WebSocketClass | undefined);
  if (!WebSocketOf) {
    throw new TypeError("rtm: webSocket must be the class of the package ws");
  }
  const address = relayUrl(url, globalThis.location?.href ?? "");
  const startedAt = performance.now();
  return registered(
    address,
    () =>
      new RelayConnection(
        {
          connect: (target, handlers) => openSocket(WebSocketOf, target, handlers),
          beforeFrame: (task) => void setTimeout(task),
          pageAgeMs: () => performance.now() - startedAt,
          random: Math.random,
          positionsBefore: () => ({}),
          report,
          more,
        },
        address,
      ),
  );
}
