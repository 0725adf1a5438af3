/** What this process holds for clients that do not take it, and the bound of it all. */
import type { Outlet } from "./outlet.ts";

/** How often outlets that wait for their client are looked at, ms (drain events come first). */
const POLL_MS = 50;

export interface HeldOptions {
  /** Unsent bytes held for all connections. */
  readonly totalBytes: number;
  /** Lets an outlet that waits go on. */
  readonly resume: (outlet: Outlet) => void;
  /** Ends an outlet; it calls `release`. */
  readonly drop: (outlet: Outlet) => void;
}

/**
 * The sum of what outlets hold. Above `totalBytes` the fullest are dropped until it fits; those
 * that wait for their client are looked at every 50 ms, because not every wire says that it has
 * drained.
 */
export class Held {
  readonly #options: HeldOptions;
  readonly #holding = new Set<Outlet>();
  readonly #waiting = new Set<Outlet>();
  #polling: NodeJS.Timeout | undefined;
  #held = 0;

  constructor(options: HeldOptions) {
    this.#options = options;
  }

  /** The outlet may hold another number of bytes now. Above the bound the fullest outlets go. */
  account(outlet: Outlet): void {
    if (!this.#look(outlet)) return;
    if (this.#held > this.#options.totalBytes) this.#shed();
  }

  /** Looks at every outlet that held something. Returns the bytes that all of them hold now. */
  measure(): number {
    for (const outlet of this.#holding) this.#look(outlet);
    return this.#held;
  }

  /** Outlets that held something when they were last looked at. */
  get holding(): ReadonlySet<Outlet> {
    return this.#holding;
  }

  /** The outlet waits for its client; it is looked at until it waits no more. */
  watch(outlet: Outlet): void {
    this.#waiting.add(outlet);
    this.#polling ??= setInterval(this.#poll, POLL_MS).unref();
  }

  /** The outlet has ended. */
  release(outlet: Outlet): void {
    this.#look(outlet);
    this.#waiting.delete(outlet);
  }

  stop(): void {
    clearInterval(this.#polling);
    this.#polling = undefined;
  }

  /** True when it holds another number of bytes than before. */
  #look(outlet: Outlet): boolean {
    const held = outlet.dead ? 0 : outlet.held;
    if (held === outlet.accounted) return false;
    this.#held += held - outlet.accounted;
    outlet.accounted = held;
    if (held > 0) this.#holding.add(outlet);
    else this.#holding.delete(outlet);
    return true;
  }

  #shed(): void {
    const { totalBytes, drop } = this.#options;
    if (this.measure() <= totalBytes) return;
    const fullestFirst = [...this.#holding].sort((a, b) => b.accounted - a.accounted);
    for (const outlet of fullestFirst) {
      if (this.#held <= totalBytes) return;
      drop(outlet);
    }
  }

  readonly #poll = (): void => {
    for (const outlet of this.#waiting) {
      this.#options.resume(outlet);
      if (!outlet.waiting) this.#waiting.delete(outlet);
    }
    if (this.#waiting.size === 0) this.stop();
  };
}
