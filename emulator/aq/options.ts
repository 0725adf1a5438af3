/** What the engine is asked for, and who asks. */

import type { Clock } from "../clock.ts";
import type { DequeuedMessage, QueueRow } from "./message.ts";
import type { Queue } from "./queue.ts";
import { Transaction } from "./transaction.ts";

export const MODE = { browse: 1, locked: 2, remove: 3, removeNoData: 4 } as const;
export const NAVIGATION = { first: 1, nextTransaction: 2, next: 3 } as const;
/** `wait` of a dequeue that waits for ever. */
export const WAIT_FOREVER = 0xffff_ffff;

export interface DequeueOptions {
  /** At most so many messages; the call returns with what is there as soon as there is one. Default 1. */
  max?: number;
  /** Seconds, or WAIT_FOREVER. Default 0. */
  wait?: number;
  /** Subscriber of a multi-consumer queue, in any case of letters. */
  consumer?: string | undefined;
  /** Default `remove`. */
  mode?: number;
  /** Default `first`: a new snapshot. `next` goes on in the snapshot of the last dequeue. */
  navigation?: number;
  /** Commits at once, in a transaction of its own. */
  immediate?: boolean;
  messageId?: Buffer;
  /** May hold the wildcards % and _. */
  correlation?: string;
  /** Cancels the wait: the call fails with the signal's reason. */
  signal?: AbortSignal;
  /** Called once if the call has to wait. */
  onWait?: () => void;
}

/** What `NEXT_MESSAGE` of one session goes on from in one queue. */
export interface Cursor {
  scn: number;
  after: QueueRow | undefined;
}

/** The part of a session that the engine needs. */
export interface AqOwner {
  readonly transaction: Transaction;
  readonly cursors: Map<Queue, Cursor>;
  /** Messages dequeued or locked, and not yet settled. */
  lockedMessages: number;
}

export function newOwner(): AqOwner {
  return { transaction: new Transaction(), cursors: new Map(), lockedMessages: 0 };
}

/** One message of `messages()`: for assertions. */
export interface MessageView extends DequeuedMessage {
  readonly status: "uncommitted" | "ready" | "waiting" | "locked";
}

export interface EngineOptions {
  clock: Clock;
  /**
   * Whether a session that ends without commit or rollback raises the attempts of what it had
   * dequeued. Oracle's documentation says no for a killed server process; other sources disagree.
   */
  lostSessionCountsAttempt: boolean;
  /** Time alone has changed something: a delay or an expiration is over. */
  changed?: () => void;
  /** Messages of this queue may have become available. */
  available?: (queue: string) => void;
}
