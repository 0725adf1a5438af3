/** The duplicate window: ids of messages that were accepted lately. */

interface Seen {
  readonly id: string;
  /** When it was accepted, ms of the monotonic clock. */
  readonly at: number;
  readonly recipients: number;
}

export class DuplicateWindow {
  readonly #count: number;
  readonly #age: number;
  readonly #seen = new Map<string, Seen>();
  // A queue beside the map: finding the first key of a Map from which many first keys were
  // deleted takes V8 a walk over all of them.
  #queue: (Seen | undefined)[] = [];
  #head = 0;

  /** @param limits at most `count` ids, none older than `window` ms */
  constructor(limits: { readonly count: number; readonly window: number }) {
    this.#count = limits.count;
    this.#age = limits.window;
  }

  get size(): number {
    return this.#seen.size;
  }

  /** How many recipients the message had when it came first; undefined when it is new. */
  find(id: string, now: number): number | undefined {
    const seen = this.#seen.get(id);
    return seen !== undefined && seen.at >= now - this.#age ? seen.recipients : undefined;
  }

  add(id: string, now: number, recipients: number): void {
    const seen = { id, at: now, recipients };
    this.#seen.set(id, seen);
    this.#queue.push(seen);
    while (this.#seen.size > this.#count) this.#shift();
  }

  /** Forgets what is older than the window. */
  expire(now: number): void {
    for (
      let oldest = this.#queue[this.#head];
      oldest && oldest.at < now - this.#age;
      oldest = this.#queue[this.#head]
    ) {
      this.#shift();
    }
  }

  *entries(): Generator<Seen> {
    for (const seen of this.#queue) {
      if (seen && this.#seen.get(seen.id) === seen) yield seen;
    }
  }

  #shift(): void {
    const seen = this.#queue[this.#head] as Seen;
    this.#queue[this.#head++] = undefined;
    if (this.#seen.get(seen.id) === seen) this.#seen.delete(seen.id);
    if (this.#head > 1024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }
}
