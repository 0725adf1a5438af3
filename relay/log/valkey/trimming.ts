/**
 * Which entries of the log are still wanted, by this node's own copy: the engine has no clock of
 * ours, and its script must not read one. Pure.
 */

interface SeenEntry {
  readonly n: number;
  readonly total: number;
  readonly at: number;
}

export class Trimming {
  readonly #limits: { readonly bytes: number; readonly age: number };
  #kept: SeenEntry[] = [];
  #head = 0;
  #from = 0;
  #total = 0;

  /** @param limits bytes of messages, and ms since their arrival here, that are kept */
  constructor(limits: { readonly bytes: number; readonly age: number }) {
    this.#limits = limits;
  }

  clear(): void {
    this.#kept = [];
    this.#head = 0;
    this.#from = 0;
    this.#total = 0;
  }

  /** @param total bytes appended in this epoch, up to and with this entry */
  add(n: number, total: number, now: number): void {
    this.#kept.push({ n, total, at: now });
    this.#total = total;
  }

  /** The first entry to keep; 0 when nothing may be trimmed. It never goes back. */
  keepFrom(now: number): number {
    const { bytes, age } = this.#limits;
    for (; this.#head < this.#kept.length; this.#head++) {
      const oldest = this.#kept[this.#head] as SeenEntry;
      if (this.#total - oldest.total < bytes && now - oldest.at <= age) break;
      this.#from = oldest.n + 1;
    }
    if (this.#head > 1000 && this.#head * 2 > this.#kept.length) {
      this.#kept = this.#kept.slice(this.#head);
      this.#head = 0;
    }
    return this.#from;
  }

  /** Bytes of messages that the log keeps, as far as this node knows. */
  get bytes(): number {
    const oldest = this.#kept[this.#head];
    return oldest ? this.#total - oldest.total : 0;
  }
}
