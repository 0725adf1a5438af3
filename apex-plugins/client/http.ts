/** What a page knows about HTTP to the relay: how many requests may wait, and what the tab did before. */
import type { Http } from "./http-socket.ts";
import { inStorage, storedWay, WAY } from "./storage.ts";

/** Requests of all tabs that may wait at one host over HTTP/1.1. */
const SLOTS = 2;

/** The browser has spoken HTTP/2 or later with the host, where any number of requests may wait. */
function shares(origin: string): boolean {
  return performance
    .getEntries()
    .some(
      (entry) =>
        entry.name.startsWith(`${origin}/`) &&
        /^h[23]/.test((entry as PerformanceResourceTiming).nextHopProtocol),
    );
}

function lock(name: string): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, { ifAvailable: true }, (held) =>
        held ? new Promise<void>((done) => resolve(done)) : resolve(undefined),
      )
      .catch(reject);
  });
}

export const http: Http = {
  stored: storedWay,
  store: (url, via) =>
    void inStorage((storage) => {
      if (via) storage.setItem(WAY + url, `${via}@${Date.now()}`);
      else storage.removeItem(WAY + url);
    }),
  async slot(url) {
    const { origin } = new URL(url.replace(/^ws/, "http"));
    // Pages without TLS have no locks.
    if (!navigator.locks || shares(origin)) return () => {};
    for (let n = 0; n < SLOTS; n++) {
      const free = await lock(`rtm:${origin}:${n}`);
      if (free) return free;
    }
    return undefined;
  },
};
