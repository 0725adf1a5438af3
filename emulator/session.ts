/** Database sessions. */
import type { AqEngine } from "./aq/engine.ts";
import type { DequeuedMessage, MessageProperties, PayloadKind } from "./aq/message.ts";
import type { AqOwner, DequeueOptions } from "./aq/options.ts";
import type { Queue } from "./aq/queue.ts";
import { type Change, type Mark, Transaction } from "./aq/transaction.ts";
import { OraError } from "./errors.ts";
import type { LockMode, LockResult, UserLocks } from "./locks.ts";
import type { SessionIdentity } from "./net/handshake.ts";
import { decodeJson, encodeJson } from "./net/oson.ts";
import type { SessionAttributes } from "./net/ttc.ts";
import { Lobs } from "./sql/lobs.ts";
import type { Cells } from "./sql/rows.ts";

/** RAW: bytes or text (UTF-8). JSON: any value that JSON has. */
export type Payload = unknown;

/** A message as handlers and tests see it. */
export interface ReceivedMessage extends Omit<DequeuedMessage, "payload"> {
  /** RAW: a Buffer. JSON: the value. */
  readonly payload: Payload;
}

/**
 * One database session: identity, transaction, user locks, and AQ inside the transaction. Statement
 * handlers work through it, so that what they do is committed and rolled back with the caller's.
 */
export class Session implements AqOwner {
  readonly id: number;
  readonly identity: SessionIdentity;
  readonly attributes: SessionAttributes = {
    module: "",
    action: "",
    clientId: "",
    clientInfo: "",
    dbOp: "",
    ecid: "",
    currentSchema: "",
  };
  readonly lobs = new Lobs();
  readonly transaction = new Transaction();
  lockedMessages = 0;
  readonly cursors: AqOwner["cursors"] = new Map();
  /** Requests answered or under way, by call, e.g. `dequeue`, `commit`, `execute`. */
  readonly calls = new Map<string, number>();
  /** Called when a dequeue of this session begins to wait. */
  onWait: () => void = () => {};
  readonly #engine: AqEngine;
  readonly #locks: UserLocks;
  readonly #undefinedRows = new Map<string, Cells>();
  #waiting = false;
  #ended = false;

  constructor(id: number, identity: SessionIdentity, engine: AqEngine, locks: UserLocks) {
    this.id = id;
    this.identity = identity;
    this.#engine = engine;
    this.#locks = locks;
  }

  get user(): string {
    return this.identity.user;
  }

