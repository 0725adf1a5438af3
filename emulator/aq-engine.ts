/**
 * Advanced Queuing without sockets: queues, visibility, locks, attempts, expiration, waiting.
 *
 * Follows the Oracle documentation of DBMS_AQ for classic single-consumer queues. Where the
 * documentation is silent or two sources disagree, docs/emulator.md names the choice.
 */
import {
  type DequeuedMessage,
  dequeued,
  type MessageProperties,
  messageId,
  type PayloadKind,
  type QueueRow,
  STATE,
} from "./aq-message.ts";
import {
  type AqOwner,
  type DequeueOptions,
  type EngineOptions,
  type MessageView,
  MODE,
  NAVIGATION,
  newOwner,
  WAIT_FOREVER,
} from "./aq-options.ts";
import { Queue, type QueueDefinition, type Waiter } from "./aq-queue.ts";
import type { Clock } from "./clock.ts";
import { Schedule } from "./due.ts";
import { OraError } from "./errors.ts";
import type { UndoCause } from "./transaction.ts";

export class AqEngine {
  readonly #queues = new Map<string, Queue>();
  readonly #clock: Clock;
  readonly #options: EngineOptions;
  readonly #due: Schedule<{ queue: Queue; row: QueueRow }>;
  readonly #toWake = new Set<Queue>();
  #step = 0;
  #scn = 0;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#due = new Schedule(
      options.clock,
      () => {
        this.sweep();
        options.changed?.();
      },
      (entry) => entry.row.gone,
    );
  }

  createQueue(definition: QueueDefinition): Queue {
    if (!/^[^.]+\.[^.]+$/.test(definition.name)) {
      throw new TypeError(`createQueue: name must be OWNER.QUEUE, not "${definition.name}"`);
    }
    if (this.#queues.has(definition.name)) {
      throw new OraError(24006, `cannot create QUEUE, ${definition.name} already exists`);
    }
    const queue = new Queue(definition);
    this.#queues.set(queue.name, queue);
    if (!this.#queues.has(queue.exceptionQueue)) {
      const exceptions = new Queue({ ...definition, name: queue.exceptionQueue }, true);
      this.#queues.set(exceptions.name, exceptions);
    }
    return queue;
  }

  /** @throws OraError 24010 */
  queue(name: string): Queue {
    const queue = this.#queues.get(name);
    if (!queue) throw new OraError(24010, `QUEUE ${name} does not exist`);
    return queue;
  }

  get queues(): Queue[] {
    return [...this.#queues.values()];
  }

  /** DBMS_AQADM.START_QUEUE. An exception queue cannot be enabled for enqueue (ORA-24017). */
  start(queue: Queue, what: { enqueue?: boolean; dequeue?: boolean } = {}): void {
    const { enqueue = !queue.isExceptionQueue, dequeue = true } = what;
    if (enqueue && queue.isExceptionQueue) {
      throw new OraError(
        24017,
        `cannot enable enqueue on QUEUE, ${queue.name} is an exception queue`,
      );
    }
    if (enqueue) queue.enqueueEnabled = true;
    if (dequeue) queue.dequeueEnabled = true;
  }

  /** DBMS_AQADM.STOP_QUEUE. Who waits in a dequeue gets ORA-25226. */
  stop(queue: Queue, what: { enqueue?: boolean; dequeue?: boolean } = {}): void {
    const { enqueue = true, dequeue = true } = what;
    if (enqueue) queue.enqueueEnabled = false;
    if (!dequeue) return;
    queue.dequeueEnabled = false;
    for (const waiter of [...queue.waiters]) waiter.fail(notEnabled(queue));
  }

  /** Puts messages into a queue, in the owner's transaction. Returns their ids. */
  enqueue(
    owner: AqOwner,
    name: string,
    messages: readonly { payload: Buffer; kind: PayloadKind; properties?: MessageProperties }[],
  ): Buffer[] {
    const queue = this.queue(name);
    if (!queue.enqueueEnabled) {
      throw new OraError(25207, `enqueue failed, queue ${queue.name} is disabled from enqueueing`);
    }
    for (const message of messages) requirePayload(queue, message.kind);
    return messages.map((message) => this.#enqueueRow(owner, queue, message).id);
  }

  /** Visibility IMMEDIATE: a transaction of its own, committed at once. */
  enqueueImmediately(name: string, messages: Parameters<AqEngine["enqueue"]>[2]): Buffer[] {
    const owner = newOwner();
    const ids = this.enqueue(owner, name, messages);
    this.commit(owner);
    return ids;
  }

  #enqueueRow(
    owner: AqOwner,
    queue: Queue,
    message: { payload: Buffer; kind: PayloadKind; properties?: MessageProperties },
  ): QueueRow {
    const now = this.#clock.now();
    const step = ++this.#step;
    const properties: Required<MessageProperties> = {
      priority: 0,
      correlation: "",
      delay: 0,
      expiration: -1,
      exceptionQueue: "",
      userProperties: false,
      ...message.properties,
    };
    // Without a delay it is ready whatever becomes of the clock.
    const readyAt = properties.delay > 0 ? now + properties.delay * 1000 : 0;
    const row: QueueRow = {
      id: messageId(step),
      payload: message.payload,
      kind: message.kind,
      properties,
      enqueueTime: Math.floor(now / 1000) * 1000,
      step,
      attempts: 0,
      state: readyAt > now ? STATE.waiting : STATE.ready,
      uncommitted: owner,
      lockedBy: null,
      visibleScn: Number.POSITIVE_INFINITY,
      readyAt,
      expiresAt:
        properties.expiration < 0
          ? Number.POSITIVE_INFINITY
          : Math.max(readyAt, now) + properties.expiration * 1000,
      gone: false,
    };
    queue.insert(row);
    owner.transaction.add({
      undo: () => queue.remove(row),
      commit: () => {
        row.uncommitted = null;
        row.visibleScn = ++this.#scn;
        this.#available(queue, row);
      },
    });
    return row;
  }

  /**
   * Takes messages out, in the owner's transaction. An empty array is what Oracle reports as
   * ORA-25228.
   */
  async dequeue(
    owner: AqOwner,
    name: string,
    kind: PayloadKind,
    options: DequeueOptions = {},
  ): Promise<DequeuedMessage[]> {
    const queue = this.queue(name);
    if (!queue.dequeueEnabled) throw notEnabled(queue);
    requirePayload(queue, kind);
    if (options.messageId) {
      const id = options.messageId;
      const row = [...queue.rows()].find((other) => other.id.equals(id));
      if (!row || !this.#isAvailable(owner, queue, row)) {
        throw new OraError(
          25263,
          `no message in queue ${queue.name} with message ID ${id.toString("hex").toUpperCase()}`,
        );
      }
      return [this.#take(owner, queue, row, options)];
    }
    const found = this.#takeNext(owner, queue, options);
    const wait = options.wait ?? 0;
    if (found.length > 0 || wait === 0) return found;
    options.signal?.throwIfAborted();
    return this.#wait(owner, queue, options, wait);
  }

  #wait(
    owner: AqOwner,
    queue: Queue,
    options: DequeueOptions,
    wait: number,
  ): Promise<DequeuedMessage[]> {
    const { signal } = options;
    return new Promise((resolve, reject) => {
      const end = () => {
        queue.waiters.delete(waiter);
        cancelTimer?.();
        signal?.removeEventListener("abort", onAbort);
      };
      const waiter: Waiter = {
        attempt: () => {
          const found = this.#takeNext(owner, queue, options);
          if (found.length === 0) return false;
          end();
          resolve(found);
          return true;
        },
        fail: (error) => {
          end();
          reject(error);
        },
      };
      const onAbort = () => waiter.fail(signal!.reason);
      signal?.addEventListener("abort", onAbort);
      const cancelTimer =
        wait === WAIT_FOREVER
          ? undefined
          : this.#clock.timer(wait * 1000, () => {
              end();
              resolve([]);
            });
      queue.waiters.add(waiter);
      try {
        options.onWait?.();
      } catch (error) {
        waiter.fail(error);
      }
    });
  }

  #takeNext(owner: AqOwner, queue: Queue, options: DequeueOptions): DequeuedMessage[] {
    const matches = correlationMatcher(options.correlation);
    const max = options.max ?? 1;
    const taken: DequeuedMessage[] = [];
    let cursor = owner.cursors.get(queue);
    let fresh = false;
    if (!cursor || options.navigation !== NAVIGATION.next) {
      cursor = { scn: this.#scn, after: undefined };
      fresh = true;
    }
    for (;;) {
      for (const row of queue.rows(cursor.after)) {
        if (taken.length === max) break;
        // One's own uncommitted rows belong to every snapshot.
        if (row.visibleScn > cursor.scn && row.uncommitted !== owner) continue;
        if (!matches(row.properties.correlation)) continue;
        if (!this.#isAvailable(owner, queue, row)) continue;
        cursor.after = row;
        taken.push(this.#take(owner, queue, row, options));
      }
      if (taken.length > 0 || fresh) break;
      // The snapshot is exhausted: NEXT_MESSAGE takes a new one. Who browses has removed nothing and
      // goes on behind what was seen: such a loop ends with ORA-25228.
      cursor = {
        scn: this.#scn,
        after: options.mode === MODE.browse ? cursor.after : undefined,
      };
      fresh = true;
    }
    owner.cursors.set(queue, cursor);
    return taken;
  }

  #isAvailable(owner: AqOwner, queue: Queue, row: QueueRow): boolean {
    if (row.gone || (row.uncommitted !== null && row.uncommitted !== owner)) return false;
    if (row.lockedBy !== null && row.lockedBy !== owner) return false;
    if (row.state === STATE.processed) return false;
    const now = this.#clock.now();
    if (row.readyAt > now) return false;
    if (row.expiresAt <= now && !queue.isExceptionQueue) {
      if (row.uncommitted === null && row.lockedBy === null) this.#exile(queue, row);
      return false;
    }
    return true;
  }

  #take(owner: AqOwner, queue: Queue, row: QueueRow, options: DequeueOptions): DequeuedMessage {
    const mode = options.mode ?? MODE.remove;
    const message = dequeued(row);
    if (mode === MODE.browse) return message;
    if (options.immediate) {
      if (mode !== MODE.locked) queue.remove(row);
      return message;
    }
    const { lockedBy, state } = row;
    const locks = lockedBy === null ? 1 : 0;
    row.lockedBy = owner;
    owner.lockedMessages += locks;
    if (mode === MODE.locked) {
      const unlock = () => {
        row.lockedBy = lockedBy;
        owner.lockedMessages -= locks;
        if (lockedBy === null) this.#available(queue, row);
      };
      owner.transaction.add({ undo: unlock, commit: unlock });
      return message;
    }
    row.state = STATE.processed;
    owner.transaction.add({
      undo: (cause) => {
        row.lockedBy = lockedBy;
        row.state = state;
        owner.lockedMessages -= locks;
        if (row.uncommitted === null) this.#returned(queue, row, cause);
      },
      commit: () => {
        owner.lockedMessages -= locks;
        queue.remove(row);
      },
    });
    return mode === MODE.removeNoData ? { ...message, payload: Buffer.alloc(0) } : message;
  }

  /** A dequeued message comes back. */
  #returned(queue: Queue, row: QueueRow, cause: UndoCause): void {
    const counts =
      cause === "rollback" || (cause === "lost" && this.#options.lostSessionCountsAttempt);
    if (counts && !queue.isExceptionQueue) {
      row.attempts += 1;
      if (row.attempts > queue.maxRetries) {
        this.#exile(queue, row);
        return;
      }
      if (queue.retryDelay > 0) {
        row.readyAt = this.#clock.now() + queue.retryDelay * 1000;
        row.state = STATE.waiting;
      }
    }
    this.#available(queue, row);
  }

  /** Moves a message to the exception queue. It keeps its id, its order and its attempts. */
  #exile(queue: Queue, row: QueueRow): void {
    queue.remove(row);
    const own = row.properties.exceptionQueue;
    const target = (own && this.#queues.get(own)) || this.queue(queue.exceptionQueue);
    const exiled: QueueRow = {
      ...row,
      state: STATE.expired,
      lockedBy: null,
      visibleScn: ++this.#scn,
      readyAt: 0,
      gone: false,
    };
    target.insert(exiled);
    this.#available(target, exiled);
    this.wake();
  }

  /** The row may have become available now, or will later. */
  #available(queue: Queue, row: QueueRow): void {
    if (row.readyAt > this.#clock.now()) {
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
    const now = this.#clock.now();
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

  commit(owner: AqOwner): void {
    owner.transaction.commit();
    this.wake();
  }

  rollback(owner: AqOwner, cause: UndoCause = "rollback"): void {
    owner.transaction.rollback(cause);
    this.wake();
  }

  messages(queue: Queue): MessageView[] {
    this.sweep();
    return [...queue.rows()].map((row) => ({
      ...dequeued(row),
      status: statusOf(row, this.#clock.now()),
    }));
  }

  /** Committed messages that are not finally gone, whoever has locked them. */
  depth(queue: Queue): number {
    this.sweep();
    let count = 0;
    for (const row of queue.rows()) if (row.uncommitted === null) count += 1;
    return count;
  }

  /** Stops the timer. Waiting dequeues are ended by their sessions. */
  close(): void {
    this.#due.close();
  }
}

function notEnabled(queue: Queue): OraError {
  return new OraError(25226, `dequeue failed, queue ${queue.name} is not enabled for dequeue`);
}

function requirePayload(queue: Queue, kind: PayloadKind): void {
  if (queue.payload !== kind) {
    throw new OraError(25215, `user_data type and queue type do not match`);
  }
}

function statusOf(row: QueueRow, now: number): MessageView["status"] {
  if (row.uncommitted !== null) return "uncommitted";
  if (row.lockedBy !== null) return "locked";
  return row.readyAt > now ? "waiting" : "ready";
}

/** LIKE without an escape character. */
function correlationMatcher(pattern: string | undefined): (correlation: string) => boolean {
  if (!pattern) return () => true;
  const source = pattern
    .replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
    .replaceAll("%", ".*")
    .replaceAll("_", ".");
  const expression = new RegExp(`^${source}$`, "s");
  return (correlation) => expression.test(correlation);
}
