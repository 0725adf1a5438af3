/**
 * The dequeue loop of one queue: dequeue, decode, hand over, settle.
 *
 * A message is settled (committed) only after the relay has it, so a crash at any point gives a
 * duplicate, which the relay drops by id, and never a loss. Nothing is rolled back while the relay
 * is away: a rollback counts towards max_retries and would exile good messages.
 */
import { type Bounds, retryForever } from "../common/backoff.ts";
import { type Logger, RateLimitedLog } from "../common/logger.ts";
import type { Message } from "../relay/message.ts";
import type { Publisher } from "../relay/publisher.ts";
import { BatchSizer } from "./batch-sizer.ts";
import type { DatabaseConfig, QueueConfig, WorkerConfig } from "./config.ts";
import { type Dequeued, decode, type Poison, type Resolved, withClaim } from "./decode.ts";
import { handOver, type Settled } from "./hand-over.ts";
import { dequeueTextByBlock } from "./jms.ts";
import type { WorkerMetrics } from "./metrics.ts";
import { classifyOracleError, type ErrorClass } from "./oracle-errors.ts";
import type { PoisonStore } from "./poison.ts";
import { prepareQueue, type QueueAccess } from "./queue-access.ts";
import { Session, SessionAbandonedError, SessionHungError } from "./session.ts";
import { QueueState } from "./state.ts";

/** How long one attempt to get the lease waits in the database. */
export const LEASE_WAIT_MS = 10_000;

const QUICK: Bounds = { baseMs: 200, capMs: 30_000 };
/** A wrong password tried often locks the account. */
const SLOW: Bounds = { baseMs: 60_000, capMs: 600_000 };
/** The longest wait between two sessions. */
export const LONGEST_BACKOFF_MS = SLOW.capMs;

/** Bounds of the wait before the next session, by the class of the error that ended the last. */
export function boundsOf(errorClass: ErrorClass): Bounds {
  if (errorClass === "configuration") return SLOW;
  return errorClass === "queue_state" ? { baseMs: 5_000, capMs: 60_000 } : QUICK;
}

export interface ConsumerOptions {
  readonly database: DatabaseConfig;
  readonly queue: QueueConfig;
  readonly worker: WorkerConfig;
  readonly publisher: Publisher;
  readonly poisonStore: PoisonStore;
  readonly metrics: WorkerMetrics;
  readonly log: Logger;
  /** Bounds of the retries of a hand-over. */
  readonly holdBounds?: Bounds;
  /** Bounds of the waits between sessions, for tests. */
  readonly sessionBounds?: (errorClass: ErrorClass) => Bounds;
}

export class QueueConsumer {
  readonly state: QueueState;
  readonly queueName: string;
  /** What is known of the queue; undefined until the first session has looked. */
  access: QueueAccess | undefined;
  readonly #options: ConsumerOptions;
  readonly #log: Logger;
  readonly #warnings: RateLimitedLog;
  #progress = false;
  /** Messages still to be dequeued one at a time, after the driver failed on a batch. */
  #singles = 0;

  constructor(options: ConsumerOptions) {
    this.#options = options;
    this.queueName = options.queue.name;
    this.#log = options.log.child({ queue: options.queue.name });
    this.#warnings = new RateLimitedLog(this.#log);
    this.state = new QueueState(options.queue.name, options.metrics);
  }

