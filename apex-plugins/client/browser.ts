/** The page around a connection: WebSocket, frames, life cycle, one connection per relay. */
import type { Environment } from "./environment.ts";
import type { Position } from "./listener.ts";
import { Parking } from "./parking.ts";
import { registered } from "./registry.ts";
import { RelayConnection } from "./relay-connection.ts";
import { openSocket } from "./socket.ts";
import { inStorage, storedWay } from "./storage.ts";
import { relayUrl } from "./url.ts";

/** A hidden page is not painted: its messages are handed over after this time, ms. */
const HIDDEN_MS = 250;

/** Prefix of the session storage's keys. The values are channel names and positions. */
const STORED = "rtm:";

const environment = {
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
  // No storage, or not ours: a page may then see once more what the one before it saw.
  positionsBefore: (url): Readonly<Record<string, Position>> =>
    inStorage((storage) => JSON.parse(storage.getItem(STORED + url)!)) ?? {},
  report: (error) => reportError(error),
  fallback: {
    watched: () => document.visibilityState === "visible" && navigator.onLine,
    stored: (url) => storedWay(url) !== undefined,
  },
} satisfies Omit<Environment, "more">;

/**
 * The page's connection to `url` (see `relayUrl`). One that has stopped is replaced.
 * @param more see `Environment`
 */
export function connectionTo(url: string, more: Environment["more"]): RelayConnection {
  const address = relayUrl(url, document.baseURI);
  return registered(address, () => {
    const connection = new RelayConnection({ ...environment, more }, address);
    followPage(connection, address);
    return connection;
  });
}

/** A dialog is a page of the same tab: what it has noted meanwhile may be newer than ours. */
function remember(address: string, connection: RelayConnection): void {
  inStorage((storage) => {
    const positions = connection.positions();
    for (const [channel, theirs] of Object.entries(environment.positionsBefore(address))) {
      const ours = positions[channel];
      if (!ours || (ours.epoch === theirs?.epoch && ours.seq < theirs.seq)) {
        positions[channel] = theirs;
      }
    }
    storage.setItem(STORED + address, JSON.stringify(positions));
  });
}

function followPage(connection: RelayConnection, address: string): void {
  const { link } = connection;
  const { host } = new URL(address);
  const ended = new AbortController();
  const on = (target: EventTarget, event: string, act: (event: never) => void) =>
    target.addEventListener(event, act as EventListener, ended);
  const parking = new Parking(link, () => connection.parkMs);
  const look = () => {
    const visible = document.visibilityState === "visible";
    parking.look(visible);
    if (visible) link.wake();
  };
  // An open socket keeps a page out of the back-forward cache, or is cut there without notice.
  on(window, "pagehide", () => {
    remember(address, connection);
    link.pause();
  });
  on(window, "pageshow", () => {
    link.resume();
    look();
  });
  on(window, "online", () => link.wake(true));
  on(document, "visibilitychange", look);
  on(document, "resume", look);
  on(document, "freeze", () => parking.freeze());
  on(document, "securitypolicyviolation", (event: SecurityPolicyViolationEvent) => {
    const { effectiveDirective, blockedURI } = event;
    if (effectiveDirective !== "connect-src" || link.is("connected")) return;
    // The policy of a loaded page does not change: trying again cannot help.
    if (/^wss?:/.test(blockedURI) && blockedURI.includes(host)) link.stop("csp_blocked");
  });
  look();
  link.watch(({ state }) => {
    if (state !== "stopped") return;
    ended.abort();
    parking.end();
  });
}
