/** The worker: one consumer per queue, one side connection, and the rule who may lead. */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { join } from "node:path";
import type { Registry } from "prom-client";
import { type Logger, RateLimitedLog } from "../common/logger.ts";
import type { PresenceFeed } from "../relay/contract/presence-feed.ts";
import type { Publisher } from "../relay/contract/publisher.ts";
import type { DatabaseConfig, WorkerConfig } from "./config.ts";
import { type ConsumerOptions, QueueConsumer } from "./consumer.ts";
import { reportServing } from "./leadership.ts";
import { Logon } from "./logon.ts";
import { WorkerMetrics } from "./metrics.ts";
import { FilePoisonStore } from "./poison-file.ts";
import { reportPresence } from "./presence-report.ts";
import type { QueueStatus } from "./queue-state.ts";
import { runSide } from "./side-session.ts";

/** How often a place for poison that cannot be used is looked at again, ms. */
const STORE_CHECK_MS = 60_000;

export interface WorkerOptions {
  readonly database: DatabaseConfig;
  readonly worker: WorkerConfig;
  readonly publisher: Publisher;
  readonly log: Logger;
  readonly registry: Registry;
  /** Where the poison file goes; undefined where there is no place for it. */
  readonly stateDirectory: string | undefined;
  readonly version: string;
  /**
   * Called with whether this node serves: a node alone does from the start, one of two once it leads
   * (worker/leadership.ts).
   */
  readonly onServing?: (serving: boolean) => void;
  /** Who is present, for the database; without it the database hears nothing of it. */
  readonly presence?: PresenceFeed;
  /** As `ConsumerOptions.mayLead`. */
  readonly mayLead?: () => boolean;
  /** Shorter waits, for tests. */
  readonly timing?: Pick<ConsumerOptions, "holdBounds" | "sessionBounds">;
}

export interface Worker {
  /** One entry per configured queue, in order. */
  status(): readonly QueueStatus[];
  /** What keeps nothing from being delivered, and should be mended. */
  warnings(): readonly { readonly code: string; readonly message: string }[];
  /** Settles when the worker has ended; rejects when a consumer failed by a programming error. */
  readonly done: Promise<void>;
  /** Stops dequeuing, settles the batches in hand and closes the sessions. */
  stop(): Promise<void>;
}

export function startWorker(options: WorkerOptions): Worker {
  const { database, worker, publisher, registry, version } = options;
  const log = options.log.child({ component: "worker" });
  const metrics = new WorkerMetrics(registry);
  const poisonStore = new FilePoisonStore(
    options.stateDirectory && join(options.stateDirectory, "poison.jsonl"),
    worker.poisonBytes,
    log,
  );
  const stopChecking = checkPoisonStore(poisonStore, log);
  const stopping = new AbortController();
  const { signal } = stopping;
  const logon = new Logon(database);
  const shared = {
    logon,
    worker,
    publisher,
    poisonStore,
    metrics,
    log,
    ...(options.mayLead && { mayLead: options.mayLead }),
    ...options.timing,
  };
  const consumers = worker.queues.map((queue) => new QueueConsumer({ ...shared, queue }));
  const stopReporting = reportServing({
    consumers,
    standby: worker.standby,
    onServing: options.onServing ?? (() => {}),
  });

  const [leader, ...followers] = consumers;
  const runs = [
    leader!.run(signal),
    ...followers.map((follower) =>
      worker.standby ? runFollower(leader!, follower, signal) : follower.run(signal),
    ),
  ];
  const succeeded = Promise.all(runs);
  // Whoever awaits `done` sees the failure; the others must not run on alone.
  succeeded.catch(() => stopping.abort(new Error("a consumer failed")));
  const ended = Promise.allSettled(runs);
  const host = hostname();
  const workerId = `${host}:${process.pid}:${randomUUID().slice(0, 8)}`.slice(-128);
  const warnings = new RateLimitedLog(log, 60_000);
  const side = runSide(
    { logon, worker, consumers, metrics, log, warnings, host, version, workerId },
    signal,
    ended,
  );
  const presence =
    options.presence &&
    reportPresence(
      { feed: options.presence, logon, worker, consumers, log, warnings, workerId },
      signal,
    );
  const allEnded = Promise.all([ended, side, presence]).then(() => {
    stopReporting();
    stopChecking();
  });
  const done = succeeded.then(() => allEnded);
  done.catch(() => {});

  return {
    done,
    warnings: () =>
      poisonStore.problem === undefined
        ? []
        : [{ code: "poison_store", message: poisonStore.problem }],
    status: () => consumers.map((consumer) => consumer.state.status()),
    stop: () => {
      stopping.abort(new Error("the worker is stopping"));
      return allEnded;
    },
  };
}

/** Looks at the start whether poison could be kept, and, while it could not, again and again. */
function checkPoisonStore(store: FilePoisonStore, log: Logger): () => void {
  const check = async () => {
    const before = store.problem;
    await store.check();
    if (store.problem !== undefined && before === undefined) {
      log.warn({ reason: store.problem }, "there is no place for poison that RTM_LOG cannot keep");
    }
  };
  void check();
  const timer = setInterval(() => {
    if (store.problem !== undefined) void check();
  }, STORE_CHECK_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/**
 * With a second node the first queue decides which one is active: the others give up their sessions, and so their
 * leases, while this node is a standby for the first. Otherwise two nodes could each hold the
 * lease of one queue, and neither would serve.
 */
async function runFollower(
  leader: QueueConsumer,
  follower: QueueConsumer,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await untilState(leader, (name) => name !== "standby" && name !== "connecting", signal);
    if (signal.aborted) break;
    const term = new AbortController();
    const unsubscribe = leader.state.onChange(() => {
      if (leader.state.name === "standby") term.abort(new Error("another node leads"));
    });
    try {
      await follower.run(AbortSignal.any([signal, term.signal]));
    } finally {
      unsubscribe();
    }
    if (!signal.aborted) follower.state.set("standby");
  }
  follower.state.set("stopped");
}

function untilState(
  { state }: QueueConsumer,
  wanted: (name: QueueStatus["state"]) => boolean,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    const check = () => {
      if (!signal.aborted && !wanted(state.name)) return;
      unsubscribe();
      signal.removeEventListener("abort", check);
      resolve();
    };
    const unsubscribe = state.onChange(check);
    signal.addEventListener("abort", check);
    check();
  });
}
