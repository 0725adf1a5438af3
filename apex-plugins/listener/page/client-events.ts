/** `rtm.publish`: events for other pages, over the socket of this page's listeners. */
import type { RtmClient } from "../../client/client.ts";

const clients = new Map<string, RtmClient>();

/** Events to these channels go through `client`. */
export function publishThrough(client: RtmClient, channels: readonly string[]): void {
  for (const channel of channels) clients.set(channel, client);
}

/**
 * As `publish` of the client (docs/client.md). A channel that no listener names goes the way of the first one:
 * a prefix may grant it. What is not sent is in the debug log too, so that a script may leave the promise alone.
 */
export function publishEvent(channel: string, eventName: string, payload?: unknown): Promise<void> {
  const client = clients.get(channel) ?? clients.values().next().value;
  const sent = client
    ? client.publish(channel, eventName, payload)
    : Promise.reject(
        Object.assign(new Error("rtm: not_connected: no Listener of this page has started"), {
          code: "not_connected",
        }),
      );
  sent.catch((error) => apex.debug.warn("rtm: an event was not sent:", String(error)));
  return sent;
}
