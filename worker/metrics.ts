/** The worker's Prometheus metrics; docs/metrics.md says what each is good for. */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";

/** Bounds of `rtm_worker_call_to_dequeue_seconds`. */
export const CALL_TO_DEQUEUE_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300];

export class WorkerMetrics {
  readonly messages: Counter<"queue" | "result">;
  readonly batches: Counter<"queue">;
  readonly batchSize: Histogram<"queue">;
  readonly latency: Histogram<"queue">;
  readonly retries: Counter<"queue">;
  readonly reconnects: Counter<"queue" | "reason">;
  readonly abandoned: Counter<"queue">;
  readonly poison: Counter<"queue" | "reason">;
  readonly unkept: Counter<"queue">;
  readonly receiptErrors: Counter<"queue">;
  readonly state: Gauge<"queue" | "state">;
  readonly lastTick: Gauge<"queue">;
  readonly backlog: Gauge<"queue">;
  readonly blocked: Gauge<"queue">;
  readonly oldest: Gauge<"queue">;
  readonly exceptions: Gauge<"queue">;
  readonly clockOffset: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    const queue = ["queue"] as const;
    this.messages = new Counter({
      name: "rtm_worker_messages_total",
      help: "Messages settled by the worker, by result: accepted, duplicate, control, poison.",
      labelNames: ["queue", "result"],
      registers,
    });
    this.batches = new Counter({
      name: "rtm_worker_batches_total",
      help: "Batches committed.",
      labelNames: queue,
      registers,
    });
    this.batchSize = new Histogram({
      name: "rtm_worker_batch_messages",
      help: "Messages per batch.",
      labelNames: queue,
      buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
      registers,
    });
    this.latency = new Histogram({
      name: "rtm_worker_call_to_dequeue_seconds",
      help: "From the broadcast call to its dequeue, with the caller's open transaction in it.",
      labelNames: queue,
      buckets: CALL_TO_DEQUEUE_S,
      registers,
    });
    this.retries = new Counter({
      name: "rtm_worker_holds_total",
      help: "Times a batch had to be held because the relay could not take it.",
      labelNames: queue,
      registers,
    });
    this.reconnects = new Counter({
      name: "rtm_worker_session_failures_total",
      help: "Sessions that ended with an error, by class of the error.",
      labelNames: ["queue", "reason"],
      registers,
    });
    this.abandoned = new Counter({
      name: "rtm_worker_abandoned_sessions_total",
      help: "Sessions given up because the database did not answer in time.",
      labelNames: queue,
      registers,
    });
    this.poison = new Counter({
      name: "rtm_worker_poison_total",
      help: "Messages set aside, by reason.",
      labelNames: ["queue", "reason"],
      registers,
    });
    this.unkept = new Counter({
      name: "rtm_worker_poison_unkept_total",
      help: "Rollbacks because poison could be kept neither in RTM_LOG nor in the file.",
      labelNames: queue,
      registers,
    });
    this.receiptErrors = new Counter({
      name: "rtm_worker_receipt_errors_total",
      help: "Batches whose receipts failed; the messages were delivered.",
      labelNames: queue,
      registers,
    });
    this.state = new Gauge({
      name: "rtm_worker_state",
      help: "1 for the state the queue's consumer is in.",
      labelNames: ["queue", "state"],
      registers,
    });
    this.lastTick = new Gauge({
      name: "rtm_worker_last_tick_timestamp_seconds",
      help: "When the consumer last got an answer from the database.",
      labelNames: queue,
      registers,
    });
    this.backlog = new Gauge({
      name: "rtm_worker_backlog_messages",
      help: "Ready messages in the queue, counted up to a limit.",
      labelNames: queue,
      registers,
    });
    this.blocked = new Gauge({
      name: "rtm_worker_blocked_messages",
      help: "Ready messages that the waiting consumer is not given: another session has them locked.",
      labelNames: queue,
      registers,
    });
    this.oldest = new Gauge({
      name: "rtm_worker_oldest_message_age_seconds",
      help: "Age of the oldest ready message; 0 when none is ready.",
      labelNames: queue,
      registers,
    });
    this.exceptions = new Gauge({
      name: "rtm_worker_exception_queue_messages",
      help: "Messages in the exception queue, counted up to a limit.",
      labelNames: queue,
      registers,
    });
    this.clockOffset = new Gauge({
      name: "rtm_worker_clock_offset_seconds",
      help: "The database's clock minus the worker's.",
      registers,
    });
  }
}
