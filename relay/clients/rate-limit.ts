/** A token bucket: `perSecond` in the long run, bursts up to `burst`. */
export class RateLimit {
  #left: number;
  #at: number;

  constructor(burst: number, now: number) {
    this.#left = burst;
    this.#at = now;
  }

  /** Takes `cost`; false when there is not enough left. `now` in ms of a monotonic clock. */
  take(cost: number, now: number, limits: { perSecond: number; burst: number }): boolean {
    const refill = ((now - this.#at) / 1000) * limits.perSecond;
    this.#left = Math.min(limits.burst, this.#left + refill);
    this.#at = now;
    if (cost > this.#left) return false;
    this.#left -= cost;
    return true;
  }
}
