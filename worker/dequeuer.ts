/**
 * The next batch of one queue. What the driver cannot decode must neither be lost nor hold up the
 * rest: after such a failure the batch is rolled back and dequeued one by one, and the message that
 * fails again goes through a PL/SQL dequeue.
 */
import { sleep } from "../common/backoff.ts";
import type { RateLimitedLog } from "../common/logger.ts";
import type { BatchSizer } from "./batch-sizer.ts";
import type { Dequeued } from "./decode.ts";
import type { KnownQueue } from "./known-queue.ts";
import { classifyOracleError } from "./oracle-errors.ts";
import { dequeueTextByBlock } from "./plsql-dequeue.ts";
import type { Session } from "./session.ts";

/**
 * PL/SQL dequeues after a message that the driver cannot decode. With a retry_delay the queue hides
 * that message for a while, and others come first.
 */
const TEXT_TURNS = 100;
/** Pause between two failures on a message that nothing here can read, ms. */
const UNREADABLE_PAUSE_MS = 100;

export class Dequeuer {
  readonly #session: Session;
  readonly #known: KnownQueue;
  readonly #sizer: BatchSizer;
  readonly #warnings: RateLimitedLog;
  /** Messages still to be dequeued one at a time. */
  #singles = 0;
  /** PL/SQL dequeues still to be made, until a message comes with so many attempts. */
  #texts = { turns: 0, attempts: 0 };
  #textImpossible = false;

  constructor(session: Session, known: KnownQueue, sizer: BatchSizer, warnings: RateLimitedLog) {
    this.#session = session;
    this.#known = known;
    this.#sizer = sizer;
    this.#warnings = warnings;
  }

  /**
   * Up to a batch of messages, in the session's transaction; waits up to `waitMs` for the first.
   * Empty: nothing came, or the batch was rolled back and comes again.
   */
  async next(waitMs: number): Promise<Dequeued[]> {
    const { name, kind, consumer } = this.#known;
    if (this.#texts.turns > 0) return this.#suspect(waitMs);
    const single = this.#singles > 0;
    if (single) this.#singles--;
    const max = single ? 1 : this.#sizer.next();
    if (kind === "JMS_TEXT") return this.#textBatch(max, waitMs);
    try {
      return await this.#session.dequeue({ name, kind, consumer }, max, waitMs);
    } catch (error) {
      if (classifyOracleError(error).class !== "payload") throw error;
      await this.#recover(error, max, single);
      return [];
    }
  }

  /**
   * Has a batch of that size, which was rolled back, dequeued one by one: what could not be settled
   * then spoils no neighbour. A single one that fails again does not shorten the series.
   */
  isolate(batchSize: number): void {
    this.#singles = Math.max(this.#singles + 1, batchSize);
  }

  async #recover(error: unknown, max: number, single: boolean): Promise<void> {
    this.#warnings.warn(
      "undecodable",
      { err: error, batch: max },
      "the driver cannot decode a message; dequeuing one by one",
    );
    // The database has dequeued the batch although the driver threw it away, and the driver does
    // not know that a transaction is open.
    await this.#session.rollback();
    if (max > 1) this.#singles = max;
    else if (!this.#textImpossible) {
      // Rolled back once here, and once before when it was part of a batch.
      this.#texts = { turns: TEXT_TURNS, attempts: single ? 2 : 1 };
    } else await sleep(UNREADABLE_PAUSE_MS);
  }

  /** One PL/SQL dequeue in search of the message that the driver cannot decode. */
  async #suspect(waitMs: number): Promise<Dequeued[]> {
    this.#texts.turns--;
    let batch: Dequeued[];
    try {
      batch = await this.#textBatch(1, waitMs);
    } catch (error) {
      if (classifyOracleError(error).code !== "ORA-06550") throw error;
      this.#warnings.warn(
        "unreadable",
        { err: error },
        "no PL/SQL dequeue here either (EXECUTE on DBMS_AQ is missing): max_retries will move the " +
          "message to the exception queue",
      );
      this.#textImpossible = true;
      this.#texts.turns = 0;
      return [];
    }
    if ((batch[0]?.attempts ?? 0) >= this.#texts.attempts) this.#texts.turns = 0;
    return batch;
  }

  async #textBatch(max: number, waitMs: number): Promise<Dequeued[]> {
    const { name, kind, consumer, textByApi, api } = this.#known;
    const batch: Dequeued[] = [];
    // A stop must not roll back what is dequeued already, so it only ends the collecting.
    while (batch.length < max && !(batch.length > 0 && this.#session.isInterrupted)) {
      const request = {
        queueName: name,
        kind,
        consumer,
        waitMs: batch.length === 0 ? waitMs : 0,
      };
      const next = textByApi
        ? await api!.dequeueText(request)
        : await dequeueTextByBlock(this.#session, request);
      if (!next) break;
      batch.push(next);
    }
    return batch;
  }
}
