/** Choices of the attribute Options. */
export type Option = "KEEP_PAGE" | "NOW" | "OTHERS" | "INDICATOR" | "STAY";

/** The attribute Settings; everything is optional. listener.sql refuses other members. */
export interface Settings {
  /** On Message: Refresh Rows. The member of the payload that holds the primary keys. */
  readonly key?: string;
  /** Texts of the connection indicator. */
  readonly live?: string;
  readonly catchingUp?: string;
  readonly offline?: string;
  readonly signIn?: string;
}
