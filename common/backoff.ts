import pRetry from "p-retry";

export interface BackoffOptions {
  /** Upper bound of the first delay in ms; it doubles with each attempt. */
  baseMs: number;
  /** Upper bound of any delay in ms. */
  capMs: number;
  /** Stops the waiting; the returned promise then rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Returns false for an error that no retry can mend; it is thrown at once. */
  shouldRetry?: (error: Error) => boolean;
  /** Called before each wait. */
  onRetry?: (retry: { error: Error; attempt: number; delayMs: number }) => void;
  /** Random source, for tests. Default `Math.random`. */
  random?: () => number;
}

/**
 * The delay before attempt `attempt + 1`, drawn evenly from 0 to min(cap, base * 2^(attempt-1)).
 * "Full jitter" of Marc Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
 */
export function fullJitter(
  attempt: number,
  { baseMs, capMs, random = Math.random }: Pick<BackoffOptions, "baseMs" | "capMs" | "random">,
): number {
  return Math.round(random() * Math.min(capMs, baseMs * 2 ** Math.min(attempt - 1, 30)));
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
 * `shouldRetry` returning false, or by the signal. p-retry counts and repeats; it knows no full
 * jitter, so the delay is ours, and it refuses to retry a TypeError, which is a programming error.
 */
export function retryForever<T>(
  attempt: (attemptNumber: number) => Promise<T>,
  options: BackoffOptions,
): Promise<T> {
  return pRetry(attempt, {
    retries: Number.POSITIVE_INFINITY,
    minTimeout: 0,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    shouldRetry: async ({ error, attemptNumber }) => {
      if (options.signal?.aborted) throw options.signal.reason;
      if (options.shouldRetry && !options.shouldRetry(error)) return false;
      const delayMs = fullJitter(attemptNumber, options);
      options.onRetry?.({ error, attempt: attemptNumber, delayMs });
      await sleep(delayMs, options.signal);
      return true;
    },
  });
}
