/** The relay's address as a WebSocket URL. Throws `TypeError` with a text for the page's author. */

/** Where nginx/rtm-ords.inc puts the relay on the host that serves APEX; the plug-ins look there too. */
const USUAL = "/rtm/ws";
const LOOPBACK = /^(localhost|.*\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/**
 * `url` may be absolute (ws, wss, http, https) or relative to `page` ("/ws"); empty means `/rtm/ws`
 * on the page's own host. `page` is empty where there is none.
 */
export function relayUrl(url: string, page: string): string {
  let resolved: URL;
  try {
    resolved = new URL(url.trim() || USUAL, page || undefined);
  } catch {
    throw new TypeError(`rtm: "${url}" is not a URL. Write it as wss://relay.example/ws`);
  }
  resolved.protocol = resolved.protocol.replace(/^http/, "ws");
  if (!/^wss?:$/.test(resolved.protocol)) {
    throw new TypeError(
      `rtm: "${url}" must begin with wss:// (or ws://), or be a path of this host`,
    );
  }
  if (resolved.username || resolved.password) {
    throw new TypeError("rtm: the relay URL must not hold a user name or a password");
  }
  if (
    resolved.protocol === "ws:" &&
    page.startsWith("https:") &&
    !LOOPBACK.test(resolved.hostname)
  ) {
    throw new TypeError(`rtm: a page served by https cannot open "${url}"; use wss://`);
  }
  resolved.hash = "";
  return resolved.href;
}
