/** Closes all clients, spread over a window so that they do not come back all at once. */
import { setTimeout as wait } from "node:timers/promises";
import type { Clients } from "./clients.ts";

/** Up to this many closes per second need no spreading. */
const CLOSES_PER_SECOND = 200;
const STEP_MS = 20;
const POLL_MS = 10;

/**
 * @param window ms over which closes are spread; few clients need less
 * @param grace ms the clients have to answer the close frame
 */
export async function closeSpread(
  clients: Clients,
  { window, grace }: { readonly window: number; readonly grace: number },
): Promise<void> {
  const connections = [...clients.connections].sort(() => Math.random() - 0.5);
  const duration = Math.min(window, (connections.length / CLOSES_PER_SECOND) * 1000);
  const perStep = Math.max(1, Math.ceil((connections.length * STEP_MS) / Math.max(duration, 1)));
  const peers = connections.map(({ peer }) => peer);
  while (connections.length > 0 && clients.connections.size > 0) {
    for (const connection of connections.splice(0, perStep)) {
      connection.close("going_away", "the relay stops");
    }
    if (connections.length > 0) await wait(STEP_MS);
  }
  const deadline = performance.now() + grace;
  while (peers.some(({ gone }) => !gone)) {
    if (performance.now() > deadline) break;
    await wait(POLL_MS);
  }
  for (const peer of peers) peer.terminate();
}
