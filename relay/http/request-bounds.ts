/** What one connection may make an HTTP server do; every listener of ours has these bounds. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Requests of one connection in one turn. */
export const MAX_PIPELINED = 32;

/**
 * Bounds how many requests of one connection are answered in one turn of the event loop. Node hands over
 * all that have arrived, up to some megabytes, before it looks at anybody else; no client of ours
 * sends a request before it has the answer to the last one.
 *
 * @param onTooMany told the request with which a connection is ended
 * @returns whether a request is to be answered; the connection is gone when it is not
 */
export function pipelineLimit(
  onTooMany: (request: IncomingMessage) => void,
): (request: IncomingMessage) => boolean {
  const arrived = new Map<Socket, number>();
  const forget = (): void => arrived.clear();
  return (request) => {
    const { socket } = request;
    if (socket.destroyed) return false;
    if (arrived.size === 0) setImmediate(forget);
    const number = (arrived.get(socket) ?? 0) + 1;
    arrived.set(socket, number);
    if (number <= MAX_PIPELINED) return true;
    onTooMany(request);
    socket.destroy();
    return false;
  };
}

/**
 * For a place where no body is read: the connection of a request that has one ends with the answer,
 * because Node would read all of the body afterwards, however long it is.
 */
export function endAfterBody({ headers }: IncomingMessage, response: ServerResponse): void {
  const length = Number(headers["content-length"] ?? 0);
  if (headers["transfer-encoding"] !== undefined || length > 0) response.shouldKeepAlive = false;
}
