/** How long a page waits before it tries again. */

/**
 * Exponential backoff with full jitter: anything between 0 and 1 s, 2 s, 4 s … 30 s. Full jitter
 * spreads the clients of a restarted relay evenly. `attempt` counts failures from 0; result in ms.
 */
export function backoffMs(attempt: number, random: () => number): number {
  return Math.round(random() * Math.min(30_000, 1_000 * 2 ** Math.min(attempt, 10)));
}
