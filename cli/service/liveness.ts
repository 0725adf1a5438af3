/**
 * Whether the worker's loops move. A loop that waits is in one of a few named states, and none of
 * its waits is longer than what the configuration allows; a loop beyond that is stuck, and only a
 * restart helps. An unreachable database or relay is never "stuck": its waits are bounded too.
 */
import { formatDuration } from "../../common/units.ts";
import { LEASE_WAIT_MS, LONGEST_BACKOFF_MS } from "../../worker/consumer.ts";
import type { QueueStateName, QueueStatus } from "../../worker/queue-state.ts";
import type { RtmConfig } from "../config.ts";

/** On top of every limit: one hand-over over HTTP, and a busy machine. */
const SLACK_MS = 60_000;

/** The longest time between two steps of a queue's loop, ms. */
export function stepLimitMs(
  state: QueueStateName,
  waitMs: number,
  { connectTimeout, callGrace }: Pick<RtmConfig["database"], "connectTimeout" | "callGrace">,
): number {
  const limits: Record<QueueStateName, number> = {
    connecting: Math.max(connectTimeout, LEASE_WAIT_MS) + callGrace,
    standby: LEASE_WAIT_MS + callGrace,
    active: waitMs + callGrace,
    holding: callGrace,
    backoff: LONGEST_BACKOFF_MS,
    stopped: Number.POSITIVE_INFINITY,
  };
  return limits[state] + SLACK_MS;
}

/**
 * One sentence per loop that is stuck.
 * @param statuses in the order of worker.queues, as `Worker.status` gives them
 */
export function stuckLoops(
  statuses: readonly QueueStatus[],
  { database, worker }: Pick<RtmConfig, "database" | "worker">,
): string[] {
  const leader = statuses[0]?.state;
  return statuses.flatMap(({ queue, state, lastMoveMs }, index) => {
    // With a second node the other queues' loops have not begun before the first one leads.
    const waitsForLeader =
      worker.standby &&
      index > 0 &&
      (state === "connecting" || state === "standby") &&
      (leader === "standby" || leader === "connecting");
    const limit = stepLimitMs(state, worker.queues[index]!.wait, database);
    if (waitsForLeader || lastMoveMs <= limit) return [];
    return [
      `${queue}: ${state} without a step for ${formatDuration(Math.round(lastMoveMs / 1000) * 1000)}, limit ${formatDuration(limit)}`,
    ];
  });
}
