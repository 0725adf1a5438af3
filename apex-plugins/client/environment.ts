/** What the connection needs of its surroundings. browser.ts implements it for pages. */

import type { publish } from "./events.ts";
import type { Fallback, FallbackOptions } from "./fallback.ts";
import type { Position } from "./listener.ts";
import type { Members } from "./members.ts";
import type { Socket, SocketHandlers } from "./socket.ts";

/** Runs what is not ours and may throw. */
export function attempt({ report }: Pick<Environment, "report">, task: () => void): void {
  try {
    task();
  } catch (error) {
    report(error);
  }
}

/** What hardly any page needs, and is fetched by those that do. */
export interface More {
  fallback(options: FallbackOptions): Fallback;
  readonly Members: typeof Members;
  readonly publish: typeof publish;
}

/** What a page knows of the ways without WebSockets before it needs them. */
export interface FallbackHost {
  /** Whether somebody looks at the page, and the browser has a network. */
  watched(): boolean;
  /** The tab's earlier page has gone one of them to the relay at `url`. */
  stored(url: string): boolean;
}

export interface Environment {
  /** Fetches the second file, once; again after a failure. */
  more(): Promise<More>;
  /** Absent where there are only WebSockets. */
  readonly fallback?: FallbackHost;
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
