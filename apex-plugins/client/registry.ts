/** One connection for each relay: all copies of this script in a page or a process share it. */
import type { RelayConnection } from "./relay-connection.ts";

const REGISTRY = Symbol.for("rtm.connections");
const shared = globalThis as unknown as Record<symbol, Map<string, RelayConnection> | undefined>;

/** The connection to `address`; one that is not there, or has stopped, is made. */
export function registered(address: string, make: () => RelayConnection): RelayConnection {
  shared[REGISTRY] ??= new Map();
  const registry = shared[REGISTRY];
  let connection = registry.get(address);
  if (!connection || connection.link.is("stopped")) {
    connection = make();
    registry.set(address, connection);
  }
  return connection;
}
