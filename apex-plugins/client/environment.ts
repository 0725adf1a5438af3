/** What the connection needs of its surroundings. browser.ts implements it for pages. */

import type { Position } from "./channel.ts";

export interface Socket {
  send(text: string): void;
  /** Closes it; none of the handlers is called any more. */
  abandon(code?: number): void;
}

export interface SocketHandlers {
  open(): void;
  frame(text: string): void;
  close(code: number): void;
}

/** What the ways without WebSockets need. */
export interface Http {
  /** Whether somebody looks at the page, and the browser has a network. */
  watched(): boolean;
  /** The way of the tab's earlier page to the relay at `url`, where it was no WebSocket. */
  stored(url: string): string | undefined;
  store(url: string, via: string | undefined): void;
  /**
   * Leave to keep a request to `url` open, until it is given back. Over HTTP/1.1 a browser has six
   * connections to a host for all its tabs; undefined: too many wait already.
   */
  slot(url: string): Promise<(() => void) | undefined>;
}

export interface Environment {
  /** Absent where there are only WebSockets. */
  readonly http?: Http;
  /** Opens a WebSocket with the subprotocol `rtm.v1`. */
  connect(url: string, handlers: SocketHandlers): Socket;
  /** Runs `task` before the next frame is painted, or soon in a page that is not painted. */
  beforeFrame(task: () => void): void;
  /** Time since the navigation to this page, ms. */
  pageAgeMs(): number;
  random(): number;
  /** Where the tab's earlier page stood in the channels of the relay at `url`. */
  positionsBefore(url: string): Readonly<Record<string, Position>>;
  /** A failure inside a listener; never thrown. */
  report(error: unknown): void;
}
