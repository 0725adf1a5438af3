/** Whether this node serves: it may dequeue, or nobody can. */
import type { QueueConsumer } from "./consumer.ts";

/**
 * With a second node: how long this one serves on without its lease, ms. The other one may have
 * taken over meanwhile, and clients here would hear nothing.
 */
const GRACE_MS = 15_000;

export interface ServingOptions {
  /** The first decides about the node. */
  readonly consumers: readonly QueueConsumer[];
  /** Whether another node shares the queues. */
  readonly standby: boolean;
  readonly onServing: (serving: boolean) => void;
}

/**
 * Reports every change. A node alone serves whatever its database does: nobody else could dequeue,
 * and when another session holds its lease that is most likely its own, which the database has not
 * noticed to be dead. With a second node: false as a standby, and some time after the database was
 * lost.
 * @returns a function that ends the reporting.
 */
export function reportServing(options: ServingOptions): () => void {
  const { consumers, standby, onServing } = options;
  if (!standby) {
    onServing(true);
    return () => {};
  }
  let reported: boolean | undefined;
  let grace: NodeJS.Timeout | undefined;
  const report = (serving: boolean) => {
    if (serving === reported) return;
    reported = serving;
    onServing(serving);
  };
  const check = () => {
    const states = consumers.map(({ state }) => state.name);
    const leader = states[0]!;
    const leads = leader === "active" || leader === "holding";
    if (leads || states.includes("standby")) {
      clearTimeout(grace);
      grace = undefined;
    }
    if (states.includes("standby")) report(false);
    else if (leads) report(true);
    else if (reported === true) grace ??= setTimeout(() => report(false), GRACE_MS);
  };
  const unsubscribe = consumers.map(({ state }) => state.onChange(check));
  return () => {
    clearTimeout(grace);
    for (const end of unsubscribe) end();
  };
}
