/** Reading a payload, which may be anything. */

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The member of that name; Oracle writes names in upper case, so without one whatever its case. */
export function member(payload: unknown, name: string): unknown {
  if (!isRecord(payload)) return undefined;
  if (Object.hasOwn(payload, name)) return payload[name];
  const wanted = name.toLowerCase();
  const found = Object.keys(payload).find((key) => key.toLowerCase() === wanted);
  return found === undefined ? undefined : payload[found];
}
