/**
 * `mode: "notify"`: instead of a dequeue that waits in the database, AQ notifications wake the loop.
 * They are only a hint beside a periodic poll: the driver tells nobody when their connection is
 * lost (node-oracledb 26.0.0), and whether a classic queue gives them to the Thin driver at all has
 * not been seen on a real database.
 */
import type { RateLimitedLog } from "../common/logger.ts";
import type { Session } from "./session.ts";

export class Notifier {
  readonly #queue: string;
  readonly #warnings: RateLimitedLog;
  #end: (() => void) | undefined;
  #hinted = false;
  #wake: (() => void) | undefined;
  /** Counts subscriptions, so that the loss of an old one does not end a new one. */
  #generation = 0;

  /** @param queue OWNER.QUEUE */
  constructor(queue: string, warnings: RateLimitedLog) {
    this.#queue = queue;
    this.#warnings = warnings;
  }

  /** Forgets earlier hints. Call it before a dequeue: a hint that comes later is about more. */
  rearm(): void {
    this.#hinted = false;
  }

  /** Subscribes when there is no live subscription. What fails is logged; the poll remains. */
  async ensure(session: Session): Promise<void> {
    if (this.#end) return;
    const generation = ++this.#generation;
    try {
      this.#end = await session.subscribe(this.#queue, this.#hint, () => this.#lost(generation));
      // What came before the subscription began gives no hint.
      this.#hint();
    } catch (error) {
      if (session.isAbandoned) throw error;
      this.#warnings.warn("notify", { err: error }, "no notifications; polling");
    }
  }

  /** Waits for a hint, for `ms` at most, or until the signal is aborted. */
  wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(end, ms);
      signal.addEventListener("abort", end);
      this.#wake = end;
      if (this.#hinted || signal.aborted) end();
    });
  }

  /** Gives the subscription up, on the server too when the session can still do it. */
  async close(session: Session | undefined): Promise<void> {
    if (!this.#end) return;
    await session?.unsubscribe(this.#queue).catch(() => {});
    this.#end();
    this.#end = undefined;
  }

  readonly #hint = (): void => {
    this.#hinted = true;
    this.#wake?.();
  };

  #lost(generation: number): void {
    if (generation !== this.#generation) return;
    this.#end = undefined;
    this.#warnings.warn("notify lost", {}, "the notification connection is gone");
    this.#hint();
  }
}
