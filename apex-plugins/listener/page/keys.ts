/** Which rows a payload speaks of. */
import { isRecord, member } from "../../shared/page/payload.ts";
import type { Key, Row, RowKind } from "./region.ts";

/** Members that name keys when the action does not say which one does. */
const USUAL = ["id", "ids", "key", "keys"] as const;

const isScalar = (value: unknown): value is string | number =>
  typeof value === "string" || typeof value === "number";

/**
 * The primary keys in `payload`, as texts: a value, a list of values, of lists (composite keys) or
 * of objects, or an object whose member `name` (without one: id, ids, key or keys) holds those, or whose
 * member `row` is such an object. None when the payload names none.
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
  const row = member(payload, "row");
  return isRecord(row) ? keysOf(row, name) : [];
}

/** Members that say who has changed a row when the action does not say which one does. */
const USUAL_AUTHORS = ["by", "changed_by", "updated_by"] as const;

const KINDS: readonly (readonly [RowKind, RegExp])[] = [
  ["added", /(?:^|\W)insert(?:ed)?$/i],
  ["changed", /(?:^|\W)updated?$/i],
  ["deleted", /(?:^|\W)deleted?$/i],
];

/**
 * The rows that a message names, and what it says of them. RTM_WATCH writes
 * `{"op":"update","row":{...}}` with the event `orders-updated`; either of the two is enough.
 */
export function rowsOf(
  payload: unknown,
  eventName: string,
  settings: { readonly key?: string; readonly by?: string },
): Row[] {
  const row = member(payload, "row");
  const authors = (settings.by ? [settings.by] : USUAL_AUTHORS).flatMap((name) => [
    member(payload, name),
    member(row, name),
  ]);
  const by = String(authors.find(isScalar) ?? "");
  const said = String(member(payload, "op") ?? eventName);
  const kind = KINDS.find(([, pattern]) => pattern.test(said))?.[0];
  return keysOf(payload, settings.key).map((key) => ({ key, by, kind }));
}

function entryKeys(entry: unknown, name: string | undefined): Key[] {
  if (!Array.isArray(entry)) return keysOf(entry, name);
  return entry.every(isScalar) ? [entry.map(String)] : [];
}
