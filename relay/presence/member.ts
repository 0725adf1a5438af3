/** Who is seen in a channel, as others see it. */

export interface Member {
  /** The subject of its tokens, or what stands for it where the rule hides users. */
  readonly user: string;
  /** On all nodes; at least 1. */
  readonly connections: number;
  /** What it shows of itself: JSON text of an object. */
  readonly info: string | undefined;
  /** Since when it is there without a break, ms since 1970 by the clock of the node it came to. */
  readonly sinceMs: number;
}

/** What one node says of one user in one channel. */
export interface Here {
  /** Connections on that node; at least 1. */
  readonly n: number;
  readonly info: string | undefined;
  /** When the token was issued that says `info`, ms since 1970: of two nodes the later one counts. */
  readonly infoAt: number;
  readonly sinceMs: number;
}

/** Names of channels hold no control characters, so it parts at the first one. */
export function keyOf(channel: string, user: string): string {
  return `${channel}\0${user}`;
}

export function splitKey(key: string): { readonly channel: string; readonly user: string } {
  const at = key.indexOf("\0");
  return { channel: key.slice(0, at), user: key.slice(at + 1) };
}

/** The value of a fact. */
export function encodeHere({ n, info, infoAt, sinceMs }: Here): string {
  const tail = info === undefined ? "" : `,"i":${info}`;
  return `{"n":${n},"s":${sinceMs},"t":${infoAt}${tail}}`;
}

/** Reads what a node of perhaps another version wrote; undefined when that is nobody. */
export function decodeHere(text: string): Here | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { n, s, t, i } = value as Readonly<Record<string, unknown>>;
  if (typeof n !== "number" || !(n >= 1)) return undefined;
  return {
    n,
    info: i === undefined ? undefined : JSON.stringify(i),
    infoAt: typeof t === "number" ? t : 0,
    sinceMs: typeof s === "number" ? s : 0,
  };
}
