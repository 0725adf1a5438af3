/**
 * From a dequeued batch to its commit: decode, hand over, set poison aside, receipts, commit. The
 * commit comes last, so a crash at any point before it gives a duplicate, which the relay drops by
 * id, and never a loss.
 */
import type { Bounds } from "../common/backoff.ts";
import { messageOf } from "../common/errors.ts";
import type { RateLimitedLog } from "../common/logger.ts";
import { type ControlItem, isControl } from "../relay/contract/control.ts";
import type { Message } from "../relay/contract/message.ts";
import type { Publisher } from "../relay/contract/publisher.ts";
import type { WorkerConfig } from "./config.ts";
import {
  type ClaimCheck,
  checkUnreadable,
  type Dequeued,
  decode,
  type Poison,
  type Resolved,
  withCheckedText,
} from "./decode.ts";
import { type Answered, handOver, type Item } from "./hand-over.ts";
import type { KnownQueue } from "./known-queue.ts";
import type { WorkerMetrics } from "./metrics.ts";
import { classifyOracleError } from "./oracle-errors.ts";
import type { PoisonStore } from "./poison-file.ts";
import type { Session } from "./session.ts";

const HOLD_BOUNDS: Bounds = { baseMs: 100, capMs: 5_000 };
/** Rollbacks after which a claim check that cannot be read is poison. */
const CLAIM_ATTEMPTS = 3;

export interface SettlementOptions {
  readonly session: Session;
  readonly known: KnownQueue;
  readonly publisher: Publisher;
  readonly poisonStore: PoisonStore;
  readonly worker: Pick<WorkerConfig, "holdPing" | "receipts">;
  readonly metrics: WorkerMetrics;
  /** The queue's name as configured, for metrics. */
  readonly queue: string;
  readonly warnings: RateLimitedLog;
  /** The number of this holder of the queue's lease. */
  readonly fence?: number | undefined;
  /** As `ConsumerOptions.mayLead`. */
  readonly mayLead?: (() => boolean) | undefined;
  /** Bounds of the retries of a hand-over. */
  readonly holdBounds?: Bounds | undefined;
  /** The database's clock minus ours, ms; undefined when unknown. */
  readonly clockOffsetMs: () => number | undefined;
  /** Called before each attempt to hand over. */
  readonly onAttempt: () => void;
  /** Called when a batch has to be held. */
  readonly onHold: () => void;
}

/** What is on its way from the queue to its receipt. */
interface Entry<Of extends Item = Item> {
  /** The AQ message id. */
  readonly id: string;
  readonly item: Of;
  /** Set when the payload came from a claim check. */
  readonly checkId: string | undefined;
}

interface Delivered extends Entry<Message> {
  readonly recipients: number;
  readonly duplicate: boolean;
}

/**
 * What happens between dequeue and commit: decode, hand over, set poison aside, delete claim
 * checks, write receipts. It makes no second try of its own but for the hand-over: what throws
 * leaves the transaction to `discard`.
 */
export class Settlement {
  readonly #options: SettlementOptions;

  constructor(options: SettlementOptions) {
    this.#options = options;
  }

