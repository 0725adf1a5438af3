/** Takes the samples that the console shows, from what relay, worker and log keep anyway. */
import { performance } from "node:perf_hooks";
import type { Registry } from "prom-client";
import { recentWarnings } from "../../common/logger.ts";
import type { RecentLine } from "../../common/recent-lines.ts";
import type { Inspection } from "../../relay/inspection.ts";
import type { ReadinessReason } from "../../relay/node/serving.ts";
import { CALL_TO_DEQUEUE_S } from "../../worker/metrics.ts";
import type { QueueStatus } from "../../worker/queue-state.ts";
import { BusiestChannels } from "./busiest-channels.ts";
import type {
  Point,
  QueueRow,
  RelayFigures,
  Sample,
  SharedLogRow,
  SlowClientRow,
  WarningRow,
} from "./contract.ts";

/** Rows of the tables of channels and clients. */
const MOST_ROWS = 12;
const DEQUEUE = "rtm_worker_call_to_dequeue_seconds";

export interface Sources {
  readonly registry: Registry;
  readonly readiness: () => readonly ReadinessReason[];
  /** Undefined without a relay, and while it starts. */
  readonly inspection: () => Inspection | undefined;
  /** Undefined without a worker. */
  readonly queues: () => readonly QueueStatus[] | undefined;
}

/** A metric's value with its labels, as the library gives it. */
interface Value {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly metricName?: string;
}

async function valuesOf(registry: Registry, name: string): Promise<readonly Value[]> {
  const metric = registry.getSingleMetric(name);
  return metric ? ((await metric.get()).values as readonly Value[]) : [];
}

/** Counts of a histogram's buckets over all of its labels; `cumulative` as Prometheus has them. */
function bucketCounts(values: readonly Value[], bounds: readonly number[]): number[] {
  const cumulative = new Map<string, number>();
  for (const { metricName, labels, value } of values) {
    if (!metricName?.endsWith("_bucket")) continue;
    const le = String(labels.le);
    cumulative.set(le, (cumulative.get(le) ?? 0) + value);
  }
  let before = 0;
  return [...bounds.map(String), "+Inf"].map((le) => {
    const upTo = cumulative.get(le) ?? before;
    const count = upTo - before;
    before = upTo;
    return count;
  });
}

/** Figures that need the sample before: they begin anew with `reset`. */
export class Sampler {
  readonly #sources: Sources;
  #cpu = process.cpuUsage();
  #loop = performance.eventLoopUtilization();
  #sampledAt = performance.now();
  readonly #channels = new BusiestChannels(MOST_ROWS);
  #warned = 0;

  constructor(sources: Sources) {
    this.#sources = sources;
  }

  /** Bounds of the two histograms, seconds. */
  bounds(): { dequeue: readonly number[]; write: readonly number[] } {
    const write = this.#sources.inspection()?.stats.latency.bounds ?? [];
    return { dequeue: CALL_TO_DEQUEUE_S, write };
  }

  /** Forgets what was compared with, and the names of all channels. */
  reset(): void {
    this.#channels.reset();
    this.#warned = recentWarnings().count;
    this.#measure();
  }

  /** @param watching how many look on */
  async sample(watching: number): Promise<Sample> {
    const { registry, readiness, inspection: inspect, queues } = this.#sources;
    const inspection = inspect();
    const statuses = queues();
    const [messages, holds, poison, dequeue] = await Promise.all(
      [
        "rtm_worker_messages_total",
        "rtm_worker_holds_total",
        "rtm_worker_poison_total",
        ...(statuses ? [DEQUEUE] : []),
      ].map((name) => valuesOf(registry, name)),
    );
    const rows = (statuses ?? []).map((status) =>
      queueRow(status, { messages: messages ?? [], holds: holds ?? [], poison: poison ?? [] }),
    );
    const gauges = inspection?.gauges();
    const stats = inspection?.stats;
    const point: Point = {
      at: Date.now(),
      ...this.#measure(),
      rss: process.memoryUsage.rss(),
      accepted: stats?.messagesAccepted ?? sum(rows.map(({ accepted }) => accepted)),
      delivered: stats?.messagesDelivered ?? 0,
      deliveredBytes: stats?.bytesDelivered ?? 0,
      connections: gauges?.connections ?? 0,
      backlog: rows.every(({ ready }) => ready === null)
        ? null
        : sum(rows.map(({ ready }) => ready ?? 0)),
      dequeue: dequeue ? bucketCounts(dequeue, CALL_TO_DEQUEUE_S) : null,
      write: stats ? [...stats.latency.counts] : null,
    };
    const all = readiness();
    const conditions = (blocking: boolean) =>
      all
        .filter((reason) => reason.blocking === blocking)
        .map(({ code, message }) => ({ code, message }));
    const reasons = conditions(true);
    return {
      point,
      ready: reasons.length === 0,
      reasons,
      conditions: conditions(false),
      queues: rows,
      relay: inspection && gauges ? relayFigures(inspection, gauges) : null,
      log: (inspection?.sharedLog() as SharedLogRow | undefined) ?? null,
      channels: inspection ? this.#channels.rows(inspection) : [],
      slowClients: inspection ? slowClients(inspection) : [],
      warnings: this.#newWarnings(),
      watching,
    };
  }

