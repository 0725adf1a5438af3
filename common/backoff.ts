/** Waits and retries: full jitter, a cap, an end by signal. */
import pRetry from "p-retry";

/** The span of delays: each is drawn below a bound that doubles, see `fullJitter`. */
export interface Bounds {
  /** Upper bound of the first delay in ms; it doubles with each attempt. */
  readonly baseMs: number;
  /** Upper bound of any delay in ms. */
  readonly capMs: number;
  /** No delay is shorter, ms. Default 0. */
  readonly floorMs?: number;
}

export interface BackoffOptions {
  /** Bounds of the delays; a function may choose them by the error. */
  bounds: Bounds | ((error: Error) => Bounds);
  /** Stops the waiting; the returned promise then rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Returns false for an error that no retry can mend; it is thrown at once. */
  shouldRetry?: (error: Error) => boolean;
  /** Returns true when the failed attempt had worked for a while: the delays start anew. */
  madeProgress?: () => boolean;
  /** Called before each wait. */
  onRetry?: (retry: { error: Error; attempt: number; delayMs: number }) => void;
  /** Random source, for tests. Default `Math.random`. */
  random?: () => number;
}

/**
 * The delay before attempt `attempt + 1`, drawn evenly from the floor (usually 0) to
 * min(cap, base * 2^(attempt-1)).
 * "Full jitter" of Marc Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
 */
export function fullJitter(
  attempt: number,
  { baseMs, capMs, floorMs = 0 }: Bounds,
  random: () => number = Math.random,
): number {
  const limit = Math.min(capMs, baseMs * 2 ** Math.min(attempt - 1, 30));
  return Math.round(floorMs + random() * Math.max(0, limit - floorMs));
}

/** Waits; rejects with the signal's reason when it is aborted. The timer never outlives the wait. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/**
 * Repeats `attempt` until it succeeds, for ever, with full jitter. It ends only by success, by
 * `shouldRetry` returning false, by a TypeError (a programming error, which p-retry refuses to
 * repeat), or by the signal between two attempts. A success is never thrown away because of the
 * signal, which is why p-retry does not get it.
 */
export function retryForever<T>(
  attempt: (attemptNumber: number) => Promise<T>,
  options: BackoffOptions,
): Promise<T> {
  let failures = 0;
  return pRetry(attempt, {
    retries: Number.POSITIVE_INFINITY,
    minTimeout: 0,
    shouldRetry: async ({ error }) => {
      options.signal?.throwIfAborted();
      if (options.shouldRetry && !options.shouldRetry(error)) return false;
      failures = options.madeProgress?.() ? 1 : failures + 1;
      const bounds = typeof options.bounds === "function" ? options.bounds(error) : options.bounds;
      const delayMs = fullJitter(failures, bounds, options.random);
      options.onRetry?.({ error, attempt: failures, delayMs });
      await sleep(delayMs, options.signal);
      return true;
    },
  });
}
