/**
 * One queue: sessions one after the other, and on each the loop of dequeue and settlement. Nothing
 * is rolled back while the relay is away: a rollback counts towards max_retries and would exile
 * good messages.
 */
import { type Bounds, retryForever, sleep } from "../common/backoff.ts";
import { type Logger, RateLimitedLog } from "../common/logger.ts";
import type { Publisher } from "../relay/contract/publisher.ts";
import { BatchSizer } from "./batch-sizer.ts";
import type { QueueConfig, WorkerConfig } from "./config.ts";
import { bodySize, type Dequeued } from "./decode.ts";
import { Dequeuer } from "./dequeuer.ts";
import { FencedError, LogLostError } from "./hand-over.ts";
import { type KnownQueue, prepareQueue, takerOf } from "./known-queue.ts";
import { type Logon, LogonRefusedError } from "./logon.ts";
import type { WorkerMetrics } from "./metrics.ts";
import { Notifier } from "./notifier.ts";
import { classifyOracleError } from "./oracle-errors.ts";
import { type PoisonStore, PoisonUnkeptError } from "./poison-file.ts";
import { QueueState } from "./queue-state.ts";
import { revocationsInForce } from "./revocations.ts";
import type { Session } from "./session.ts";
import { SessionHungError } from "./session-errors.ts";
import { Settlement } from "./settlement.ts";

/** How long one attempt to get the lease waits in the database. */
export const LEASE_WAIT_MS = 10_000;

const QUICK: Bounds = { baseMs: 200, capMs: 30_000 };
const SLOW: Bounds = { floorMs: 30_000, baseMs: 60_000, capMs: 600_000 };
/** The longest wait between two sessions, ms. */
export const LONGEST_BACKOFF_MS = SLOW.capMs;
const QUEUE_STATE: Bounds = { floorMs: 2_000, baseMs: 5_000, capMs: 60_000 };
/** The logon itself keeps the long waits; this only looks whether the password has changed. */
const REFUSED: Bounds = { floorMs: 5_000, baseMs: 10_000, capMs: 10_000 };

/** Our queue allows 1000 rollbacks: so many are made at once, more only where a queue allows more. */
const UNKEPT_QUICK = 1_000;
const UNKEPT_SHORT_PAUSE_MS = 5;
const UNKEPT_PAUSE_MS = 1_000;

/** Only looks whether the log is heard again. */
const LOG_LOST: Bounds = { baseMs: 500, capMs: 2_000 };

/** Bounds of the wait before the next session, by the error that ended the last. */
export function boundsOf(error: unknown): Bounds {
  if (error instanceof LogonRefusedError) return REFUSED;
  if (error instanceof LogLostError) return LOG_LOST;
  const { class: errorClass } = classifyOracleError(error);
  if (errorClass === "configuration") return SLOW;
  return errorClass === "queue_state" ? QUEUE_STATE : QUICK;
}

export interface ConsumerOptions {
  readonly logon: Logon;
  readonly queue: QueueConfig;
  readonly worker: WorkerConfig;
  readonly publisher: Publisher;
  readonly poisonStore: PoisonStore;
  readonly metrics: WorkerMetrics;
  readonly log: Logger;
  /**
   * False while this node's relay does not hear the log that it shares with other nodes: one of those
   * should lead. A batch in hand is then given up with its session, which costs it no attempt.
   */
  readonly mayLead?: () => boolean;
  /** Bounds of the retries of a hand-over, for tests. */
  readonly holdBounds?: Bounds;
  /** Bounds of the waits between sessions, for tests. */
  readonly sessionBounds?: (error: unknown) => Bounds;
}

