/**
 * Values that the Listener has put into items. When such a change fires a Broadcast of the same
 * value, sending it would make two pages answer each other for ever. Shared by both scripts.
 */
const KEY = Symbol.for("rtm.applied");
const shared = globalThis as unknown as Record<symbol, Map<string, string> | undefined>;

function applied(): Map<string, string> {
  shared[KEY] ??= new Map();
  return shared[KEY];
}

export function noteApplied(item: string, value: string): void {
  applied().set(item, value);
}

/** True when `value` is what a message put there. A value of the user's ends the memory of it. */
export function isEcho(item: string, value: string): boolean {
  if (applied().get(item) === value) return true;
  applied().delete(item);
  return false;
}
