/**
 * Addresses below a relay's URL. It may have a path, where a proxy gives it one
 * (`https://apps.example.com/rtm`, nginx/rtm-ords.inc): that stays, as it does in `worker.publishUrl`.
 */

/** @param path what the relay calls it, without a slash at the begin */
export function below(base: string, path: string): URL {
  return new URL(path, base.endsWith("/") ? base : `${base}/`);
}

/** Where clients open their WebSocket. */
export function webSocketBelow(base: string): URL {
  const target = below(base, "ws");
  target.protocol = target.protocol.replace("http", "ws");
  return target;
}
