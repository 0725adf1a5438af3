/**
 * The duplicate window: ids of messages that were accepted lately, apart for each source and channel,
 * so that nobody can make the relay take another's message for a repetition, nor push its id out.
 */

/** Sources that are remembered at a time; there is one per queue and per API key. */
const MAX_SOURCES = 1000;
/** The first size of a source's ring; it doubles up to the limit. */
const FIRST_SLOTS = 256;

export interface WindowLimits {
  /** Ids remembered per source. */
  readonly count: number;
  /** Ms an id is remembered. */
  readonly window: number;
}

/** What the window knows of one id; `key` is its own business. */
export interface Seen {
  readonly source: string;
  readonly key: string;
  /** When it was accepted, ms of the monotonic clock. */
  readonly at: number;
  readonly seq: number;
}

/**
 * A ring of the last keys, oldest first, and where in it each key stands. Columns instead of an
 * object per key: there are many, they live long, and the garbage collector would visit each.
 */
class Ring {
  readonly #limits: WindowLimits;
  /** By key, how many came before it; that number modulo the size of the columns is its slot. */
  readonly #places = new Map<string, number>();
  #keys: string[] = [];
  #times = new Float64Array(0);
  #seqs = new Float64Array(0);
  #oldest = 0;
  #next = 0;

  constructor(limits: WindowLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#places.size;
  }

  /** When the last key came. */
  get newestAt(): number {
    return this.#times[(this.#next - 1) % this.#times.length] ?? Number.NEGATIVE_INFINITY;
  }

  find(key: string, now: number): number | undefined {
    const place = this.#places.get(key);
    if (place === undefined) return undefined;
    const slot = place % this.#times.length;
    return (this.#times[slot] as number) < now - this.#limits.window ? undefined : this.#seqs[slot];
  }

  add(key: string, at: number, seq: number): void {
    if (this.#limits.count === 0) return;
    const length = this.#next - this.#oldest;
    if (length === this.#limits.count) this.#shift();
    else if (length === this.#times.length) this.#grow();
    const place = this.#next++;
    const slot = place % this.#times.length;
    this.#keys[slot] = key;
    this.#times[slot] = at;
    this.#seqs[slot] = seq;
    this.#places.set(key, place);
  }

  expire(now: number): void {
    const since = now - this.#limits.window;
    while (
      this.#oldest < this.#next &&
      (this.#times[this.#oldest % this.#times.length] as number) < since
    ) {
      this.#shift();
    }
  }

  *entries(): Generator<Omit<Seen, "source">> {
    for (let place = this.#oldest; place < this.#next; place++) {
      const slot = place % this.#times.length;
      const key = this.#keys[slot] as string;
      if (this.#places.get(key) !== place) continue;
      yield { key, at: this.#times[slot] as number, seq: this.#seqs[slot] as number };
    }
  }

  #shift(): void {
    const place = this.#oldest++;
    const slot = place % this.#times.length;
    const key = this.#keys[slot] as string;
    if (this.#places.get(key) === place) this.#places.delete(key);
    this.#keys[slot] = "";
  }

  #grow(): void {
    const before = this.#times.length;
    const after = Math.min(this.#limits.count, Math.max(FIRST_SLOTS, before * 2));
    const keys: string[] = new Array(after).fill("");
    const times = new Float64Array(after);
    const seqs = new Float64Array(after);
    for (let place = this.#oldest; place < this.#next; place++) {
      keys[place % after] = this.#keys[place % before] as string;
      times[place % after] = this.#times[place % before] as number;
      seqs[place % after] = this.#seqs[place % before] as number;
    }
    this.#keys = keys;
    this.#times = times;
    this.#seqs = seqs;
  }
}

export class DuplicateWindow {
  readonly #limits: WindowLimits;
  readonly #rings = new Map<string, Ring>();

  constructor(limits: WindowLimits) {
    this.#limits = limits;
  }

  /** Ids of all sources. */
  get size(): number {
    let size = 0;
    for (const ring of this.#rings.values()) size += ring.size;
    return size;
  }

  /** `seq` of the message when it came first; undefined when it is new. */
  find(source: string, channel: string, id: string, now: number): number | undefined {
    return this.#rings.get(source)?.find(keyOf(channel, id), now);
  }

  /** Remembers an id with its number. @param now ms of the monotonic clock */
  add(source: string, channel: string, id: string, now: number, seq: number): void {
    this.#ring(source).add(keyOf(channel, id), now, seq);
  }

  /** Puts back what `entries` gave. */
  restore({ source, key, at, seq }: Seen): void {
    this.#ring(source).add(key, at, seq);
  }

  /** Forgets what is older than the window. */
  expire(now: number): void {
    for (const [source, ring] of this.#rings) {
      ring.expire(now);
      if (ring.size === 0) this.#rings.delete(source);
    }
  }

  /** Oldest first within each source. */
  *entries(): Generator<Seen> {
    for (const [source, ring] of this.#rings) {
      for (const seen of ring.entries()) yield { source, ...seen };
    }
  }

  #ring(source: string): Ring {
    const known = this.#rings.get(source);
    if (known) return known;
    if (this.#rings.size >= MAX_SOURCES) this.#forgetQuietest();
    const ring = new Ring(this.#limits);
    this.#rings.set(source, ring);
    return ring;
  }

  #forgetQuietest(): void {
    const [quietest] = [...this.#rings].reduce((a, b) => (b[1].newestAt < a[1].newestAt ? b : a));
    this.#rings.delete(quietest);
  }
}

/** Names hold no control characters, so no two pairs have one key. */
function keyOf(channel: string, id: string): string {
  return `${channel}\n${id}`;
}
