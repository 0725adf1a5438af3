/**
 * Values that the Listener has put into items. When such a change fires a Broadcast, sending it would
 * make pages answer each other for ever. Shared by both scripts of a page.
 */

interface Applied {
  /** By item, the value as the item holds it. */
  readonly values: Map<string, string>;
  /** Items that a message has ever set in this page. */
  readonly items: Set<string>;
  /** Items being set right now, one inside the other. */
  depth: number;
  /** When the last message set an item, ms of the page. */
  at: number;
}

const KEY = Symbol.for("rtm.applied");
const shared = globalThis as unknown as Record<symbol, Applied | undefined>;

function applied(): Applied {
  shared[KEY] ??= { values: new Map(), items: new Set(), depth: 0, at: Number.NEGATIVE_INFINITY };
  return shared[KEY];
}

/** Runs `set`, which sets `item`; `value` reads what the item has made of it. */
export function applying(item: string, set: () => void, value: () => string): void {
  const state = applied();
  state.items.add(item);
  state.at = performance.now();
  state.depth++;
  try {
    set();
  } finally {
    state.depth--;
    state.values.set(item, value());
  }
}

/** True while a message sets an item: what runs now, runs because of it. */
export function isApplying(): boolean {
  return applied().depth > 0;
}

/** True when `value` is what a message put there. A value of the user's ends the memory of it. */
export function isEcho(item: string, value: string): boolean {
  if (applied().values.get(item) === value) return true;
  applied().values.delete(item);
  return false;
}

/** Whether a message has set `item`, and when a message last set any, ms of the page. */
export function wasApplied(item: string): boolean {
  return applied().items.has(item);
}

export function appliedAt(): number {
  return applied().at;
}
