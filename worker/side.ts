/**
 * The side connection: one session for all queues that writes heartbeats and reads backlogs at a
 * low rate. Nothing here ever stops the consumers; what fails is logged and tried again.
 */
import { sleep } from "../common/backoff.ts";
import { type Logger, RateLimitedLog } from "../common/logger.ts";
import type { DatabaseConfig, WorkerConfig } from "./config.ts";
import type { QueueConsumer } from "./consumer.ts";
import type { WorkerMetrics } from "./metrics.ts";
import { RtmWorkerApi } from "./rtm-worker-api.ts";
import { Session } from "./session.ts";
import type { QueueStateName } from "./state.ts";

/** Backlogs are counted up to here. */
export const BACKLOG_LIMIT = 10_000;

const HEARTBEAT_STATES: Readonly<
  Record<QueueStateName, "ACTIVE" | "STANDBY" | "HOLDING" | "STOPPING" | undefined>
> = {
  active: "ACTIVE",
  standby: "STANDBY",
  holding: "HOLDING",
  stopped: "STOPPING",
  connecting: undefined,
  backoff: undefined,
};

export interface SideOptions {
  readonly database: DatabaseConfig;
  readonly worker: WorkerConfig;
  readonly consumers: readonly QueueConsumer[];
  readonly metrics: WorkerMetrics;
  readonly log: Logger;
  readonly workerId: string;
  readonly host: string;
  readonly version: string;
}

/** Runs until the signal is aborted. Never rejects. */
export async function runSide(options: SideOptions, signal: AbortSignal): Promise<void> {
  const { database, worker, log } = options;
  const warnings = new RateLimitedLog(log, 60_000);
  let session: Session | undefined;
  while (!signal.aborted) {
    try {
      session ??= await Session.open(database, { action: "heartbeat and backlog", log });
      for (const consumer of options.consumers) await observe(options, session, consumer);
      await session.commit();
    } catch (error) {
      warnings.warn("side", { err: error }, "heartbeat and backlog failed");
      await session?.discard();
      session = undefined;
    }
    if (session?.isOld) {
      await session.discard();
      session = undefined;
    }
    await sleep(worker.sideInterval, signal).catch(() => {});
  }
  await session?.discard();
}

async function observe(
  { worker, metrics, workerId, host, version }: SideOptions,
  session: Session,
  consumer: QueueConsumer,
): Promise<void> {
  const { access } = consumer;
  if (!access?.api) return;
  const api = new RtmWorkerApi(session, worker.apiSchema ?? access.name.split(".")[0]!);
  const state = HEARTBEAT_STATES[consumer.state.name];
  if (state) await api.heartbeat({ workerId, queueName: access.name, host, version, state });
  const { ready, oldestAgeS, exceptions } = await api.backlog(access.name, BACKLOG_LIMIT);
  const queue = consumer.queueName;
  metrics.backlog.set({ queue }, ready);
  metrics.oldest.set({ queue }, oldestAgeS ?? 0);
  metrics.exceptions.set({ queue }, exceptions);
  consumer.state.backlog({ ready, oldestAgeS, exceptions });
}
