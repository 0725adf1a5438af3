/** What a consumer is doing right now: for /readyz, metrics and the service manager's watchdog. */
import type { WorkerMetrics } from "./metrics.ts";
import type { QueueBacklog } from "./rtm-worker-api.ts";

export const QUEUE_STATES = [
  "connecting",
  "standby",
  "active",
  "holding",
  "backoff",
  "stopped",
] as const;
export type QueueStateName = (typeof QUEUE_STATES)[number];

/** A queue as `/readyz`, metrics and console show it. */
export interface QueueStatus {
  readonly queue: string;
  readonly state: QueueStateName;
  /** Error code behind `backoff` and `holding`. */
  readonly reason: string | undefined;
  /** Ms since the state began. */
  readonly sinceMs: number;
  /** Ms since the database last answered a dequeue or a lease request; undefined before the first. */
  readonly lastTickMs: number | undefined;
  /**
   * Ms since the loop last took a step of any kind: a change of state, a new session, an answer of
   * the database, an attempt to hand over. Between two steps lies one wait with a limit of its own.
   */
  readonly lastMoveMs: number;
  /** As the side connection last saw it; undefined before that. */
  readonly backlog: QueueBacklog | undefined;
  /**
   * Ready messages that this consumer is not given although it waits for them: another session has
   * them locked, most likely one that was abandoned and that the database still thinks alive.
   */
  readonly blocked: number;
}

export class QueueState {
  readonly #queue: string;
  readonly #metrics: WorkerMetrics;
  readonly #listeners = new Set<() => void>();
  #state: QueueStateName = "connecting";
  #reason: string | undefined;
  #since = performance.now();
  #lastTick: number | undefined;
  #lastMove = performance.now();
  #backlog: QueueBacklog | undefined;
  #blocked = 0;
  /** Whether messages came since the backlog was last seen, or something else kept them waiting. */
  #busySinceBacklog = true;

  constructor(queue: string, metrics: WorkerMetrics) {
    this.#queue = queue;
    this.#metrics = metrics;
    this.#export();
  }

  get name(): QueueStateName {
    return this.#state;
  }

  /** A step that may be a change of state. @param reason code of the error behind it */
  set(state: QueueStateName, reason?: string): void {
    this.move();
    if (state === this.#state && reason === this.#reason) return;
    this.#state = state;
    this.#reason = reason;
    this.#since = performance.now();
    this.#busySinceBacklog = true;
    this.#export();
    for (const listener of this.#listeners) listener();
  }

  /** The database answered. */
  tick(): void {
    this.#lastTick = performance.now();
    this.#metrics.lastTick.set({ queue: this.#queue }, Date.now() / 1000);
  }

  /** The loop took a step. */
  move(): void {
    this.#lastMove = performance.now();
  }

  /** Messages came. */
  received(): void {
    this.#busySinceBacklog = true;
    this.#setBlocked(0);
  }

  /**
   * Takes what the side connection saw. Messages that were ready both times while this consumer
   * waited and got none are locked by somebody else; one look alone may have met a fresh commit.
   * @returns true when that has just begun.
   */
  backlog(backlog: QueueBacklog): boolean {
    const idle = this.#state === "active" && !this.#busySinceBacklog;
    const wasReady = (this.#backlog?.ready ?? 0) > 0;
    const wasBlocked = this.#blocked > 0;
    this.#backlog = backlog;
    this.#busySinceBacklog = false;
    this.#setBlocked(idle && wasReady ? backlog.ready : 0);
    return this.#blocked > 0 && !wasBlocked;
  }

  #setBlocked(messages: number): void {
    this.#blocked = messages;
    this.#metrics.blocked.set({ queue: this.#queue }, messages);
  }

  /** Calls `listener` after every change of state; the returned function ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** As it is now; times are ms of the monotonic clock. */
  status(): QueueStatus {
    const now = performance.now();
    return {
      queue: this.#queue,
      state: this.#state,
      reason: this.#reason,
      sinceMs: Math.round(now - this.#since),
      lastMoveMs: Math.round(now - this.#lastMove),
      lastTickMs: this.#lastTick === undefined ? undefined : Math.round(now - this.#lastTick),
      backlog: this.#backlog,
      blocked: this.#blocked,
    };
  }

  #export(): void {
    for (const state of QUEUE_STATES) {
      this.#metrics.state.set({ queue: this.#queue, state }, state === this.#state ? 1 : 0);
    }
  }
}
