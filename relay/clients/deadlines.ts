/** Many deadlines on one timer. */

/** Longest wait of one timer: `setTimeout` takes no more than 2^31 - 1 ms. */
const MAX_WAIT_MS = 2 ** 31 - 1;

export class Deadlines<T> {
  readonly #onDeadline: (owner: T) => void;
  readonly #due = new Map<T, number>();
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(onDeadline: (owner: T) => void) {
    this.#onDeadline = onDeadline;
  }

  /** Sets, or moves, the deadline of `owner` to `delayMs` from now. */
  set(owner: T, delayMs: number): void {
    const at = performance.now() + delayMs;
    this.#due.set(owner, at);
    if (at < this.#timerAt) this.#arm(at);
  }

  delete(owner: T): void {
    this.#due.delete(owner);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.#due.clear();
  }

  #arm(at: number): void {
    clearTimeout(this.#timer);
    this.#timerAt = at;
    const wait = Math.min(Math.max(Math.ceil(at - performance.now()), 0), MAX_WAIT_MS);
    this.#timer = setTimeout(this.#fire, wait).unref();
  }

  readonly #fire = (): void => {
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = performance.now();
    const fired: T[] = [];
    let next = Number.POSITIVE_INFINITY;
    for (const [owner, at] of this.#due) {
      if (at <= now) {
        fired.push(owner);
        this.#due.delete(owner);
      } else if (at < next) next = at;
    }
    if (next !== Number.POSITIVE_INFINITY) this.#arm(next);
    for (const owner of fired) this.#onDeadline(owner);
  };
}
