/** Which rows a payload speaks of. */
import { member } from "../../shared/page/payload.ts";
import type { Key } from "./region.ts";

/** Members that name keys when the action does not say which one does. */
const USUAL = ["id", "ids", "key", "keys"] as const;

const isScalar = (value: unknown): value is string | number =>
  typeof value === "string" || typeof value === "number";

/**
 * The primary keys in `payload`, as texts: a value, a list of values, of lists (composite keys) or
 * of objects, or an object whose member `name` (without one: id, ids, key or keys) holds those. None
 * when the payload names none.
 */
export function keysOf(payload: unknown, name: string | undefined): Key[] {
  if (isScalar(payload)) return [String(payload)];
  if (Array.isArray(payload)) return payload.flatMap((entry) => entryKeys(entry, name));
  const names = name ? [name] : USUAL;
  for (const candidate of names) {
    const value = member(payload, candidate);
    if (isScalar(value)) return [String(value)];
    if (Array.isArray(value)) return value.flatMap((entry) => entryKeys(entry, name));
  }
  return [];
}

function entryKeys(entry: unknown, name: string | undefined): Key[] {
  if (!Array.isArray(entry)) return keysOf(entry, name);
  return entry.every(isScalar) ? [entry.map(String)] : [];
}
