/**
 * How much history clients may be given. A page that recovers asks for each of its channels once, and
 * gets all of it; whoever asks again and again on one connection is charged by the bytes of the answers.
 * All connections of an address are charged together, for the first replays too, because connections
 * cost a client next to nothing.
 */
import type { RelayConfig } from "../config/config.ts";
import { type Rate, RateLimit } from "./rate-limit.ts";

/** Replays of a full channel that may be repeated at once. */
const BURST_CHANNELS = 4;
/** How long the history of a full channel takes to come back into the budget, s. */
const REFILL_S = 10;

/** What an address may be given in a minute at least, unless the configuration says less, bytes. */
const LEAST_PER_MINUTE = 256 * 1024 * 1024;

/** Who asked for too much: the connection, or all clients of its address together. */
export type ReplayRefusal = "connection" | "address";

/** Bytes that all clients of an address may be given in a minute, and at once; 0: no limit. */
export function addressReplayBytes({
  limits,
  history,
}: Pick<RelayConfig, "limits" | "history">): number {
  return limits.replayBytesPerMinute ?? Math.max(LEAST_PER_MINUTE, 2 * history.totalBytes);
}

export interface ReplayLimits {
  /** Channels whose first replay costs nothing. */
  readonly channels: number;
  /** For all other replays, bytes. */
  readonly rate: Rate;
}

/** @param channelBytes what the history keeps of one channel */
export function replayLimits(channels: number, channelBytes: number): ReplayLimits {
  const rate = { perSecond: channelBytes / REFILL_S, burst: BURST_CHANNELS * channelBytes };
  return { channels, rate };
}

export class ReplayBudget {
  readonly #limits: ReplayLimits;
  readonly #replayed = new Set<string>();
  #rate: RateLimit | undefined;

  constructor(limits: ReplayLimits) {
    this.#limits = limits;
  }

  /** Takes a replay of `bytes`; false when it is too much. `now` in ms of a monotonic clock. */
  take(channel: string, bytes: number, now: number): boolean {
    const { channels, rate } = this.#limits;
    if (this.#replayed.size < channels && !this.#replayed.has(channel)) {
      this.#replayed.add(channel);
      return true;
    }
    this.#rate ??= new RateLimit(rate, now);
    return this.#rate.take(bytes, now, rate);
  }
}
