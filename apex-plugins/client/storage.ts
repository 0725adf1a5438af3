/** What a tab remembers from page to page. */

/** Of the relay at the URL that follows: how the tab's pages get to it without WebSockets, and since when. */
export const WAY = "rtm-way:";
/** How long that is believed, ms. */
const REMEMBER_MS = 3_600_000;

/** Undefined where there is no storage, or no room: then a page starts from nothing. */
export function inStorage<T>(use: (storage: Storage) => T): T | undefined {
  try {
    return use(sessionStorage);
  } catch {
    return undefined;
  }
}

export function storedWay(url: string): string | undefined {
  const [way, at] = inStorage((storage) => storage.getItem(WAY + url))?.split("@") ?? [];
  return Date.now() - Number(at) < REMEMBER_MS ? way : undefined;
}
