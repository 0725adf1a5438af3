/** What the processes of the relay benchmark tell each other. */

/**
 * The baseline, or ours; `joined`: ours with `relay.wire` `joined`, for rows that compare wires; `posts`:
 * ours with single POSTs, for rows that compare ways to publish; `nats`: a NATS server.
 */
export type ServerKind = "plain" | "relay" | "joined" | "posts" | "nats";

export interface Scenario {
  readonly name: string;
  readonly connections: number;
  readonly channels: number;
  /**
   * Who publishes: the server itself, or the load process with one POST, or one frame of a publishing
   * socket, per `postSize` messages.
   */
  readonly feed: "in-process" | "post" | "socket";
  readonly postSize: number;
  /** Messages published and not yet received by all their subscribers. 0: paced by `ratePerSecond`. */
  readonly inFlight: number;
  readonly ratePerSecond: number;
}

export type Command =
  | {
      readonly do: "connect";
      readonly port: number;
      readonly ackPort: number;
      readonly token: string;
    }
  /** Publish and measure. */
  | {
      readonly do: "run";
      readonly warmUpMs: number;
      readonly measureMs: number;
      readonly startsAt: number;
    }
  | { readonly do: "measure-memory" }
  /** CPU time that the process has used. */
  | { readonly do: "measure-cpu" }
  /** Make so many tokens. */
  | { readonly do: "mint"; readonly count: number }
  | { readonly do: "leave" }
  /** As many pages as tokens come back. */
  | { readonly do: "storm"; readonly port: number; readonly tokens: readonly string[] }
  | { readonly do: "stop" };

export type Report =
  | {
      readonly is: "listening";
      readonly port: number;
      readonly ackPort: number;
      readonly token: string;
    }
  | { readonly is: "connected" }
  | {
      readonly is: "measured";
      readonly deliveries: number;
      readonly cpuSeconds: number;
      readonly seconds: number;
    }
  | { readonly is: "latency"; readonly p50: number; readonly p99: number; readonly count: number }
  | { readonly is: "memory"; readonly rss: number }
  | { readonly is: "cpu"; readonly micros: number }
  | { readonly is: "minted"; readonly tokens: readonly string[] }
  | { readonly is: "left" }
  | { readonly is: "back" };

/** The length of an encoded message, bytes (a few more with a long `seq`). */
export const MESSAGE_BYTES = 200;
export const API_KEY = "bench-key-0123456789";
export const SECRET = "bench-secret-0123456789-0123456789";
export const MESSAGE_ID = "0123456789abcdef0123456789ab";

export function channelName(index: number): string {
  return `channel-${String(index).padStart(4, "0")}`;
}

/** Payload text that makes a message of the plain server `MESSAGE_BYTES` long. */
export function payloadText(): string {
  const empty = { channel: channelName(0), eventName: "event", payload: { text: "" } };
  const rest = JSON.stringify({
    ...empty,
    id: `${MESSAGE_ID}00000000`,
    seq: 1,
    ts: 1_795_333_000_123,
  });
  return JSON.stringify({ text: "x".repeat(MESSAGE_BYTES - rest.length) });
}

/** Ms of the monotonic clock that all processes of this machine share. */
export function sharedClock(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** How the row "f" writes: uncompressed, compressed once for all readers, or for each of them. */
export type DeflateVariant = "plain" | "shared" | "each";

export type DeflateCommand =
  | {
      readonly do: "deflate";
      readonly variant: DeflateVariant;
      /** Of a message, about. */
      readonly bytes: number;
      /** Of CPU time. */
      readonly measureMs: number;
    }
  | { readonly do: "stop" };

export type DeflateReport =
  | { readonly is: "listening"; readonly port: number }
  | { readonly is: "deflated"; readonly microsPerMessage: number; readonly bytes: number };
