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

export interface Environment {
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
