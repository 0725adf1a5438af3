/** The page around a connection: WebSocket, frames, life cycle, one connection per relay. */
import type { Environment } from "./environment.ts";
import { http } from "./http.ts";
import { Parking } from "./parking.ts";
import { RelayConnection } from "./relay-connection.ts";
import { openSocket } from "./socket.ts";
import { relayUrl } from "./url.ts";

/** A hidden page is not painted: its messages are handed over after this time, ms. */
const HIDDEN_MS = 250;

/** Prefix of the session storage's keys. The values are channel names and positions. */
const STORED = "rtm:";

const environment: Environment = {
  connect: (url, handlers) => openSocket(WebSocket, url, handlers),
  beforeFrame(task) {
    let done = false;
    const once = () => {
      if (done) return;
      done = true;
      cancelAnimationFrame(frame);
      clearTimeout(timer);
      task();
    };
    const frame = requestAnimationFrame(once);
    const timer = setTimeout(once, HIDDEN_MS);
  },
  // performance.now() may stand still while a computer sleeps; a wrong clock only asks for more.
  pageAgeMs: () => Math.max(performance.now(), Date.now() - performance.timeOrigin),
  random: Math.random,
  positionsBefore(url) {
    try {
      return JSON.parse(sessionStorage.getItem(STORED + url) ?? "{}") ?? {};
    } catch {
      // No storage, or not ours: a page may then see once more what the one before it saw.
      return {};
    }
  },
  report: (error) => reportError(error),
  http,
};

/** Shared by all copies of this script on the page. */
const REGISTRY = Symbol.for("rtm.connections");
const shared = globalThis as unknown as Record<symbol, Map<string, RelayConnection> | undefined>;

/** The page's connection to `url` (see `relayUrl`). One that has stopped is replaced. */
export function connectionTo(url: string): RelayConnection {
  const address = relayUrl(url, document.baseURI);
  shared[REGISTRY] ??= new Map();
  const registry = shared[REGISTRY];
  const present = registry.get(address);
  if (present && present.link.status.state !== "stopped") return present;
  const connection = new RelayConnection(environment, address);
  registry.set(address, connection);
  followPage(connection, address);
  return connection;
}

/** A dialog is a page of the same tab: what it has noted meanwhile may be newer than ours. */
function remember(address: string, connection: RelayConnection): void {
  try {
    const positions = connection.positions();
    for (const [channel, theirs] of Object.entries(environment.positionsBefore(address))) {
      const ours = positions[channel];
      if (!ours || (ours.epoch === theirs?.epoch && ours.seq < theirs.seq)) {
        positions[channel] = theirs;
      }
    }
    sessionStorage.setItem(STORED + address, JSON.stringify(positions));
  } catch {
    // No storage, or no room: see positionsBefore.
  }
}

function followPage(connection: RelayConnection, address: string): void {
  const { link } = connection;
  const { host } = new URL(address);
  const ended = new AbortController();
  const { signal } = ended;
  // An open socket keeps a page out of the back-forward cache, or is cut there without notice.
  const leave = () => {
    remember(address, connection);
    link.pause();
  };
  addEventListener("pagehide", leave, { signal });
  const parking = new Parking(link, () => connection.parkMs);
  const look = () => {
    parking.look(document.visibilityState === "visible");
    if (document.visibilityState === "visible") link.wake();
  };
  addEventListener(
    "pageshow",
    () => {
      link.resume();
      look();
    },
    { signal },
  );
  addEventListener("online", () => link.wake(true), { signal });
  document.addEventListener("visibilitychange", look, { signal });
  document.addEventListener("resume", look, { signal });
  document.addEventListener("freeze", () => parking.freeze(), { signal });
  look();
  document.addEventListener(
    "securitypolicyviolation",
    ({ effectiveDirective, blockedURI }) => {
      if (effectiveDirective !== "connect-src" || link.status.state === "connected") return;
      // The policy of a loaded page does not change: trying again cannot help.
      if (/^wss?:/.test(blockedURI) && blockedURI.includes(host)) link.stop("csp_blocked");
    },
    { signal },
  );
  link.watch(({ state }) => {
    if (state !== "stopped") return;
    ended.abort();
    parking.end();
  });
}
