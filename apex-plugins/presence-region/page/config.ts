/** What the presence region of a page is told by the server. */

/** What the render function hands to the page (presence-region.sql). */
export interface PresenceConfig {
  /** The relay, absolute or as a path of the page's own host. */
  readonly url: string;
  readonly channel: string;
  readonly token: string;
  /** The number under which the APEX session holds the visit. */
  readonly grant: number;
  /** APEX's text for a session that has ended, in the user's language. */
  readonly sessionEnded?: string | undefined;
  /** DOM ids one of which is the region's. */
  readonly regions: readonly (string | null)[];
  /** Items that a refresh sends along, as a selector. */
  readonly pageItems?: string | null;
  readonly look: "AVATARS" | "NAMES" | "NUMBER";
  /** People shown one by one; the others are counted. */
  readonly most: number;
  /** Whether the page says who edits the record. */
  readonly lock: boolean;
  /** An Interactive Grid whose rows are marked. */
  readonly grid?: string | null;
  /** Whether the user is seen. */
  readonly join: boolean;
  /** Whether it is shown who has the page in the background. */
  readonly away: boolean;
  /** Whether the user is shown to himself. */
  readonly myself: boolean;
  /** Whether the visit begins when the region comes into view. */
  readonly lazy: boolean;
  /** Whether a hidden page stays connected. */
  readonly stay: boolean;
  /** Whether rows that others edit cannot be edited. */
  readonly readOnly: boolean;
  readonly settings: Partial<Texts> & { readonly awaySeconds?: number };
  /** Set when nobody is to be shown; then there are `regions` and `pageItems` beside it. */
  readonly error?: string;
}

/** Texts of the attribute Settings; `#name#`, `#time#` and `#count#` are replaced. */
export interface Texts {
  readonly label: string;
  readonly you: string;
  readonly away: string;
  readonly more: string;
  readonly count: string;
  readonly nobody: string;
  readonly came: string;
  readonly left: string;
  readonly edits: string;
  readonly rowEdits: string;
  readonly kept: string;
  readonly somebody: string;
  readonly added: string;
  readonly deleted: string;
  readonly fetch: string;
  readonly live: string;
  readonly paused: string;
  readonly offline: string;
  readonly pause: string;
  readonly resume: string;
}

const ENGLISH: Texts = {
  label: "Who is here",
  you: "you",
  away: "away",
  more: "#count# more",
  count: "#count# here",
  nobody: "Nobody else is here",
  came: "#name# has come",
  left: "#name# has left",
  edits: "#name# edits this record since #time#",
  rowEdits: "#name# edits this row since #time#",
  kept: "Changed by #name#, yours is kept",
  somebody: "somebody else",
  added: "New rows: #count#",
  deleted: "Deleted rows: #count#",
  fetch: "Show them",
  live: "Live",
  paused: "Paused",
  offline: "Offline",
  pause: "Pause",
  resume: "Resume",
};

export function textsOf(given: Partial<Texts> | null | undefined): Texts {
  return { ...ENGLISH, ...given };
}

/** `text` with its placeholders replaced; the values are text, whatever they look like. */
export function fill(text: string, values: Readonly<Record<string, string | number>>): string {
  return text.replace(/#(\w+)#/g, (whole, name: string) =>
    Object.hasOwn(values, name) ? String(values[name]) : whole,
  );
}

/** `since`, s since 1970, as the time of day; with the date when it was another day. */
export function timeText(since: number | undefined, now = new Date()): string {
  if (since === undefined) return "";
  const at = new Date(since * 1_000);
  const language = document.documentElement.lang || undefined;
  const options: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit" };
  if (at.toDateString() !== now.toDateString())
    Object.assign(options, { day: "numeric", month: "short" });
  return new Intl.DateTimeFormat(language, options).format(at);
}
