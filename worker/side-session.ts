/**
 * The side connection: one session for all queues that writes heartbeats and reads backlogs at a
 * low rate. Nothing here ever stops the consumers; what fails is logged and tried again.
 */
import { sleep } from "../common/backoff.ts";
import type { Logger, RateLimitedLog } from "../common/logger.ts";
import type { WorkerConfig } from "./config.ts";
import type { QueueConsumer } from "./consumer.ts";
import type { KnownQueue } from "./known-queue.ts";
import type { Logon } from "./logon.ts";
import type { WorkerMetrics } from "./metrics.ts";
import { oraCode, WORKER_API_ERRORS } from "./oracle-errors.ts";
import type { QueueStateName } from "./queue-state.ts";
import { apiOwner, type Heartbeat, type QueueBacklog, RtmWorkerApi } from "./rtm-worker-api.ts";
import type { Session } from "./session.ts";

/** Backlogs are counted up to here. */
export const BACKLOG_LIMIT = 10_000;

const HEARTBEAT_STATES: Readonly<Record<QueueStateName, Heartbeat["state"] | undefined>> = {
  active: "ACTIVE",
  standby: "STANDBY",
  holding: "HOLDING",
  stopped: "STOPPING",
  connecting: undefined,
  backoff: undefined,
};

/** Of RTM_WORKER.QUEUE_NAME. */
const MAX_QUEUE_NAME_BYTES = 261;

/** How soon it is told that a queue is served which was not yet when it was looked at, ms. */
const CONNECTING_MS = 500;

const isConnecting = ({ state }: QueueConsumer) => state.name === "connecting";

export interface SideOptions {
  readonly logon: Logon;
  readonly worker: WorkerConfig;
  readonly consumers: readonly QueueConsumer[];
  readonly metrics: WorkerMetrics;
  readonly log: Logger;
  readonly warnings: RateLimitedLog;
  readonly workerId: string;
  readonly host: string;
  readonly version: string;
}

/**
 * Runs until the signal is aborted, and once more after `consumersEnded`, to say so in the
 * heartbeat. Never rejects.
 */
export async function runSide(
  options: SideOptions,
  signal: AbortSignal,
  consumersEnded: Promise<unknown>,
): Promise<void> {
  const { logon, worker, log, consumers, warnings } = options;
  let session: Session | undefined;
  const round = async (observe: (session: Session, consumer: QueueConsumer) => Promise<void>) => {
    try {
      session ??= await logon.open({ action: "heartbeat and backlog", log, signal });
      for (const consumer of consumers) await observe(session, consumer);
      await session.commit();
      if (!session.isOld) return;
    } catch (error) {
      if (!signal.aborted) warnings.warn("side", { err: error }, "heartbeat and backlog failed");
    }
    await session?.discard();
    session = undefined;
  };
  while (!signal.aborted) {
    const early = consumers.some(isConnecting);
    await round(async (on, consumer) => {
      await beat(options, on, consumer);
      await look(options, on, consumer);
    });
    const end = performance.now() + worker.sideInterval;
    const wait = early ? Math.min(CONNECTING_MS, worker.sideInterval) : worker.sideInterval;
    do await sleep(wait, signal).catch(() => {});
    while (!signal.aborted && consumers.some(isConnecting) && performance.now() < end);
  }
  await consumersEnded;
  if (session) await round((on, consumer) => beat(options, on, consumer));
  await session?.discard();
}

function apiOf({ worker }: SideOptions, session: Session, { known }: QueueConsumer) {
  if (!known?.api) return undefined;
  return new RtmWorkerApi(session, apiOwner(worker, known.name));
}

async function beat(
  options: SideOptions,
  session: Session,
  consumer: QueueConsumer,
): Promise<void> {
  const { workerId, host, version } = options;
  const state = HEARTBEAT_STATES[consumer.state.name];
  if (state === undefined || !consumer.known) return;
  const { name, taker } = consumer.known;
  // Each consumer of a queue has a row of its own, where the column takes it.
  const queueName = Buffer.byteLength(taker) > MAX_QUEUE_NAME_BYTES ? name : taker;
  await apiOf(options, session, consumer)?.heartbeat({ workerId, queueName, host, version, state });
}

/** A queue whose backlog may not be read must not keep the others from theirs. */
async function readBacklog(
  { warnings }: SideOptions,
  api: RtmWorkerApi,
  { name, leasedAs }: KnownQueue,
): Promise<QueueBacklog | undefined> {
  try {
    return await api.backlog(name, BACKLOG_LIMIT, leasedAs);
  } catch (error) {
    if (oraCode(error) !== WORKER_API_ERRORS.queueNotAccessible) throw error;
    warnings.warn(`backlog ${name}`, { err: error }, "the backlog cannot be read");
    return undefined;
  }
}

async function look(
  options: SideOptions,
  session: Session,
  consumer: QueueConsumer,
): Promise<void> {
  const { metrics, log } = options;
  const { known, queueName: queue } = consumer;
  const api = apiOf(options, session, consumer);
  if (!api || !known) return;
  const { clockOffsetMs } = await api.versions();
  consumer.clockOffsetMs = clockOffsetMs;
  metrics.clockOffset.set(clockOffsetMs / 1000);
  const backlog = await readBacklog(options, api, known);
  if (!backlog) return;
  metrics.backlog.set({ queue }, backlog.ready);
  metrics.oldest.set({ queue }, backlog.oldestAgeS ?? 0);
  metrics.exceptions.set({ queue }, backlog.exceptions);
  if (!consumer.state.backlog(backlog)) return;
  log.warn(
    { queue, ready: backlog.ready },
    "ready messages are not handed out to this waiting worker: another session has them locked",
  );
  // Should it be this session that has gone deaf, a new one hears again.
  consumer.renewSession();
}
