/**
 * Advanced Queuing without sockets: queues, visibility, locks, attempts, expiration, waiting.
 *
 * Follows the Oracle documentation of DBMS_AQ for classic queues; each subscriber of a multi-consumer one
 * has a queue of copies. Where the
 * documentation is silent or two sources disagree, docs/emulator.md names the choice.
 */
import type { Clock } from "../clock.ts";
import { OraError } from "../errors.ts";
import {
  type DequeuedMessage,
  dequeued,
  type MessageProperties,
  messageId,
  type PayloadKind,
  type QueueRow,
  STATE,
} from "./message.ts";
import { ChangeNumber, QueueMonitor } from "./monitor.ts";
import {
  type AqOwner,
  type DequeueOptions,
  type EngineOptions,
  type MessageView,
  MODE,
  NAVIGATION,
  newOwner,
} from "./options.ts";
import { Queue, type QueueDefinition } from "./queue.ts";
import type { UndoCause } from "./transaction.ts";
import { waitFor } from "./wait.ts";

/** All queues of one emulator, whatever their schema. Names are OWNER.NAME, upper case. */
export class AqEngine {
  readonly #queues = new Map<string, Queue>();
  readonly #clock: Clock;
  readonly #monitor: QueueMonitor;
  readonly #scn = new ChangeNumber();
  #step = 0;
  #lastId = 0;

  constructor(options: EngineOptions) {
    this.#clock = options.clock;
    this.#monitor = new QueueMonitor(options, this.#scn, (name) => this.#queues.get(name));
  }

  /**
   * DBMS_AQADM.CREATE_QUEUE, started, with the exception queue of its table. @throws OraError 24006
   */
  createQueue(definition: QueueDefinition): Queue {
    if (!/^[^.]+\.[^.]+$/.test(definition.name)) {
      throw new TypeError(`createQueue: name must be OWNER.QUEUE, not "${definition.name}"`);
    }
    if (this.#queues.has(definition.name)) {
      throw new OraError(24006, `cannot create QUEUE, ${definition.name} already exists`);
    }
    const queue = new Queue(definition);
    for (const each of [queue, ...queue.subscribers.values()]) this.#queues.set(each.name, each);
    if (!this.#queues.has(queue.exceptionQueue)) {
      const exceptions = new Queue(
        { ...definition, subscribers: [], name: queue.exceptionQueue },
        true,
      );
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
    for (const { waiters } of [queue, ...queue.subscribers.values()]) {
      for (const waiter of [...waiters]) waiter.fail(notEnabled(queue));
    }
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
    const copies = queue.subscribers.size > 0 ? [...queue.subscribers.values()] : [queue];
    return messages.map((message) => {
      const id = messageId(++this.#lastId);
      for (const copy of copies) this.#enqueueRow(owner, copy, message, id);
      return id;
    });
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
    id: Buffer,
  ): void {
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
      id,
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
        row.visibleScn = this.#scn.next();
        this.#monitor.available(queue, row);
      },
    });
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
    const named = this.queue(name);
    if (!named.dequeueEnabled) throw notEnabled(named);
    requirePayload(named, kind);
    const queue = named.of(options.consumer);
    if (options.messageId) {
      const id = options.messageId;
      const row = [...queue.rows()].find((other) => other.id.equals(id));
      if (!row || !this.#monitor.isAvailable(owner, queue, row)) {
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
    const attempt = () => this.#takeNext(owner, queue, options);
    return waitFor(queue, attempt, { ...options, wait, clock: this.#clock });
  }

  #takeNext(owner: AqOwner, queue: Queue, options: DequeueOptions): DequeuedMessage[] {
    const matches = correlationMatcher(options.correlation);
    const max = options.max ?? 1;
    const taken: DequeuedMessage[] = [];
    let cursor = owner.cursors.get(queue);
    let fresh = false;
    if (!cursor || options.navigation !== NAVIGATION.next) {
      cursor = { scn: this.#scn.now, after: undefined };
      fresh = true;
    }
    for (;;) {
      for (const row of queue.rows(cursor.after)) {
        if (taken.length === max) break;
        // One's own uncommitted rows belong to every snapshot.
        if (row.visibleScn > cursor.scn && row.uncommitted !== owner) continue;
        if (!matches(row.properties.correlation)) continue;
        if (!this.#monitor.isAvailable(owner, queue, row)) continue;
        cursor.after = row;
        taken.push(this.#take(owner, queue, row, options));
      }
      if (taken.length > 0 || fresh) break;
      // The snapshot is exhausted: NEXT_MESSAGE takes a new one. Who browses has removed nothing and
      // goes on behind what was seen: such a loop ends with ORA-25228.
      cursor = {
        scn: this.#scn.now,
        after: options.mode === MODE.browse ? cursor.after : undefined,
      };
      fresh = true;
    }
    owner.cursors.set(queue, cursor);
    return taken;
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
        if (lockedBy === null) this.#monitor.available(queue, row);
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
        if (row.uncommitted === null) this.#monitor.returned(queue, row, cause);
      },
      commit: () => {
        owner.lockedMessages -= locks;
        queue.remove(row);
      },
    });
    return mode === MODE.removeNoData ? { ...message, payload: Buffer.alloc(0) } : message;
  }

  /** Makes the owner's work final, and serves who waits for it. */
  commit(owner: AqOwner): void {
    owner.transaction.commit();
    this.#monitor.wake();
  }

  /** Takes the owner's work back; what it had dequeued comes again, or is exiled. */
  rollback(owner: AqOwner, cause: UndoCause = "rollback"): void {
    owner.transaction.rollback(cause);
    this.#monitor.wake();
  }

  /** Serves who waits for what became available. Call it after a rollback to a savepoint. */
  wake(): void {
    this.#monitor.wake();
  }

  /** Live messages of a queue in the order of dequeue, uncommitted ones too. */
  messages(queue: Queue): MessageView[] {
    this.#monitor.sweep();
    return [...queue.rows()].map((row) => ({
      ...dequeued(row),
      status: statusOf(row, this.#clock.now()),
    }));
  }

  /** Committed messages that are not finally gone, whoever has locked them. */
  depth(queue: Queue): number {
    this.#monitor.sweep();
    let count = 0;
    for (const row of queue.rows()) if (row.uncommitted === null) count += 1;
    return count;
  }

  /** Stops the timer. Waiting dequeues are ended by their sessions. */
  close(): void {
    this.#monitor.close();
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