  /**
   * @param signal ends the holding of a batch, never one that the relay has taken.
   * @throws when the batch is not settled: the session must be discarded, the batch comes again.
   */
  async settle(batch: readonly Dequeued[], signal: AbortSignal): Promise<void> {
    const { session, worker, metrics, queue } = this.#options;
    const now = Date.now();
    const entries: Entry[] = [];
    const poison: Poison[] = [];
    for (const dequeued of batch) {
      const { checkId, ...found } = await this.#decode(dequeued, now);
      if (found.kind === "poison") poison.push(naming(found.poison, checkId));
      else if (found.kind === "control") {
        const item = this.#effective(found.item, found.ts, now);
        entries.push({ id: found.id, item, checkId });
      } else entries.push({ id: found.message.id, item: found.message, checkId });
    }
    const messages = entries.flatMap(({ item }) => (isControl(item) ? [] : [item]));
    this.#observeLatency(messages, now);
    const answers = await this.#handOver(
      entries.map(({ item }) => item),
      signal,
    );
    const delivered: Delivered[] = [];
    let told = 0;
    for (const [index, entry] of entries.entries()) {
      const { id, item, checkId } = entry;
      const result = answers[index]!;
      if (result.status === "rejected") poison.push(rejection(entry, result));
      else if (isControl(item)) told++;
      else if ("recipients" in result) {
        const { recipients, duplicate = false } = result;
        delivered.push({ id, item, checkId, recipients, duplicate });
      }
    }
    for (const each of poison) await this.#setAside(each);
    await this.#deleteClaims(delivered);
    if (worker.receipts && delivered.length > 0) await this.#writeReceipts(delivered);
    await session.commit();
    metrics.batches.inc({ queue });
    metrics.batchSize.observe({ queue }, batch.length);
    const duplicates = delivered.filter(({ duplicate }) => duplicate).length;
    metrics.messages.inc({ queue, result: "duplicate" }, duplicates);
    metrics.messages.inc({ queue, result: "accepted" }, delivered.length - duplicates);
    if (told > 0) metrics.messages.inc({ queue, result: "control" }, told);
  }

  /**
   * Hands over what did not come through the queue, such as revocations that are in force already.
   * @param signal ends the holding
   * @throws as `settle`
   */
  async tell(items: readonly ControlItem[], signal: AbortSignal): Promise<void> {
    const answers = await this.#handOver(items, signal);
    for (const [index, result] of answers.entries()) {
      if (result.status !== "rejected") continue;
      const { op } = items[index]!;
      const { code, message } = result;
      this.#options.warnings.warn("told", { op, code, reason: message }, "the relay refused it");
    }
  }

  /**
   * Tokens are meant that were signed before the item could be seen, not only before the call: between
   * the two another session may have signed one under the rights of before.
   */
  #effective(item: ControlItem, ts: number, now: number): ControlItem {
    if (item.op !== "revoke" && item.op !== "unsubscribe") return item;
    const offset = this.#options.clockOffsetMs();
    return { ...item, before: offset === undefined ? ts : Math.max(ts, Math.ceil(now + offset)) };
  }

  async #decode(dequeued: Dequeued, now: number): Promise<Resolved & { checkId?: string }> {
    const { known } = this.#options;
    const first = decode(dequeued, known.foreign, now);
    if (first.kind !== "claim") return first;
    return { ...(await this.#fetchClaimCheck(first, dequeued.attempts)), checkId: first.checkId };
  }

  async #fetchClaimCheck(claim: ClaimCheck, attempts: number): Promise<Resolved> {
    const { api } = this.#options.known;
    if (!api) return checkUnreadable(claim, "RTM_WORKER_API is not installed or not granted");
    try {
      return withCheckedText(claim, await api.claimCheck(claim.checkId));
    } catch (error) {
      if (isSessionLost(error) || attempts < CLAIM_ATTEMPTS) throw error;
      return checkUnreadable(claim, messageOf(error));
    }
  }

  #handOver(items: readonly Item[], signal: AbortSignal): Promise<Answered[]> {
    const {
      publisher,
      fence,
      known,
      session,
      worker,
      metrics,
      queue,
      warnings,
      onAttempt,
      onHold,
    } = this.#options;
    return handOver(items, {
      publisher,
      source: { name: `queue:${known.taker}`, ...(fence !== undefined && { fence }) },
      signal,
      ping: () => session.ping(),
      pingMs: worker.holdPing,
      mayLead: this.#options.mayLead,
      bounds: this.#options.holdBounds ?? HOLD_BOUNDS,
      onAttempt,
      onHold: (error) => {
        metrics.retries.inc({ queue });
        onHold();
        warnings.warn("hold", { err: error, messages: items.length }, "holding a batch");
      },
    });
  }

  async #setAside(poison: Poison): Promise<void> {
    const { metrics, poisonStore, queue, known, warnings } = this.#options;
    const { id, code, reason, channel, eventName } = poison;
    warnings.warn(`poison ${code}`, { id, code, reason, channel, eventName }, "poison set aside");
    const inLog = await this.#tolerate(
      "set_aside",
      "RTM_LOG cannot keep poison; using the file",
      () => known.api?.setAside(known.name, poison),
    );
    if (!known.api || !inLog) await poisonStore.keep(known.name, poison);
    metrics.poison.inc({ queue, reason: code });
    metrics.messages.inc({ queue, result: "poison" });
  }

  /** The text of poison stays in RTM_DELIVERY: it may not have been readable. */
  async #deleteClaims(delivered: readonly Delivered[]): Promise<void> {
    const { api } = this.#options.known;
    const claims = delivered.flatMap(({ checkId }) => (checkId === undefined ? [] : [checkId]));
    if (claims.length === 0) return;
    await this.#tolerate("delete_claims", "claim checks were not deleted; delivery goes on", () =>
      api?.deleteClaimChecks(claims),
    );
  }

  async #writeReceipts(delivered: readonly Delivered[]): Promise<void> {
    const { api } = this.#options.known;
    const written = await this.#tolerate(
      "receipts",
      "receipts were not written; delivery goes on",
      async () => {
        const receipts = delivered.map(({ id, recipients }) => ({ id, recipients }));
        const error = api ? await api.receipts(receipts) : "RTM_WORKER_API is not there";
        if (error !== null) throw new Error(error);
      },
    );
    if (!written) this.#options.metrics.receiptErrors.inc({ queue: this.#options.queue });
  }

  /** Whether `run` worked. A lost session is thrown; anything else must not block delivery. */
  async #tolerate(
    key: string,
    message: string,
    run: () => Promise<void> | undefined,
  ): Promise<boolean> {
    try {
      await run();
      return true;
    } catch (error) {
      if (isSessionLost(error)) throw error;
      this.#options.warnings.warn(key, { err: error }, message);
      return false;
    }
  }

  /** From the call to the dequeue, by the database's clock; a foreign queue's `ts` is our own. */
  #observeLatency(messages: readonly Message[], dequeuedAt: number): void {
    const { known, queue, metrics, clockOffsetMs } = this.#options;
    const offset = clockOffsetMs();
    if (known.foreign || offset === undefined) return;
    const latency = metrics.latency.labels({ queue });
    for (const { ts } of messages) latency.observe(Math.max(0, dequeuedAt + offset - ts) / 1000);
  }
}

function isSessionLost(error: unknown): boolean {
  const { class: errorClass } = classifyOracleError(error);
  return errorClass === "session_lost" || errorClass === "cancelled";
}

/** Poison whose payload is a claim check says where its text stays. */
function naming(poison: Poison, checkId: string | undefined): Poison {
  if (checkId === undefined || poison.code === "claim_missing") return poison;
  return { ...poison, reason: `${poison.reason} (claim check ${checkId})` };
}

/** What the relay refused for good is poison. */
function rejection(
  { id, item, checkId }: Entry,
  result: Extract<Answered, { status: "rejected" }>,
): Poison {
  const reason = `${result.code}: ${result.message}`;
  if (isControl(item)) return { id, code: "rejected", reason, payload: JSON.stringify(item) };
  const { channel, eventName, payload } = item;
  return naming({ id, code: "rejected", reason, channel, eventName, payload }, checkId);
}
