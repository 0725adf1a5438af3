/**
 * When a message can be dequeued, and what becomes of one that cannot: delays, attempts, expiration and
 * the exception queue. What Oracle's queue monitor processes do, and a rollback.
 */
import { Schedule } from "./due.ts";
import { type QueueRow, STATE } from "./message.ts";
import type { AqOwner, EngineOptions } from "./options.ts";
import type { Queue } from "./queue.ts";
import type { UndoCause } from "./transaction.ts";

/** The system change number: it rises with each message that becomes visible. */
export class ChangeNumber {
  #now = 0;

  get now(): number {
    return this.#now;
  }

  next(): number {
    this.#now += 1;
    return this.#now;
  }
}

export class QueueMonitor {
  readonly #options: EngineOptions;
  readonly #scn: ChangeNumber;
  readonly #queueOf: (name: string) => Queue | undefined;
  readonly #due: Schedule<{ queue: Queue; row: QueueRow }>;
  /** Queues in which messages became available since `wake`. */
  readonly #toWake = new Set<Queue>();

  /** @param queueOf finds exception queues; that of a queue's own table exists */
  constructor(
    options: EngineOptions,
    scn: ChangeNumber,
    queueOf: (name: string) => Queue | undefined,
  ) {
    this.#options = options;
    this.#scn = scn;
    this.#queueOf = queueOf;
    this.#due = new Schedule(
      options.clock,
      () => {
        this.sweep();
        options.changed?.();
      },
      (entry) => entry.row.gone,
    );
  }

  /** Whether the row can be dequeued by `owner` now. A row that has expired is exiled by the way. */
  isAvailable(owner: AqOwner, queue: Queue, row: QueueRow): boolean {
    if (row.gone || (row.uncommitted !== null && row.uncommitted !== owner)) return false;
    if (row.lockedBy !== null && row.lockedBy !== owner) return false;
    if (row.state === STATE.processed) return false;
    const now = this.#options.clock.now();
    if (row.readyAt > now) return false;
    if (row.expiresAt <= now && !queue.isExceptionQueue) {
      if (row.uncommitted === null && row.lockedBy === null) this.#exile(queue, row);
      return false;
    }
    return true;
  }

  /** A dequeued message comes back. */
  returned(queue: Queue, row: QueueRow, cause: UndoCause): void {
    const counts =
      cause === "rollback" || (cause === "lost" && this.#options.lostSessionCountsAttempt);
    if (counts && !queue.isExceptionQueue) {
      row.attempts += 1;
      if (row.attempts > queue.maxRetries) {
        this.#exile(queue, row);
        return;
      }
      if (queue.retryDelay > 0) {
        row.readyAt = this.#options.clock.now() + queue.retryDelay * 1000;
        row.state = STATE.waiting;
      }
    }
    this.available(queue, row);
  }

  /** Moves a message to the exception queue. It keeps its id, its order and its attempts. */
  #exile(queue: Queue, row: QueueRow): void {
    queue.remove(row);
    const own = row.properties.exceptionQueue;
    const target = (own && this.#queueOf(own)) || this.#queueOf(queue.exceptionQueue)!;
    const exiled: QueueRow = {
      ...row,
      state: STATE.expired,
      lockedBy: null,
      visibleScn: this.#scn.next(),
      readyAt: 0,
      gone: false,
    };
    target.insert(exiled);
    this.available(target, exiled);
    this.wake();
  }

  /** The row may have become available now, or will later. */
  available(queue: Queue, row: QueueRow): void {
    if (row.readyAt > this.#options.clock.now()) {
      this.#due.add(row.readyAt, { queue, row });
    } else {
      if (row.state === STATE.waiting) row.state = STATE.ready;
      this.#toWake.add(queue);
    }
    if (!queue.isExceptionQueue && Number.isFinite(row.expiresAt)) {
      this.#due.add(row.expiresAt, { queue, row });
    }
  }

  /** Does what Oracle's queue monitor does: releases delayed messages, exiles expired ones. */
  sweep(): void {
    const now = this.#options.clock.now();
    for (const { queue, row } of this.#due.takeDue()) {
      if (row.gone || row.uncommitted !== null || row.lockedBy !== null) continue;
      if (row.expiresAt <= now) this.#exile(queue, row);
      else if (row.readyAt <= now) {
        if (row.state === STATE.waiting) row.state = STATE.ready;
        this.#toWake.add(queue);
      }
    }
    this.wake();
  }

  /** Serves who waits for what became available. Call it after a commit or a rollback. */
  wake(): void {
    for (const queue of this.#toWake) {
      this.#toWake.delete(queue);
      this.#options.available?.(queue.name);
      for (const waiter of [...queue.waiters]) {
        if (queue.waiters.has(waiter)) waiter.attempt();
      }
    }
  }

  /** Stops the timer. */
  close(): void {
    this.#due.close();
  }
}
