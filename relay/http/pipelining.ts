/**
 * How many requests of one connection are answered in one turn of the event loop. Node hands over
 * all that have arrived, up to some megabytes, before it looks at anybody else; no client of ours
 * sends a request before it has the answer to the last one.
 */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";

/** Requests of one connection in one turn. */
export const MAX_PIPELINED = 32;

/**
 * @param onTooMany told the client's address when a connection was ended
 * @returns whether a request is to be answered; the connection is gone when it is not
 */
export function pipelineLimit(
  onTooMany: (address: string | undefined) => void,
): (request: IncomingMessage) => boolean {
  const arrived = new Map<Socket, number>();
  const forget = (): void => arrived.clear();
  return ({ socket }) => {
    if (socket.destroyed) return false;
    if (arrived.size === 0) setImmediate(forget);
    const number = (arrived.get(socket) ?? 0) + 1;
    arrived.set(socket, number);
    if (number <= MAX_PIPELINED) return true;
    const { remoteAddress } = socket;
    socket.destroy();
    onTooMany(remoteAddress);
    return false;
  };
}
