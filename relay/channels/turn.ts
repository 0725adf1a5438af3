/** What one pass of the event loop brings. */

/**
 * A turn of the event loop, as the relay counts them: it begins with the first message after the last
 * one and ends, in the same pass of the loop, when all its messages have been written. Sockets drain
 * between two turns only, so what a single turn brings says nothing about how fast a client reads.
 */
export class Turn {
  /** Counts turns, from 1 on. */
  number = 1;
  /** Bytes of payloads that were taken in this turn. */
  bytes = 0;
  readonly #onEnd: () => void;
  #ending: NodeJS.Immediate | undefined;

  /** @param onEnd writes what the turn brought */
  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  /** There is something to write at its end. */
  open(): void {
    this.#ending ??= setImmediate(this.#end);
  }

  /** Resolves when the turn is over; in one that brought nothing, in the next pass of the loop. */
  next(): Promise<void> {
    // The immediate that ends the turn was set before this one and comes first.
    return new Promise((resolve) => setImmediate(resolve));
  }

  readonly #end = (): void => {
    this.#ending = undefined;
    this.#onEnd();
    this.number++;
    this.bytes = 0;
  };

  stop(): void {
    clearImmediate(this.#ending);
    this.#ending = undefined;
  }
}