  #measure(): Pick<Point, "cpu" | "loop"> {
    const now = performance.now();
    const { user, system } = process.cpuUsage(this.#cpu);
    const loop = performance.eventLoopUtilization(this.#loop).utilization;
    const cpu = (user + system) / 1000 / Math.max(1, now - this.#sampledAt);
    this.#cpu = process.cpuUsage();
    this.#loop = performance.eventLoopUtilization();
    this.#sampledAt = now;
    return { cpu, loop };
  }

  #newWarnings(): WarningRow[] {
    const lines = recentWarnings().since(this.#warned);
    this.#warned = recentWarnings().count;
    return lines.map(warningRow);
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function queueRow(
  { queue, state, reason, sinceMs, lastTickMs, backlog, blocked }: QueueStatus,
  metrics: Readonly<Record<"messages" | "holds" | "poison", readonly Value[]>>,
): QueueRow {
  const total = (values: readonly Value[], result?: string) =>
    sum(
      values
        .filter(({ labels }) => labels.queue === queue)
        .filter(({ labels }) => result === undefined || labels.result === result)
        .map(({ value }) => value),
    );
  return {
    queue,
    state,
    reason: reason ?? null,
    sinceMs,
    lastTickMs: lastTickMs ?? null,
    ready: backlog?.ready ?? null,
    oldestAgeS: backlog?.oldestAgeS ?? null,
    exceptions: backlog?.exceptions ?? null,
    blocked,
    accepted: total(metrics.messages, "accepted"),
    duplicates: total(metrics.messages, "duplicate"),
    poison: total(metrics.poison),
    holds: total(metrics.holds),
  };
}

function relayFigures(
  inspection: Inspection,
  { channels, heldBytes, historyMessages, historyBytes }: ReturnType<Inspection["gauges"]>,
): RelayFigures {
  const { stats, epoch } = inspection;
  return {
    epoch,
    presence: inspection.presence() ?? null,
    subscriptions: stats.subscriptions,
    channels,
    heldBytes,
    historyMessages,
    historyBytes,
    duplicates: stats.duplicates,
    opened: stats.connectionsOpened,
    recoveries: { granted: stats.recoveriesGranted, refused: stats.recoveriesRefused },
    rejections: Object.fromEntries(stats.rejections),
    closes: Object.fromEntries(stats.closes),
    drops: Object.fromEntries(stats.drops),
    authFailures: Object.fromEntries(stats.authFailures),
    handshakes: Object.fromEntries(stats.handshakes),
  };
}

function slowClients(inspection: Inspection): SlowClientRow[] {
  return inspection
    .slowClients(MOST_ROWS)
    .map(({ address, ...rest }) => ({ address: address ?? null, ...rest }));
}

/** Members of a line that have a column of their own, or say nothing here. */
const SHOWN = new Set(["level", "time", "pid", "component", "msg"]);

export function warningRow({ number, text }: RecentLine): WarningRow {
  let line: Record<string, unknown>;
  try {
    line = JSON.parse(text);
  } catch {
    // It was too long to be kept whole.
    return { number, time: "", level: "warn", component: null, message: text, details: "" };
  }
  const rest = Object.entries(line).filter(([name]) => !SHOWN.has(name));
  const { err } = line as { err?: { message?: string; code?: string } };
  // The stack is in the log; here it would hide the rest.
  const brief = rest.map(([name, value]) =>
    name === "err" ? [name, err?.message ?? value] : [name, value],
  );
  return {
    number,
    time: String(line.time ?? ""),
    level: String(line.level ?? "warn"),
    component: typeof line.component === "string" ? line.component : null,
    message: String(line.msg ?? ""),
    details: brief.length > 0 ? JSON.stringify(Object.fromEntries(brief)) : "",
  };
}
