/** What the processes of the cluster benchmark tell each other. */

/**
 * ours: relays on one log in the engine; one: one of our relays without an engine; socket.io: its
 * servers with the redis-streams adapter; pubsub: plain ws servers, each subscribed to all channels.
 */
export type Kind = "ours" | "one" | "socket.io" | "pubsub";

/** Channels that messages go to in turn, and how many pages of each node read each of them. */
export interface Shape {
  readonly channels: number;
  readonly pages: number;
}

export const PAYLOAD_BYTES = 200;

export const channelName = (index: number): string => `channel-${index}`;

/** A message here comes after all others, so whoever has it has taken in all of them. */
export const LAST = "channel-last";

export type Command =
  /** Publishes batches, one at a time, or one every `everyMs`. */
  | {
      readonly do: "publish";
      readonly messages: number;
      readonly channels: number;
      readonly batch: number;
      readonly everyMs: number;
    }
  /** Publishes one message on `LAST`. */
  | { readonly do: "last" }
  | { readonly do: "cpu" }
  | {
      readonly do: "connect";
      readonly kind: Kind;
      readonly ports: readonly number[];
      readonly channels: readonly string[];
      readonly pages: number;
    }
  /** Reports once so many messages have arrived, counted from the last report. */
  | { readonly do: "await"; readonly deliveries: number }
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
      /** From publish to here, ms. */
      readonly p50: number;
      readonly p99: number;
    }
  | { readonly is: "moved"; readonly seconds: number; readonly messages: number };

/** Ms of the monotonic clock that all processes of this machine share. */
export function sharedClock(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
