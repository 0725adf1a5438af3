/** Whether a message is the page's own. */

/** The page's own mark on what it sends, so that its listeners can leave it out. */
const KEY = Symbol.for("rtm.sender");
const shared = globalThis as unknown as Record<symbol, string | undefined>;

/** The member of the payload that carries the mark. */
export const SENDER = "rtmSender";

/** 32 hexadecimal digits, new for every page. */
export function senderId(): string {
  shared[KEY] ??= Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
  return shared[KEY];
}