  /** Inside a dequeue that has found nothing yet. */
  get waiting(): boolean {
    return this.#waiting;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** All requests of this session so far, logon included. */
  get roundTrips(): number {
    let sum = 0;
    for (const count of this.calls.values()) sum += count;
    return sum;
  }

  /** OWNER.NAME in upper case, as an unquoted name resolves in this session. */
  resolve(name: string): string {
    const plain = name.includes('"') ? name.replaceAll('"', "") : name.toUpperCase();
    return plain.includes(".") ? plain : `${this.attributes.currentSchema || this.user}.${plain}`;
  }

  /** @throws OraError 24010 */
  queue(name: string): Queue {
    return this.#engine.queue(this.resolve(name));
  }

  #requireAlive(): void {
    if (this.#ended) throw new OraError(1012, "not logged on");
  }

  /** Rows of a query with LOB columns, until the client has said how it wants them. */
  keepUndefinedRows(sql: string, cells: Cells): void {
    this.#undefinedRows.set(sql, cells);
  }

  /** Those rows, once. @throws OraError 1001 */
  takeUndefinedRows(sql: string): Cells {
    const cells = this.#undefinedRows.get(sql);
    if (!cells) throw new OraError(1001, "invalid cursor");
    this.#undefinedRows.delete(sql);
    return cells;
  }

  /** Enqueues in this session's transaction and returns the message id. */
  enqueue(queueName: string, payload: Payload, properties: MessageProperties = {}): Buffer {
    this.#requireAlive();
    const queue = this.queue(queueName);
    const message = { payload: encodePayload(queue, payload), kind: queue.payload, properties };
    return this.#engine.enqueue(this, queue.name, [message])[0]!;
  }

  /** Dequeues in this session's transaction. Nothing within `wait` seconds: an empty array. */
  async dequeue(queueName: string, options: DequeueOptions = {}): Promise<ReceivedMessage[]> {
    const queue = this.queue(queueName);
    return (await this.dequeueBytes(queue.name, queue.payload, options)).map(received);
  }

  /** The same with the full name of the queue and the payload as it is on the wire. */
  async dequeueBytes(
    name: string,
    kind: PayloadKind,
    options: DequeueOptions,
  ): Promise<DequeuedMessage[]> {
    this.#requireAlive();
    try {
      return await this.#engine.dequeue(this, name, kind, {
        ...options,
        onWait: () => {
          this.#waiting = true;
          options.onWait?.();
          this.onWait();
        },
      });
    } finally {
      this.#waiting = false;
    }
  }

  /** Requests a user lock for this session, by default an exclusive one; a commit does not release it. */
  async lock(
    name: string,
    timeoutMs = 0,
    signal?: AbortSignal,
    mode?: LockMode,
  ): Promise<LockResult> {
    this.#requireAlive();
    return this.#locks.acquire(this, name, timeoutMs, signal, mode);
  }

  /** False when this session does not hold it. */
  unlock(name: string): boolean {
    return this.#locks.release(this, name);
  }

  /** Names of the user locks that it holds. */
  get locks(): string[] {
    return this.#locks.heldBy(this);
  }

  /** Makes a handler's own data transactional: see `Change`. */
  change(change: Change): void {
    this.#requireAlive();
    this.transaction.add(change);
  }

  /** An autonomous transaction: committed when `run` returns, rolled back when it throws. */
  async autonomous<T>(run: (session: Session) => T | Promise<T>): Promise<T> {
    const inner = new Session(this.id, this.identity, this.#engine, this.#locks);
    try {
      const result = await run(inner);
      inner.commit();
      return result;
    } catch (error) {
      inner.rollback();
      throw error;
    }
  }

  /** COMMIT. User locks stay. */
  commit(): void {
    this.#engine.commit(this);
  }

  /** ROLLBACK: attempts of what was dequeued rise. User locks stay. */
  rollback(): void {
    this.#engine.rollback(this);
  }

  /** SAVEPOINT; a second one of the same name moves it. */
  savepoint(name: string): void {
    this.transaction.savepoint(name.toUpperCase());
  }

  /** Undoes what was done after the savepoint. Attempts do not rise. */
  rollbackTo(name: string): void {
    this.transaction.rollbackTo(name.toUpperCase());
    this.#engine.wake();
  }

  /** Undoes the changes of a statement that failed. */
  undoTo(mark: Mark): void {
    this.transaction.undoTo(mark);
    this.#engine.wake();
  }

  /** The session is over without commit or rollback. Its locks are free again. */
  lost(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#engine.rollback(this, "lost");
    this.#locks.releaseAll(this);
  }

  /** A normal logoff commits, as Oracle's does. */
  logoff(): void {
    if (this.#ended) return;
    this.commit();
    this.#ended = true;
    this.#locks.releaseAll(this);
  }
}

export function received(message: DequeuedMessage): ReceivedMessage {
  return message.kind === "JSON" ? { ...message, payload: decodeJson(message.payload) } : message;
}

export function encodePayload(queue: Queue, payload: Payload): Buffer {
  if (queue.payload === "JSON") return encodeJson(payload);
  if (typeof payload === "string") return Buffer.from(payload, "utf8");
  if (payload instanceof Uint8Array) return Buffer.from(payload);
  throw new OraError(25215, `user_data type and queue type do not match (${queue.name} is RAW)`);
}
