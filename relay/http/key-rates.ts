/** How much the holders of API keys may post: a body as a whole, or nothing of it. */
import type { ApiKey } from "../access/keys.ts";
import { RateLimit } from "../clients/rate-limit.ts";

export class KeyRates {
  readonly #largestBody: number;
  /** By the key's name. */
  readonly #limits = new Map<string, RateLimit>();

  /** @param largestBody items of the largest body that is taken at all: every key may post it at once */
  constructor(largestBody: number) {
    this.#largestBody = largestBody;
  }

  /** Whether the key may post `items` at `now`, ms of a monotonic clock; then they are counted. */
  take({ name, itemsPerSecond }: ApiKey, items: number, now: number): boolean {
    if (itemsPerSecond === 0) return true;
    const rate = {
      perSecond: itemsPerSecond,
      burst: Math.max(2 * itemsPerSecond, this.#largestBody),
    };
    const limit = this.#limits.get(name) ?? new RateLimit(rate, now);
    this.#limits.set(name, limit);
    return limit.take(items, now, rate);
  }
}