export class QueueConsumer {
  readonly state: QueueState;
  /** As configured; with a consumer `QUEUE:CONSUMER`. */
  readonly queueName: string;
  /** What is known of the queue; undefined until the first session has looked. */
  known: KnownQueue | undefined;
  /** The database's clock minus ours, ms; the side connection keeps it current. */
  clockOffsetMs: number | undefined;
  readonly #options: ConsumerOptions;
  readonly #log: Logger;
  readonly #warnings: RateLimitedLog;
  /** For the same failure again and again. */
  readonly #failures: RateLimitedLog;
  #session: Session | undefined;
  #progress = false;
  #hasLed = false;
  /** Rollbacks in a row because of poison that cannot be kept. */
  #unkept = 0;

  constructor(options: ConsumerOptions) {
    this.#options = options;
    this.queueName = takerOf(options.queue);
    this.#log = options.log.child({ queue: this.queueName });
    this.#warnings = new RateLimitedLog(this.#log);
    this.#failures = new RateLimitedLog(this.#log, 60_000);
    this.state = new QueueState(this.queueName, options.metrics);
  }

  /**
   * Runs until the signal is aborted. The batch in hand is settled first; one that the relay cannot
   * take is rolled back, once. Rejects only for a programming error.
   */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await retryForever(() => this.#sessions(signal), {
        signal,
        bounds: this.#options.sessionBounds ?? boundsOf,
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

  /** Replaces the session before the next dequeue, in case that it has gone deaf. */
  renewSession(): void {
    this.#session?.retire();
  }

  #reportFailure(error: Error, attempt: number, delayMs: number): void {
    const { metrics } = this.#options;
    const queue = this.queueName;
    const { code, class: errorClass, advice } = classifyOracleError(error);
    metrics.reconnects.inc({ queue, reason: errorClass });
    if (error instanceof SessionHungError) metrics.abandoned.inc({ queue });
    this.state.set("backoff", code);
    const fields = { err: error, errorClass, attempt, delayMs, advice };
    if (errorClass === "configuration" && attempt === 1) {
      this.#log.error(fields, "the database or its configuration refuses this worker");
    } else this.#failures.warn(`${errorClass} ${code}`, fields, "database session failed");
  }

