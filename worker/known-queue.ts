/** What has to be known about a queue before the first dequeue: its full name, kind and helpers. */
import { RtmError } from "../common/errors.ts";
import type { RateLimitedLog } from "../common/logger.ts";
import { sharedLease, WITH_CONSUMERS } from "./api-version.ts";
import type { PayloadKind, QueueConfig, WorkerConfig } from "./config.ts";
import type { ForeignAddress } from "./decode.ts";
import { classifyOracleError } from "./oracle-errors.ts";
import { apiOwner, RtmWorkerApi, type Versions } from "./rtm-worker-api.ts";
import type { Session } from "./session.ts";

/** The payload kind was to be detected and cannot be seen. */
export class PayloadUndetectedError extends RtmError {
  constructor(queue: string, found: string | undefined) {
    super(
      "RTM_PAYLOAD_UNDETECTED",
      found === undefined
        ? `worker.queues[].name: the dictionary shows no queue ${queue} to this user: is the name right, with its ` +
            "owner, and DEQUEUE granted? If both are, set worker.queues[].payload to RAW, JSON or JMS_TEXT"
        : `${queue} carries ${found}, which the worker does not know: RAW, JSON or JMS text is needed`,
    );
  }
}

export interface KnownQueue {
  /** OWNER.QUEUE */
  readonly name: string;
  readonly kind: PayloadKind;
  readonly consumer: string | undefined;
  /** OWNER.QUEUE, or OWNER.QUEUE:CONSUMER: who takes messages, the same for every worker that may. */
  readonly taker: string;
  /** The consumer, where the package knows consumers. */
  readonly leasedAs: string | undefined;
  readonly foreign: ForeignAddress | undefined;
  /** Undefined where RTM_WORKER_API is not installed or not granted. */
  readonly api: RtmWorkerApi | undefined;
  /** Of the package; undefined without it. */
  readonly apiVersion: number | undefined;
  /** It is the queue of the package's own schema, RTM_QUEUE. */
  readonly isOwn: boolean;
  /** The package may dequeue this queue in PL/SQL; otherwise an anonymous block does. */
  readonly textByApi: boolean;
  readonly leasePossible: boolean;
  /** The database's clock minus ours when it was asked, ms; undefined without the package. */
  readonly clockOffsetMs: number | undefined;
}

/** @throws the driver's errors, `ApiVersionError`, `PayloadUndetectedError`. */
export async function prepareQueue(
  session: Session,
  queue: QueueConfig,
  worker: WorkerConfig,
  warnings: RateLimitedLog,
): Promise<KnownQueue> {
  const name = await qualifiedName(session, queue.name);
  const owner = name.split(".")[0]!;
  const packageOwner = apiOwner(worker, name);
  const api = new RtmWorkerApi(session, packageOwner);
  const versions = await versionsOf(api);
  if (!versions) {
    warnings.warn(
      "api",
      { package: `${packageOwner}.RTM_WORKER_API` },
      "not installed or not granted: no lease, no receipts, poison goes to the file",
    );
  }
  const knowsConsumers = (versions?.apiVersion ?? 0) >= WITH_CONSUMERS;
  if (versions && queue.consumer !== undefined && !knowsConsumers) {
    const fix = "rtm db install, then restart every worker of the queue";
    warnings.warn("consumers", { fix }, sharedLease(versions.apiVersion));
  }
  return {
    name,
    kind: queue.payload === "detect" ? await detectKind(session, name, versions) : queue.payload,
    consumer: queue.consumer,
    taker: takerOf({ ...queue, name }),
    leasedAs: knowsConsumers ? queue.consumer : undefined,
    foreign:
      queue.channel === undefined
        ? undefined
        : { channel: queue.channel, eventName: queue.eventName },
    api: versions ? api : undefined,
    apiVersion: versions?.apiVersion,
    isOwn: versions?.queueName === name,
    textByApi: versions !== undefined && (packageOwner === owner || worker.apiSchema !== undefined),
    leasePossible: versions?.leasePossible === true && worker.lease === "auto",
    clockOffsetMs: versions?.clockOffsetMs,
  };
}

/**
 * `QUEUE`, or of a multi-consumer queue `QUEUE:CONSUMER`, as Oracle names a subscription. A subscriber's
 * name has no case of letters unless it is quoted.
 */
export function takerOf({ name, consumer }: Pick<QueueConfig, "name" | "consumer">): string {
  return consumer === undefined ? name : `${name}:${consumer.toUpperCase()}`;
}

/** OWNER.QUEUE of a configured name. */
export async function qualifiedName(session: Session, name: string): Promise<string> {
  if (name.includes(".")) return name;
  const result = await session.execute<{ OWNER: string }>(
    "current schema",
    "select sys_context('userenv', 'current_schema') as owner from dual",
  );
  return `${result.rows![0]!.OWNER}.${name}`;
}

async function versionsOf(api: RtmWorkerApi): Promise<Versions | undefined> {
  try {
    return await api.versions();
  } catch (error) {
    if (classifyOracleError(error).code === "ORA-06550") return undefined;
    throw error;
  }
}

async function detectKind(
  session: Session,
  name: string,
  versions: Versions | undefined,
): Promise<PayloadKind> {
  if (versions?.queueName === name) return versions.payloadKind;
  const [owner, queue] = name.split(".");
  const result = await session.execute<{ TYPE: string; OBJECT_TYPE: string | null }>(
    "payload kind",
    `select t.type, t.object_type
  from all_queues q
  join all_queue_tables t on t.owner = q.owner and t.queue_table = q.queue_table
 where q.owner = :owner and q.name = :queue`,
    { owner: owner!, queue: queue! },
  );
  const row = result.rows?.[0];
  if (row?.OBJECT_TYPE === "SYS.AQ$_JMS_TEXT_MESSAGE") return "JMS_TEXT";
  if (row?.TYPE === "RAW" || row?.TYPE === "JSON") return row.TYPE;
  throw new PayloadUndetectedError(name, row ? (row.OBJECT_TYPE ?? row.TYPE) : undefined);
}
