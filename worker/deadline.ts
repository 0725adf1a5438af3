/** A limit of time for calls of the driver. */

/** Races a promise against a timer that can be shortened while it runs. */
export class Deadline {
  readonly #onExpire: () => Error;
  readonly #expired: Promise<never>;
  #reject!: (error: Error) => void;
  #timer: NodeJS.Timeout | undefined;
  #endsAt: number;

  /** @param onExpire called once when the time is over; its error is what `race` rejects with. */
  constructor(limitMs: number, onExpire: () => Error) {
    this.#onExpire = onExpire;
    this.#endsAt = performance.now() + limitMs;
    this.#expired = new Promise((_resolve, reject) => {
      this.#reject = reject;
    });
    this.#expired.catch(() => {});
    this.#arm(limitMs);
  }

  /** The outcome of `call`, or a rejection when the time is over first. The timer never outlives it. */
  async race<T>(call: Promise<T>): Promise<T> {
    try {
      return await Promise.race([call, this.#expired]);
    } finally {
      clearTimeout(this.#timer);
      call.catch(() => {});
    }
  }

  /** At most `limitMs` from now on. */
  shorten(limitMs: number): void {
    if (performance.now() + limitMs < this.#endsAt) this.#arm(limitMs);
  }

  #arm(limitMs: number): void {
    clearTimeout(this.#timer);
    this.#endsAt = performance.now() + limitMs;
    this.#timer = setTimeout(() => this.#reject(this.#onExpire()), limitMs);
  }
}