  /** One session after the other, until the stop or an error. */
  async #sessions(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#checkMayLead();
      this.state.set("connecting");
      const session = await this.#options.logon.open({
        action: `dequeue ${this.queueName}`.slice(0, 32),
        log: this.#log,
        signal,
        onStep: () => this.state.move(),
      });
      this.#session = session;
      const interrupt = () => session.interruptWait();
      signal.addEventListener("abort", interrupt);
      try {
        await this.#consume(session, signal);
        await session.close();
      } catch (error) {
        // A rollback would count as an attempt of every message in hand.
        if (error instanceof LogLostError || error instanceof FencedError) session.abandon();
        else await session.discard();
        throw error;
      } finally {
        signal.removeEventListener("abort", interrupt);
        this.#session = undefined;
      }
    }
  }

  async #consume(session: Session, signal: AbortSignal): Promise<void> {
    const { worker, queue } = this.#options;
    const known = await prepareQueue(session, queue, worker, this.#warnings);
    this.known = known;
    this.clockOffsetMs = known.clockOffsetMs;
    let fence: number | undefined;
    if (known.leasePossible) fence = await this.#lead(known, signal);
    else if (worker.lease === "auto") this.#warnNoLease();
    const sizer = new BatchSizer(queue.batch, session.serverVersion);
    const dequeuer = new Dequeuer(session, known, sizer, this.#warnings);
    const settlement = new Settlement({
      ...this.#options,
      session,
      known,
      fence,
      queue: this.queueName,
      warnings: this.#warnings,
      clockOffsetMs: () => this.clockOffsetMs,
      onAttempt: () => this.state.move(),
      onHold: () => this.state.set("holding", "RTM_RELAY_UNAVAILABLE"),
    });
    await settlement.tell(await revocationsInForce(known, this.#warnings), signal);
    this.#log.info({ kind: known.kind, lease: known.leasePossible }, "dequeuing");
    const notifier =
      queue.mode === "notify" ? new Notifier(known.taker, this.#warnings) : undefined;
    try {
      while (!signal.aborted && !session.isOld) {
        this.#checkMayLead();
        this.state.set("active");
        notifier?.rearm();
        const batch = await dequeuer.next(notifier ? 0 : queue.wait);
        this.#progress = true;
        this.state.tick();
        if (batch.length > 0) {
          this.state.received();
          sizer.observe(
            batch.length,
            batch.reduce((bytes, { body }) => bytes + bodySize(body), 0),
          );
          await this.#settle(batch, { settlement, session, dequeuer, signal });
        } else if (notifier) {
          await notifier.ensure(session);
          await notifier.wait(queue.wait, signal);
        }
      }
      await notifier?.close(session);
    } finally {
      await notifier?.close(undefined);
    }
  }

  /**
   * What can be delivered is settled, alone if need be. A message that can neither be delivered nor
   * kept is rolled back, again and again, until max_retries moves it to the exception queue: there
   * nothing of it is lost. The first rollback concerns its batch, the others it alone.
   */
  async #settle(
    batch: readonly Dequeued[],
    {
      settlement,
      session,
      dequeuer,
      signal,
    }: { settlement: Settlement; session: Session; dequeuer: Dequeuer; signal: AbortSignal },
  ): Promise<void> {
    try {
      await settlement.settle(batch, signal);
      this.#unkept = 0;
    } catch (error) {
      if (!(error instanceof PoisonUnkeptError)) throw error;
      this.#options.metrics.unkept.inc({ queue: this.queueName });
      this.#warnings.warn(
        "unkept",
        { err: error },
        "poison can be kept nowhere: it stays in the queue until max_retries moves it to the exception queue",
      );
      await session.rollback();
      dequeuer.isolate(batch.length);
      const pauseMs = ++this.#unkept > UNKEPT_QUICK ? UNKEPT_PAUSE_MS : UNKEPT_SHORT_PAUSE_MS;
      await sleep(pauseMs, signal).catch(() => {});
    }
  }

  #checkMayLead(): void {
    if (this.#options.mayLead?.() === false) throw new LogLostError();
  }

  #warnNoLease(): void {
    this.#failures.warn(
      "lease",
      {},
      "no lease here (RTM_WORKER_API and EXECUTE on DBMS_LOCK give it): run only one worker for this queue",
    );
  }

  #warnLeaseHeld(): void {
    this.#failures.warn(
      "lease held",
      {},
      "nothing is dequeued: another session holds the lease of this queue, a lost one of ours that " +
        'the database has not noticed (docs/operations.md, "The database hangs"), or a second worker ' +
        "(then worker.standby has to be true on both)",
    );
  }

  /**
   * Waits until this session holds the queue's lease: as a standby, or, in a node alone, for the
   * session that has it to end. A node that has led before says so only after the first wait: its lost
   * session may hold the lease for a moment more.
   * @returns the number of this holder of the lease; undefined without a lease
   */
  async #lead(known: KnownQueue, signal: AbortSignal): Promise<number | undefined> {
    for (let waitMs = this.#hasLed ? LEASE_WAIT_MS : 0; ; waitMs = LEASE_WAIT_MS) {
      signal.throwIfAborted();
      const outcome = await known.api!.acquireLease(known.name, waitMs, known.leasedAs);
      this.#progress = true;
      this.state.tick();
      this.#hasLed = outcome === "ACQUIRED";
      if (outcome === "ACQUIRED") return known.api!.leaseToken(known.name);
      if (outcome === "NO_GRANT") {
        this.#warnNoLease();
        return undefined;
      }
      if (!this.#options.worker.standby) this.#warnLeaseHeld();
      else if (this.state.name !== "standby") {
        this.#log.info(
          "another session holds the lease: an active worker, or a session of a lost one that the " +
            "database has not noticed yet",
        );
      }
      this.state.set("standby");
    }
  }
}
