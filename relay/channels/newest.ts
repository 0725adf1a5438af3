/** Choosing the newest messages of each event. Pure. */

/** How many of the newest messages of each event are still wanted. */
export class Wanted {
  /** Messages that are wanted and were not found yet. */
  missing: number;
  readonly #count: number;
  readonly #events: ReadonlySet<string> | undefined;
  readonly #left = new Map<string, number>();

  /**
   * @param count of each event
   * @param events of these only; undefined: of all, and then nobody knows how many there are
   */
  constructor(count: number, events: ReadonlySet<string> | undefined) {
    this.#count = count;
    this.#events = events;
    for (const name of events ?? []) this.#left.set(name, count);
    this.missing = events ? events.size * count : Number.POSITIVE_INFINITY;
  }

  #leftOf(eventName: string): number {
    return this.#left.get(eventName) ?? (this.#events ? 0 : this.#count);
  }

  /** Takes a message of the event; false when no more of it is wanted. */
  take(eventName: string): boolean {
    const left = this.#leftOf(eventName);
    if (left === 0) return false;
    this.#left.set(eventName, left - 1);
    this.missing--;
    return true;
  }

  /** Whether the event is wanted and nothing of it was taken. */
  hasNone(eventName: string): boolean {
    return this.#leftOf(eventName) === this.#count;
  }

  /** Whether nothing of any event was taken, where all are wanted. */
  get isUntouched(): boolean {
    return this.#left.size === 0;
  }

  /** Whether one of the events that were named has nothing at all. */
  get lacksAnEvent(): boolean {
    return this.#events !== undefined && [...this.#left.values()].includes(this.#count);
  }
}
