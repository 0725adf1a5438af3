/** What happens at a time, on one timer. */
import type { Clock } from "../clock.ts";

/** A binary heap by time. */
class DueHeap<T> {
  #heap: { at: number; item: T }[] = [];

  get size(): number {
    return this.#heap.length;
  }

  get nextAt(): number | undefined {
    return this.#heap[0]?.at;
  }

  push(at: number, item: T): void {
    const heap = this.#heap;
    let i = heap.push({ at, item }) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (heap[parent]!.at <= heap[i]!.at) break;
      [heap[parent], heap[i]] = [heap[i]!, heap[parent]!];
      i = parent;
    }
  }

  /** Removes and returns everything due at `now`, earliest first. */
  takeDue(now: number): T[] {
    const due: T[] = [];
    while (this.#heap.length > 0 && this.#heap[0]!.at <= now) due.push(this.#pop());
    return due;
  }

  /** Forgets what `keep` refuses. */
  prune(keep: (item: T) => boolean): void {
    const kept = this.#heap.filter((entry) => keep(entry.item));
    this.#heap = [];
    for (const entry of kept) this.push(entry.at, entry.item);
  }

  #pop(): T {
    const heap = this.#heap;
    const top = heap[0]!.item;
    const last = heap.pop()!;
    if (heap.length === 0) return top;
    heap[0] = last;
    let i = 0;
    for (;;) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < heap.length && heap[child]!.at < heap[least]!.at) least = child;
      }
      if (least === i) return top;
      [heap[least], heap[i]] = [heap[i]!, heap[least]!];
      i = least;
    }
  }
}

/** Things that become due at a time, and one timer for the earliest of them. */
export class Schedule<T> {
  readonly #clock: Clock;
  readonly #fire: () => void;
  readonly #isDead: (item: T) => boolean;
  readonly #heap = new DueHeap<T>();
  #sizeAfterPrune = 0;
  #timerAt = Number.POSITIVE_INFINITY;
  #cancelTimer: (() => void) | undefined;

  /** @param fire something is due: call `takeDue`. @param isDead items that may be forgotten. */
  constructor(clock: Clock, fire: () => void, isDead: (item: T) => boolean) {
    this.#clock = clock;
    this.#fire = fire;
    this.#isDead = isDead;
  }

  add(at: number, item: T): void {
    this.#heap.push(at, item);
    if (this.#heap.size > 1000 && this.#heap.size > 2 * this.#sizeAfterPrune) {
      this.#heap.prune((other) => !this.#isDead(other));
      this.#sizeAfterPrune = this.#heap.size;
    }
    this.#arm();
  }

  /** Removes and returns everything that is due, earliest first. */
  takeDue(): T[] {
    const due = this.#heap.takeDue(this.#clock.now());
    this.#arm();
    return due;
  }

  /** Stops the timer; nothing becomes due any more. */
  close(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #arm(): void {
    const at = this.#heap.nextAt ?? Number.POSITIVE_INFINITY;
    if (at === this.#timerAt) return;
    this.close();
    this.#timerAt = at;
    if (!Number.isFinite(at)) return;
    this.#cancelTimer = this.#clock.timer(Math.max(at - this.#clock.now(), 0), () => {
      this.#timerAt = Number.POSITIVE_INFINITY;
      this.#fire();
    });
  }
}
