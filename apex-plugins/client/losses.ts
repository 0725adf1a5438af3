/**
 * Listeners that must be told of a loss later: when the relay's log begins anew every page hears of
 * it in the same moment, and not all of them are to ask the database in the next one. What is due
 * stays due, whatever the relay answers meanwhile.
 */
import type { Listener } from "./channel.ts";

/** Longest spread that is believed, ms. */
const MOST_MS = 60_000;

export class Losses {
  readonly #random: () => number;
  readonly #timers = new Map<Listener, ReturnType<typeof setTimeout>>();

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Calls `tell` at a random moment of the next `spreadMs`; at once when there is no spread. */
  tell(listener: Listener, spreadMs: number | undefined, tell: () => void): void {
    if (!spreadMs || !(spreadMs > 0)) {
      this.forget(listener);
      tell();
    } else if (!this.#timers.has(listener)) {
      const due = () => {
        this.#timers.delete(listener);
        tell();
      };
      const delay = this.#random() * Math.min(spreadMs, MOST_MS);
      this.#timers.set(listener, setTimeout(due, delay));
    }
  }

  forget(listener: Listener): void {
    clearTimeout(this.#timers.get(listener));
    this.#timers.delete(listener);
  }
}
