/** The Listener's attributes as its parts want them. */

/** Choices of the attribute Options. */
export type Option =
  | "KEEP_PAGE"
  | "NOW"
  | "LAST"
  | "OTHERS"
  | "INDICATOR"
  | "STAY"
  | "TELL"
  | "SYSTEM"
  | "UNCHANGED"
  | "JOIN"
  | "WATCH"
  | "EVENTS";

/** The attribute Settings; everything is optional. listener.sql refuses other members. */
export interface Settings {
  /** On Message: Refresh Rows. The member of the payload that holds the primary keys. */
  readonly key?: string;
  /** The member that says who has changed the row. */
  readonly by?: string;
  /** Option Last Values: how many of each event. */
  readonly last?: number | string;
  /** Texts of the connection indicator. */
  readonly live?: string;
  readonly catchingUp?: string;
  readonly offline?: string;
  readonly signIn?: string;
  /** On Message: Notify. success, info, warning or error; type, title and link take #member#. */
  readonly type?: string;
  readonly title?: string;
  readonly link?: string;
  readonly seconds?: number | string;
  readonly position?: string;
  readonly cssClass?: string;
  readonly close?: string;
  readonly more?: string;
  /** On Message: Set Badge. A DOM id or a selector. */
  readonly badge?: string;
  /** The member of the payload that holds the count; without it each message counts. */
  readonly count?: string;
  /** The event that clears the badge; without it a click on the element does. */
  readonly clear?: string;
  readonly badgeLabel?: string;
}
