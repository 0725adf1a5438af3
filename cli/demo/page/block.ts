/**
 * Treats the WebSockets of this page as some proxies do: they open, and nothing that is sent on them
 * arrives. The client then goes on with an event stream.
 */

const open = new Set<WebSocket>();
let blocked = false;

class BlockableSocket extends WebSocket {
  constructor(url: string | URL, protocols?: string | string[]) {
    super(url, protocols);
    open.add(this);
    this.addEventListener("close", () => open.delete(this));
  }

  override send(data: string): void {
    if (!blocked) super.send(data);
  }
}

globalThis.WebSocket = BlockableSocket;

/** Returns whether they are blocked now. */
export function toggleBlock(): boolean {
  blocked = !blocked;
  // As when a laptop comes to another network: what was known of the old one counts no more.
  dispatchEvent(new Event("online"));
  if (blocked) for (const socket of open) socket.close();
  return blocked;
}
