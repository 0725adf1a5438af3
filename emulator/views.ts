/** What tests may look at. Copies: they do not change afterwards. */

/** What a client can ask for, as rules and counts name it. */
export type CallName =
  | "logon"
  | "ping"
  | "commit"
  | "rollback"
  | "logoff"
  | "execute"
  | "enqueue"
  | "dequeue"
  | "other";

export interface SessionView {
  readonly id: number;
  readonly user: string;
  readonly module: string;
  readonly action: string;
  readonly clientId: string;
  readonly clientInfo: string;
  readonly program: string;
  readonly machine: string;
  /** `waiting`: inside a dequeue that has found nothing yet. */
  readonly state: "idle" | "running" | "waiting";
  /** The call under way. */
  readonly call: CallName | null;
  readonly frozen: boolean;
  readonly transactionOpen: boolean;
  /** Messages dequeued or locked, and not yet settled. */
  readonly lockedMessages: number;
  /** User locks held (DBMS_LOCK). */
  readonly locks: readonly string[];
  /** Requests so far, logon included. */
  readonly roundTrips: number;
  /** The same by call. */
  readonly calls: Readonly<Record<string, number>>;
}
