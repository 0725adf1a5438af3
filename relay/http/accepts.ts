/**
 * How many sockets the relay accepts. Some descriptors are kept free of clients, so that whatever
 * they do the history can be saved, the database reached and the admin listener asked. When there is
 * none left the system takes connections and drops them, and nobody hears of it.
 */
import type { Server } from "node:http";
import { descriptorLimit, openDescriptors } from "../../common/descriptors.ts";
import type { RateLimitedLog } from "../../common/logger.ts";
import type { RelayConfig } from "../config/config.ts";

/** Beyond the WebSocket limit: for REST, and for clients that get a close code. */
const SPARE_SOCKETS = 256;
/** Of the admin listener. */
const ADMIN_SOCKETS = 32;
/** Kept free of clients: the admin listener, database sessions, files, child processes. */
const RESERVED = ADMIN_SOCKETS + 64;
/** What a service has open before the first client, about. */
const AT_START = 48;
/** Fewer make no relay. */
const LEAST_SOCKETS = 16;

/** Why not all clients of `limits.connections` fit into `limit` descriptors; undefined when they do. */
export function descriptorProblem(
  { limits }: Pick<RelayConfig, "limits">,
  limit = descriptorLimit(),
): string | undefined {
  const needed = limits.connections + SPARE_SOCKETS + RESERVED + AT_START;
  if (limit === undefined || limit >= needed) return undefined;
  return (
    `this process may open ${limit} files, but relay.limits.connections of ${limits.connections} ` +
    `needs ${needed}: raise LimitNOFILE of the unit (ulimit -n in a shell), or lower ` +
    "relay.limits.connections"
  );
}

/** Bounds what a listener accepts; each refusal is counted and, now and then, logged. */
export function limitAccepts(
  server: Server,
  config: RelayConfig,
  { warnings, onRefused }: { warnings: RateLimitedLog; onRefused: () => void },
): void {
  const limit = descriptorLimit() ?? Number.POSITIVE_INFINITY;
  const wanted = config.limits.connections + SPARE_SOCKETS;
  const possible = limit - openDescriptors() - RESERVED;
  server.maxConnections = Math.max(LEAST_SOCKETS, Math.min(wanted, possible));
  server.on("drop", (socket) => {
    onRefused();
    warnings.warn(
      "accept",
      { address: socket?.remoteAddress, open: server.maxConnections },
      "a connection was refused: all sockets that the relay may accept are open",
    );
  });
}

/** The admin listener takes few, so that it cannot use up what is kept for others. */
export function limitAdminAccepts(server: Server): void {
  server.maxConnections = ADMIN_SOCKETS;
}
