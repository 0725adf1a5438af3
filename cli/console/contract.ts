/** What the console's server tells its page and `rtm top`. Types only: the page is a browser program. */

/** Who asks: `read` sees everything, `full` may also act, `none` has to sign in. */
export type Access = "full" | "read" | "none";

/** Answer of `GET access`: what whoever asks may do. */
export interface AccessInfo {
  readonly access: Access;
  /** Whether there is a token that could be shown. */
  readonly tokenConfigured: boolean;
}

/** Totals since the start of the process, and gauges: what the charts show over time. */
export interface Point {
  /** Ms since 1970. */
  readonly at: number;
  /** Share of one core since the point before, 0 to 1 and a little more. */
  readonly cpu: number;
  /** Resident memory, bytes. */
  readonly rss: number;
  /** Share of time the event loop was busy since the point before, 0 to 1. */
  readonly loop: number;
  /** Accepted messages: of the relay, or without one those that the worker has settled. */
  readonly accepted: number;
  readonly delivered: number;
  readonly deliveredBytes: number;
  readonly connections: number;
  /** Ready messages of all queues; null while nobody has looked. */
  readonly backlog: number | null;
  /** From the call in the database to its dequeue; null without a worker. */
  readonly dequeue: readonly number[] | null;
  /** From acceptance to the sockets; null without a relay. */
  readonly write: readonly number[] | null;
}

export interface QueueRow {
  readonly queue: string;
  readonly state: string;
  readonly reason: string | null;
  readonly sinceMs: number;
  /** Since the database last answered; null before the first answer. */
  readonly lastTickMs: number | null;
  /** Ready messages, counted up to 10,000; null before the first look. */
  readonly ready: number | null;
  readonly oldestAgeS: number | null;
  readonly exceptions: number | null;
  readonly blocked: number;
  /** Totals. */
  readonly accepted: number;
  readonly duplicates: number;
  readonly poison: number;
  readonly holds: number;
}

/** Totals by a name, such as a close code's. */
export type Totals = Readonly<Record<string, number>>;

export interface RelayFigures {
  readonly epoch: string;
  readonly subscriptions: number;
  /** Null without presence. */
  readonly presence: { readonly members: number; readonly nodes: readonly string[] } | null;
  readonly channels: number;
  readonly heldBytes: number;
  readonly historyMessages: number;
  readonly historyBytes: number;
  readonly duplicates: number;
  readonly opened: number;
  readonly recoveries: { readonly granted: number; readonly refused: number };
  readonly rejections: Totals;
  readonly closes: Totals;
  readonly drops: Totals;
  readonly authFailures: Totals;
  readonly handshakes: Totals;
}

export interface ChannelRow {
  readonly channel: string;
  readonly subscriptions: number;
  /** Users that are seen in it; null without presence. */
  readonly members: number | null;
  /** Messages per second since the last look; null at the first. */
  readonly rate: number | null;
  /** Null where nothing but last values is left of it. */
  readonly seq: number | null;
  readonly kept: number;
  readonly keptBytes: number;
  /** Last values, and their bytes. */
  readonly retained: number;
  readonly retainedBytes: number;
}

export interface SlowClientRow {
  readonly address: string | null;
  readonly heldBytes: number;
  readonly subscriptions: number;
  readonly waiting: boolean;
}

export interface SharedLogRow {
  readonly current: boolean;
  readonly lag: number;
  readonly engineBytes: number;
  readonly reconnects: number;
  readonly appended: Totals;
  readonly resets: Totals;
}

export interface Condition {
  readonly code: string;
  readonly message: string;
}

export interface WarningRow {
  readonly number: number;
  /** ISO 8601. */
  readonly time: string;
  readonly level: string;
  readonly component: string | null;
  readonly message: string;
  /** The other members of the line, as JSON; empty where there are none. */
  readonly details: string;
}

/** Everything that the page shows at a moment. */
export interface Sample {
  readonly point: Point;
  readonly ready: boolean;
  readonly reasons: readonly Condition[];
  readonly conditions: readonly Condition[];
  readonly queues: readonly QueueRow[];
  readonly relay: RelayFigures | null;
  readonly log: SharedLogRow | null;
  /** The busiest ones. */
  readonly channels: readonly ChannelRow[];
  readonly slowClients: readonly SlowClientRow[];
  /** Those that are new since the sample before. */
  readonly warnings: readonly WarningRow[];
  /** How many look on now. */
  readonly watching: number;
}

/** First event of a stream. */
export interface Hello {
  readonly version: string;
  readonly node: string;
  readonly host: string;
  readonly role: string;
  readonly pid: number;
  /** When the process started, ms since 1970. */
  readonly startedAt: number;
  readonly access: Access;
  /** Whether the live tail shows payloads. */
  readonly payloads: boolean;
  /** Whether there is a database to ask for exceptions and poison. */
  readonly database: boolean;
  readonly bounds: { readonly dequeue: readonly number[]; readonly write: readonly number[] };
  readonly limits: { readonly connections: number; readonly heldBytes: number };
  /** What was seen lately, oldest first, when others have looked before. */
  readonly points: readonly Point[];
  readonly warnings: readonly WarningRow[];
}

/** A message of the live tail. */
export interface TailRow {
  readonly seq: number;
  readonly eventName: string;
  readonly bytes: number;
  /** Ms since 1970 by this host's clock. */
  readonly at: number;
  readonly payload?: string;
}

/** Event of a tail. */
export interface TailNews {
  readonly messages: readonly TailRow[];
  readonly missed: number;
}

/** A message of the exception queue. */
export interface ExceptionRow {
  readonly queue: string;
  readonly messageId: string;
  /** ISO 8601; null when unknown. */
  readonly enqueued: string | null;
  /** 0: it expired. */
  readonly attempts: number;
  readonly channel: string | null;
  readonly eventName: string | null;
}

/** A message that was set aside because it can never be delivered. */
export interface PoisonRow {
  /** ISO 8601. */
  readonly at: string | null;
  readonly messageId: string | null;
  readonly channel: string | null;
  readonly eventName: string | null;
  readonly reason: string;
  readonly where: "RTM_LOG" | "file";
}

/** Rows, or why there are none and what would change that. */
export type Allowed<T> =
  | { readonly may: true; readonly rows: readonly T[] }
  | { readonly may: false; readonly why: string; readonly fix: string };

/** Answer of `aside`. */
export interface Aside {
  readonly exceptions: Allowed<ExceptionRow>;
  readonly poison: Allowed<PoisonRow>;
  /** Every worker that the database has heard lately, as RTM_STATUS tells; null where it may not be read. */
  readonly listeners: string | null;
}

/** Answer of `requeue`. */
export interface Requeued {
  readonly messageId: string;
}

/** Answer to what was refused or failed. */
export interface Problem {
  readonly code: string;
  readonly message: string;
}
