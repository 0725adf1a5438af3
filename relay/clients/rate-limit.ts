/** How often a client may do something. Pure: times come from the caller. */

/** A token bucket: `perSecond` in the long run, bursts up to `burst`. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

export class RateLimit {
  #left: number;
  #at: number;

  /** @param now ms of a monotonic clock */
  constructor({ burst }: Rate, now: number) {
    this.#left = burst;
    this.#at = now;
  }

  /** Whether `cost` is left. */
  has(cost: number, now: number, rate: Rate): boolean {
    const refill = ((now - this.#at) / 1000) * rate.perSecond;
    this.#left = Math.min(rate.burst, this.#left + refill);
    this.#at = now;
    return cost <= this.#left;
  }

  /** Takes `cost`; false, and nothing is taken, when there is not enough left. */
  take(cost: number, now: number, rate: Rate): boolean {
    if (!this.has(cost, now, rate)) return false;
    this.#left -= cost;
    return true;
  }
}
