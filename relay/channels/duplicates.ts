/** The duplicate window: ids of messages that were accepted lately. */

interface Seen {
  readonly id: string;
  /** When it was accepted, ms of the monotonic clock. */
  readonly at: number;
  readonly recipients: number;
}

/**
 * A ring of the last ids, oldest first, and where in it each id stands. Columns instead of an object
 * per id: there are many, they live long, and the garbage collector would visit each.
 */
export class DuplicateWindow {
  readonly #count: number;
  readonly #age: number;
  readonly #slots = new Map<string, number>();
  readonly #ids: string[] = [];
  readonly #times: Float64Array;
  readonly #recipients: Uint32Array;
  #oldest = 0;
  #length = 0;

  /** @param limits at most `count` ids, none older than `window` ms */
  constructor(limits: { readonly count: number; readonly window: number }) {
    this.#count = limits.count;
    this.#age = limits.window;
    this.#times = new Float64Array(limits.count);
    this.#recipients = new Uint32Array(limits.count);
  }

  get size(): number {
    return this.#slots.size;
  }

  /** How many recipients the message had when it came first; undefined when it is new. */
  find(id: string, now: number): number | undefined {
    const slot = this.#slots.get(id);
    if (slot === undefined || (this.#times[slot] as number) < now - this.#age) return undefined;
    return this.#recipients[slot];
  }

  add(id: string, now: number, recipients: number): void {
    if (this.#count === 0) return;
    if (this.#length === this.#count) this.#shift();
    const slot = (this.#oldest + this.#length++) % this.#count;
    this.#ids[slot] = id;
    this.#times[slot] = now;
    this.#recipients[slot] = recipients;
    this.#slots.set(id, slot);
  }

  /** Forgets what is older than the window. */
  expire(now: number): void {
    while (this.#length > 0 && (this.#times[this.#oldest] as number) < now - this.#age) {
      this.#shift();
    }
  }

  *entries(): Generator<Seen> {
    for (let index = 0; index < this.#length; index++) {
      const slot = (this.#oldest + index) % this.#count;
      const id = this.#ids[slot] as string;
      if (this.#slots.get(id) !== slot) continue;
      yield {
        id,
        at: this.#times[slot] as number,
        recipients: this.#recipients[slot] as number,
      };
    }
  }

  #shift(): void {
    const slot = this.#oldest;
    const id = this.#ids[slot] as string;
    if (this.#slots.get(id) === slot) this.#slots.delete(id);
    this.#ids[slot] = "";
    this.#oldest = (slot + 1) % this.#count;
    this.#length--;
  }
}
