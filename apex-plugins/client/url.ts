/** The relay's address as a WebSocket URL. Throws `TypeError` with a text for the page's author. */

/** Where nginx/rtm-ords.inc puts the relay on the host that serves APEX; the plug-ins look there too. */
const USUAL = "/rtm/ws";
const LOOPBACK = /^(localhost|.*\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/**
 * `url` may be absolute (ws, wss, http, https) or relative to `page` ("/ws"); empty means `/rtm/ws`
 * on the page's own host. `page` is empty where there is none.
 */
export function relayUrl(url: string, page: string): string {
  let at: URL | undefined;
  try {
    at = new URL(url.trim() || USUAL, page || undefined);
    at.protocol = at.protocol.replace(/^http/, "ws");
    at.hash = "";
  } catch {
    // No URL at all.
  }
  const secure = at?.protocol === "wss:";
  const plain =
    at?.protocol === "ws:" && (!page.startsWith("https:") || LOOPBACK.test(at.hostname));
  if (!at || !(secure || plain) || at.username || at.password) {
    throw new TypeError(`rtm: url must be wss://host/path or a path of this host, not ${url}`);
  }
  return at.href;
}
