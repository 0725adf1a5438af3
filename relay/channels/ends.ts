/** Who is over first among many, each with its end: a binary heap, so that adding and taking cost little. */

interface Ending<Value> {
  readonly atMs: number;
  readonly value: Value;
}

export class Ends<Value> {
  #heap: Ending<Value>[] = [];

  get size(): number {
    return this.#heap.length;
  }

  clear(): void {
    this.#heap = [];
  }

  /** @param atMs its end, on any clock */
  add(value: Value, atMs: number): void {
    const heap = this.#heap;
    let at = heap.length;
    const added = { atMs, value };
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Ending<Value>;
      if (above.atMs <= atMs) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = added;
  }

  /** Takes out the one that is over first, if its end has come; undefined: none is over. */
  take(now: number): Value | undefined {
    const heap = this.#heap;
    const [first] = heap;
    if (!first || first.atMs > now) return undefined;
    const moved = heap.pop() as Ending<Value>;
    if (heap.length === 0) return first.value;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right && right.atMs < (heap[child] as Ending<Value>).atMs) child++;
      const below = heap[child] as Ending<Value>;
      if (below.atMs >= moved.atMs) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = moved;
    return first.value;
  }
}
