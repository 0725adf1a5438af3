/** What the Listener of a page is told by the server. */
import type { Option, Settings } from "./settings.ts";

/** What the render function hands to the page (listener.sql). */
export interface ListenerConfig {
  /** The relay, absolute or as a path of the page's own host. */
  readonly url: string;
  readonly channels: readonly string[];
  readonly events: readonly string[];
  readonly apexEvent: string;
  /** Empty: as published, the event and the item that the payload names. */
  readonly onMessage: "" | "EVENT" | "ITEMS" | "REFRESH" | "ROWS" | "NOTIFY" | "BADGE";
  /** Items that may be set; none means any item of the page. */
  readonly items: readonly string[];
  readonly regions: readonly string[];
  /** Text of the notification with `#member#` placeholders; empty: the payload's own text. */
  readonly text: string;
  readonly throttleMs: number;
  readonly refreshAfterGap: boolean;
  readonly fireChange: boolean;
  readonly options: readonly Option[];
  readonly settings: Settings;
  /** Absent: public channels only. */
  readonly token?: string;
  /** The number under which the APEX session holds the channels, for a renewal for all listeners. */
  readonly grant?: number;
  /** APEX's text for a session that has ended, in the user's language. */
  readonly sessionEnded?: string;
  /** Whether the AJAX callback mints tokens. */
  readonly renew?: boolean;
  /** Set instead of everything else when the action is not usable. */
  readonly error?: string;
}

/** In PL/SQL an empty text is null, and so it is in the JSON that PL/SQL writes. */
export function parseConfig(text: string): ListenerConfig {
  const config = JSON.parse(text);
  for (const member of ["url", "onMessage", "text"]) config[member] ??= "";
  config.options ??= [];
  config.settings ??= {};
  return config;
}
