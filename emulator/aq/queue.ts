/** One queue: its rows in the order of dequeue, and who waits for one. */
import { OraError, ora } from "../errors.ts";
import { compareRows, type PayloadKind, type QueueRow } from "./message.ts";

export interface QueueDefinition {
  /** OWNER.NAME, upper case. */
  name: string;
  /** Queue table, in the same schema; it names the exception queue. */
  table: string;
  payload: PayloadKind;
  /** Rollbacks after which a message goes to the exception queue at the next one. Default 5. */
  maxRetries?: number;
  /** Seconds a rolled-back message waits before it can be dequeued again. Default 0. */
  retryDelay?: number;
  /** Of a multi-consumer queue: who gets a copy of each message. Default: single-consumer. */
  subscribers?: readonly string[];
}

/** A dequeue that waits. `attempt` tries again and returns true when it is satisfied. */
export interface Waiter {
  attempt(): boolean;
  fail(error: unknown): void;
}

/** The rows of one queue in dequeue order, and who waits for them. */
export class Queue {
  readonly name: string;
  readonly table: string;
  readonly payload: PayloadKind;
  readonly maxRetries: number;
  readonly retryDelay: number;
  readonly exceptionQueue: string;
  readonly isExceptionQueue: boolean;
  enqueueEnabled: boolean;
  dequeueEnabled: boolean;
  readonly waiters = new Set<Waiter>();
  /** Of a multi-consumer queue, whose own rows are theirs. */
  readonly subscribers: ReadonlyMap<string, Queue>;

  // Sorted by enqueue time and step. Rows that are gone stay until half of the array is.
  #rows: QueueRow[] = [];
  #head = 0;
  #gone = 0;

  constructor(definition: QueueDefinition, isExceptionQueue = false) {
    this.name = definition.name;
    this.table = definition.table;
    this.payload = definition.payload;
    this.maxRetries = definition.maxRetries ?? 5;
    this.retryDelay = definition.retryDelay ?? 0;
    this.isExceptionQueue = isExceptionQueue;
    const owner = definition.name.split(".")[0]!;
    this.exceptionQueue = `${owner}.AQ$_${definition.table}_E`;
    this.enqueueEnabled = !isExceptionQueue;
    this.dequeueEnabled = !isExceptionQueue;
    const { subscribers = [], ...rest } = definition;
    this.subscribers = new Map(
      subscribers.map((subscriber) => {
        const name = `${definition.name}:${subscriber.toUpperCase()}`;
        return [subscriber.toUpperCase(), new Queue({ ...rest, name })];
      }),
    );
  }

  /**
   * Where a dequeue finds its messages. @param consumer as the dequeue names it
   * @throws OraError 25231; 3001 for what was never seen on a real database
   */
  of(consumer: string | undefined): Queue {
    if (this.subscribers.size === 0) {
      if (consumer === undefined) return this;
      throw ora.unsupported("consumerName on a single-consumer queue");
    }
    if (consumer === undefined) {
      throw new OraError(25231, "cannot dequeue because CONSUMER_NAME not specified");
    }
    const copies = this.subscribers.get(consumer.toUpperCase());
    if (!copies) throw ora.unsupported(`dequeue by ${consumer}, who is no subscriber`);
    return copies;
  }

  /** Live rows. */
  get size(): number {
    return this.#rows.length - this.#gone;
  }

  /** Puts the row at its place in the order of dequeue. */
  insert(row: QueueRow): void {
    const rows = this.#rows;
    const last = rows[rows.length - 1];
    if (!last || compareRows(last, row) < 0) {
      rows.push(row);
      return;
    }
    const index = this.#indexAfter(row);
    rows.splice(index, 0, row);
    this.#head = Math.min(this.#head, index);
  }

  /** The row is gone for good. */
  remove(row: QueueRow): void {
    if (row.gone) return;
    row.gone = true;
    this.#gone += 1;
    const rows = this.#rows;
    while (this.#head < rows.length && rows[this.#head]!.gone) this.#head += 1;
    if (this.#gone > 64 && this.#gone * 2 > rows.length) {
      this.#rows = rows.filter((other) => !other.gone);
      this.#head = 0;
      this.#gone = 0;
    }
  }

  /** Live rows in order, after a position if one is given. Safe against `remove` while iterating. */
  *rows(after?: { enqueueTime: number; step: number }): Generator<QueueRow> {
    const rows = this.#rows;
    for (let i = after ? this.#indexAfter(after) : this.#head; i < rows.length; i++) {
      if (!rows[i]!.gone) yield rows[i]!;
    }
  }

  #indexAfter(position: { enqueueTime: number; step: number }): number {
    let low = 0;
    let high = this.#rows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareRows(this.#rows[middle]!, position) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
