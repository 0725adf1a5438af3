/** What the processes of the cluster benchmark tell each other. */

/**
 * ours: relays on one log in the engine; one: one of our relays without an engine; socket.io: its
 * servers with the redis-streams adapter; pubsub: plain ws servers, each subscribed to all channels.
 */
export type Kind = "ours" | "one" | "socket.io" | "pubsub";

export const CHANNELS = 50;
export const PAYLOAD_BYTES = 200;

export const channelName = (index: number): string => `channel-${index % CHANNELS}`;

export type Command =
  /** Publishes batches, `inFlight` at a time; or single messages at a rate. */
  | {
      readonly do: "publish";
      readonly messages: number;
      readonly batch: number;
      readonly everyMs: number;
    }
  | { readonly do: "cpu" }
  | { readonly do: "connect"; readonly kind: Kind; readonly ports: readonly number[] }
  /** Reports once every page has got what its channel was given. */
  | { readonly do: "await"; readonly messages: number; readonly latencies: boolean }
  /** All pages leave and come to other nodes with their first position. */
  | { readonly do: "move"; readonly ports: readonly number[]; readonly pages: number }
  | { readonly do: "stop" };

export type Report =
  | { readonly is: "listening"; readonly port: number }
  | { readonly is: "connected" }
  | { readonly is: "published"; readonly seconds: number }
  | { readonly is: "cpu"; readonly seconds: number }
  | {
      readonly is: "received";
      readonly messages: number;
      readonly p50: number;
      readonly p99: number;
    }
  | { readonly is: "moved"; readonly seconds: number; readonly messages: number };

/** Ms of the monotonic clock that all processes of this machine share. */
export function sharedClock(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
