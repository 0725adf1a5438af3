/** A message as a row of the queue table, and as who dequeues it gets it. */
import { randomBytes } from "node:crypto";

export type PayloadKind = "RAW" | "JSON";

/** Message states as Oracle numbers them. */
export const STATE = { ready: 0, waiting: 1, processed: 2, expired: 3 } as const;

/** What an enqueuer chooses. All optional. */
export interface MessageProperties {
  priority?: number;
  correlation?: string;
  /** Seconds until the message can be dequeued. Default 0. */
  delay?: number;
  /** Seconds after which a message that nobody took goes to the exception queue. Default -1: never. */
  expiration?: number;
  /** Instead of the table's `AQ$_<table>_E`. */
  exceptionQueue?: string;
  /** Claims user properties in every answer, which the Thin driver cannot decode (NJS-089). */
  userProperties?: boolean;
}

/** What a dequeuer gets: a copy, except for the payload's bytes. */
export interface DequeuedMessage {
  readonly id: Buffer;
  /** RAW: the bytes. JSON: the OSON bytes. */
  readonly payload: Buffer;
  readonly kind: PayloadKind;
  readonly priority: number;
  readonly correlation: string;
  readonly delay: number;
  readonly expiration: number;
  /** Rollbacks so far. */
  readonly attempts: number;
  readonly exceptionQueue: string;
  readonly state: number;
  /** Whole seconds, as DATE has it. */
  readonly enqueueTime: Date;
  readonly userProperties: boolean;
}

/** A row of the queue table. Mutable; only the engine touches it. */
export interface QueueRow {
  readonly id: Buffer;
  readonly payload: Buffer;
  readonly kind: PayloadKind;
  readonly properties: Required<MessageProperties>;
  readonly enqueueTime: number;
  /** Unique, rising: orders the messages of one second. */
  readonly step: number;
  attempts: number;
  state: number;
  /** The transaction that enqueued it, until that commits. */
  uncommitted: object | null;
  /** The transaction that dequeued (or locked) it. */
  lockedBy: object | null;
  /** System change number of the commit that made it visible. */
  visibleScn: number;
  /** Time from which it can be dequeued: delay and retry delay. */
  readyAt: number;
  expiresAt: number;
  gone: boolean;
}

const prefix = randomBytes(8);

/** 16 bytes, unique in this process, rising with the step. */
export function messageId(step: number): Buffer {
  const id = Buffer.alloc(16);
  prefix.copy(id);
  id.writeBigUInt64BE(BigInt(step), 8);
  return id;
}

export function compareRows(
  a: { enqueueTime: number; step: number },
  b: { enqueueTime: number; step: number },
): number {
  return a.enqueueTime - b.enqueueTime || a.step - b.step;
}

export function dequeued(row: QueueRow): DequeuedMessage {
  const { properties } = row;
  return {
    id: row.id,
    payload: row.payload,
    kind: row.kind,
    priority: properties.priority,
    correlation: properties.correlation,
    delay: properties.delay,
    expiration: properties.expiration,
    exceptionQueue: properties.exceptionQueue,
    userProperties: properties.userProperties,
    attempts: row.attempts,
    state: row.state,
    enqueueTime: new Date(row.enqueueTime),
  };
}