  /**
   * Runs until the signal is aborted. The batch in hand is settled first; one that the relay cannot
   * take is rolled back, once. Rejects only for a programming error.
   */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await retryForever(() => this.#sessions(signal), {
        signal,
        bounds: (error) => {
          const errorClass = this.#classOf(error);
          return (this.#options.sessionBounds ?? boundsOf)(errorClass);
        },
        madeProgress: () => {
          const progress = this.#progress;
          this.#progress = false;
          return progress;
        },
        onRetry: ({ error, attempt, delayMs }) => this.#reportFailure(error, attempt, delayMs),
      });
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.state.set("stopped");
    }
  }

  #classOf(error: Error): ErrorClass {
    return error instanceof SessionHungError || error instanceof SessionAbandonedError
      ? "session_lost"
      : classifyOracleError(error).class;
  }

  #reportFailure(error: Error, attempt: number, delayMs: number): void {
    const { metrics, queue } = this.#options;
    const { code, advice } = classifyOracleError(error);
    const errorClass = this.#classOf(error);
    metrics.reconnects.inc({ queue: queue.name, reason: errorClass });
    this.state.set("backoff", (error as { code?: string }).code ?? code);
    const level = errorClass === "configuration" && attempt === 1 ? "error" : "warn";
    this.#log[level](
      { err: error, errorClass, attempt, delayMs, advice },
      "database session failed",
    );
  }

  /** One session after the other, until the stop or an error. */
  async #sessions(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.state.set("connecting");
      const { database, queue } = this.#options;
      const session = await Session.open(database, {
        action: `dequeue ${queue.name}`.slice(0, 32),
        log: this.#log,
        onStep: () => this.state.move(),
      });
      const interrupt = () => session.interruptWait();
      signal.addEventListener("abort", interrupt);
      try {
        await this.#consume(session, signal);
        await session.close();
      } catch (error) {
        await session.discard();
        if (signal.aborted) return;
        // Somebody cancelled the call from outside: a new session at once.
        if (classifyOracleError(error).class !== "cancelled") throw error;
      } finally {
        signal.removeEventListener("abort", interrupt);
      }
    }
  }

  async #consume(session: Session, signal: AbortSignal): Promise<void> {
    const { worker, queue, metrics } = this.#options;
    const access = await prepareQueue(session, queue, worker, this.#warnings);
    this.access = access;
    if (access.clockOffsetMs !== undefined) metrics.clockOffset.set(access.clockOffsetMs / 1000);
    if (access.leasePossible) await this.#lead(access, signal);
    const sizer = new BatchSizer(queue.batch, session.serverVersion);
    this.#log.info({ kind: access.kind, lease: access.leasePossible }, "dequeuing");
    while (!signal.aborted && !session.isOld) {
      this.state.set("active");
      const batch = await this.#dequeue(session, access, sizer);
      this.#progress = true;
      this.state.tick();
      if (batch.length > 0) await this.#settle(session, access, batch, sizer, signal);
    }
  }

  /** Waits, as a standby, until this session holds the queue's lease. */
  async #lead(access: QueueAccess, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const outcome = await access.api!.acquireLease(access.name, LEASE_WAIT_MS);
      this.#progress = true;
      this.state.tick();
      if (outcome === "ACQUIRED") return;
      if (outcome === "NO_GRANT") {
        this.#warnings.warn("lease", {}, "no lease here: run only one worker for this queue");
        return;
      }
      this.state.set("standby");
    }
  }

  async #dequeue(session: Session, access: QueueAccess, sizer: BatchSizer): Promise<Dequeued[]> {
    const { name, kind, consumer } = access;
    const { wait } = this.#options.queue;
    if (kind === "JMS_TEXT") return this.#dequeueTexts(session, access, sizer.next());
    const source = { name, kind, consumer };
    const max = this.#singles > 0 ? 1 : sizer.next();
    if (this.#singles > 0) this.#singles--;
    try {
      return await session.dequeue(source, max, wait);
    } catch (error) {
      if (classifyOracleError(error).class !== "payload") throw error;
      this.#warnings.warn(
        "undecodable",
        { err: error, batch: max },
        "the driver cannot decode a message; dequeuing one by one",
      );
      // The database has dequeued the batch although the driver threw it away.
      await session.rollback();
      if (max > 1) {
        this.#singles = max;
        return [];
      }
      return this.#dequeueTexts(session, access, 1);
    }
  }

  async #dequeueTexts(session: Session, access: QueueAccess, max: number): Promise<Dequeued[]> {
    const batch: Dequeued[] = [];
    const request = { queueName: access.name, kind: access.kind, consumer: access.consumer };
    while (batch.length < max) {
      const waitMs = batch.length === 0 ? this.#options.queue.wait : 0;
      const next = access.textByApi
        ? await access.api!.dequeueText({ ...request, waitMs })
        : await dequeueTextByBlock(session, { ...request, waitMs });
      if (!next) break;
      batch.push(next);
    }
    return batch;
  }

  async #settle(
    session: Session,
    access: QueueAccess,
    batch: readonly Dequeued[],
    sizer: BatchSizer,
    signal: AbortSignal,
  ): Promise<void> {
    const { publisher, queue, worker, metrics, holdBounds } = this.#options;
    const decoded = await this.#decodeAll(access, batch);
    const messages = decoded.flatMap((each) => (each.kind === "message" ? [each.message] : []));
    const poison = decoded.flatMap((each) => (each.kind === "poison" ? [each.poison] : []));
    const settled = await handOver(messages, {
      publisher,
      signal,
      ping: () => session.ping(),
      pingMs: worker.holdPing,
      bounds: holdBounds ?? { baseMs: 100, capMs: 5_000 },
      onAttempt: () => this.state.move(),
      onHold: (error) => {
        metrics.retries.inc({ queue: queue.name });
        this.state.set("holding", "RTM_RELAY_UNAVAILABLE");
        this.#warnings.warn("hold", { err: error, messages: messages.length }, "holding a batch");
      },
    });
    const delivered = this.#sort(messages, settled, poison);
    for (const each of poison) await this.#setAside(access, each);
    await this.#deleteClaims(access, decoded);
    if (worker.receipts && delivered.length > 0) await this.#writeReceipts(access, delivered);
    await session.commit();
    metrics.batches.inc({ queue: queue.name });
    metrics.batchSize.observe({ queue: queue.name }, batch.length);
    sizer.observe(
      batch.length,
      messages.reduce((bytes, message) => bytes + message.payload.length, 0),
    );
    this.#observeLatency(access, messages);
  }

  async #decodeAll(access: QueueAccess, batch: readonly Dequeued[]): Promise<ClaimedDecoded[]> {
    const now = Date.now();
    const decoded: ClaimedDecoded[] = [];
    for (const dequeued of batch) {
      const first = decode(dequeued, access.foreign, now);
      if (first.kind === "claim") {
        const text = await access.api?.claim(first.claimId);
        decoded.push({ ...withClaim(first, text), claimId: first.claimId });
      } else decoded.push(first);
    }
    return decoded;
  }

  /** Sorts the relay's answers: what it rejected joins the poison, the rest was delivered. */
  #sort(
    messages: readonly Message[],
    settled: readonly Settled[],
    poison: Poison[],
  ): { id: string; recipients: number }[] {
    const { metrics, queue } = this.#options;
    const delivered: { id: string; recipients: number }[] = [];
    for (const [index, result] of settled.entries()) {
      const message = messages[index]!;
      if (result.status === "rejected") {
        const { id, channel, eventName, payload } = message;
        const reason = `${result.code}: ${result.message}`;
        poison.push({ id, code: "rejected", reason, channel, eventName, payload });
        continue;
      }
      delivered.push({ id: message.id, recipients: result.recipients });
      const outcome = result.duplicate ? "duplicate" : "accepted";
      metrics.messages.inc({ queue: queue.name, result: outcome });
    }
    return delivered;
  }

  async #setAside(access: QueueAccess, poison: Poison): Promise<void> {
    const { metrics, poisonStore, queue } = this.#options;
    metrics.poison.inc({ queue: queue.name, reason: poison.code });
    metrics.messages.inc({ queue: queue.name, result: "poison" });
    const { id, code, reason, channel, eventName } = poison;
    this.#warnings.warn(`poison ${code}`, { id, code, reason, channel, eventName }, "poison");
    if (access.api) {
      try {
        await access.api.setAside(access.name, poison);
        return;
      } catch (error) {
        if (this.#classOf(error as Error) === "session_lost") throw error;
        this.#warnings.warn(
          "set_aside",
          { err: error },
          "RTM_LOG cannot keep poison; using the file",
        );
      }
    }
    await poisonStore.keep(access.name, poison);
  }

  async #deleteClaims(access: QueueAccess, decoded: readonly ClaimedDecoded[]): Promise<void> {
    const claims = decoded.flatMap(({ claimId }) => (claimId === undefined ? [] : [claimId]));
    if (claims.length > 0) await access.api!.deleteClaims(claims);
  }

  async #writeReceipts(
    access: QueueAccess,
    delivered: readonly { id: string; recipients: number }[],
  ): Promise<void> {
    const error = access.api ? await access.api.receipts(delivered) : "no RTM_WORKER_API here";
    if (error === null) return;
    this.#options.metrics.receiptErrors.inc({ queue: this.#options.queue.name });
    this.#warnings.warn("receipts", { error }, "receipts were not written; delivery goes on");
  }

  /** From the call to here, by the database's clock; a foreign queue's `ts` is our own clock. */
  #observeLatency(access: QueueAccess, messages: readonly Message[]): void {
    if (access.foreign || access.clockOffsetMs === undefined) return;
    const now = Date.now() + access.clockOffsetMs;
    for (const { ts } of messages) {
      const seconds = Math.max(0, now - ts) / 1000;
      this.#options.metrics.latency.observe({ queue: this.#options.queue.name }, seconds);
    }
  }
}

type ClaimedDecoded = Resolved & { readonly claimId?: string };
