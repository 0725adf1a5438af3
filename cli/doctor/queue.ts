/** The queue part of `rtm doctor`. It changes nothing. */
import oracledb from "oracledb";
import type { QueueConfig } from "../../worker/config.ts";
import { classifyOracleError } from "../../worker/oracle-errors.ts";
import type { RtmWorkerApi } from "../../worker/rtm-worker-api.ts";
import type { Session } from "../../worker/session.ts";
import { BACKLOG_LIMIT } from "../../worker/side-session.ts";
import { detailOf, type Report } from "./report.ts";
import { rowsOf } from "./rows.ts";

/** The installation sets 1000. Rollbacks count, and each stop of a holding worker is one. */
const FEW_RETRIES = 100;
/** A ready message that is older is not being dequeued, s. */
const OLD_MESSAGE_S = 60;

interface QueueRow {
  readonly QUEUE_TABLE: string;
  readonly ENQUEUE_ENABLED: string;
  readonly DEQUEUE_ENABLED: string;
  readonly MAX_RETRIES: number | null;
  readonly RETRY_DELAY: number;
  readonly TYPE: string | null;
  readonly OBJECT_TYPE: string | null;
  readonly RECIPIENTS: string | null;
}

/** What the dictionary says. Returns the payload kind that the dictionary shows, else the configured one. */
export async function checkQueue(
  session: Session,
  name: string,
  queue: QueueConfig,
  report: Report,
): Promise<string | undefined> {
  const [owner, simple] = name.split(".");
  const rows = await rowsOf<QueueRow>(
    session,
    `dictionary of ${name}`,
    `select q.queue_table, trim(q.enqueue_enabled) as enqueue_enabled,
       trim(q.dequeue_enabled) as dequeue_enabled, q.max_retries, q.retry_delay,
       t.type, t.object_type, t.recipients
  from all_queues q
  left join all_queue_tables t on t.owner = q.owner and t.queue_table = q.queue_table
 where q.owner = :owner and q.name = :queue`,
    { owner, queue: simple },
  );
  const configured = queue.payload === "detect" ? undefined : queue.payload;
  const row = rows?.[0];
  if (!row) {
    report({
      check: `queue ${name}`,
      verdict: "not visible",
      detail: "it does not exist, or nothing is granted on it; the next line tells",
      fix: "check worker.queues[].name, with its owner (select owner, name from all_queues)",
    });
    return configured;
  }
  report({ check: `queue ${name}`, verdict: "ok", detail: `queue table ${row.QUEUE_TABLE}` });
  reportStarted(name, row, report);
  reportRetries(name, row, report);
  return reportKind(name, row, queue, report) ?? configured;
}

function reportStarted(name: string, row: QueueRow, report: Report): void {
  const stopped = [
    ...(row.ENQUEUE_ENABLED === "YES" ? [] : ["enqueue"]),
    ...(row.DEQUEUE_ENABLED === "YES" ? [] : ["dequeue"]),
  ];
  report({
    check: `queue ${name} started`,
    verdict: stopped.length === 0 ? "ok" : "FAILED",
    detail: stopped.length === 0 ? "for enqueue and dequeue" : `not for ${stopped.join(", ")}`,
    ...(stopped.length > 0 && { fix: `exec dbms_aqadm.start_queue('${name}')` }),
  });
}

function reportRetries(name: string, row: QueueRow, report: Report): void {
  // Oracle takes 5 where none was given.
  const retries = row.MAX_RETRIES ?? 5;
  const few = retries < FEW_RETRIES;
  const check = `queue ${name} retries`;
  const detail = `max_retries ${retries}, retry_delay ${row.RETRY_DELAY} s`;
  if (few || row.RETRY_DELAY > 0) {
    report({
      check,
      verdict: "warning",
      detail: `${detail}: ${
        few
          ? "so many stops of a worker that holds it exile a good message"
          : "after a stop later messages overtake"
      }`,
      fix: `exec dbms_aqadm.alter_queue('${name}', max_retries => 1000, retry_delay => 0)`,
    });
  } else report({ check, verdict: "ok", detail });
}

function reportKind(
  name: string,
  { TYPE: type, OBJECT_TYPE: objectType, RECIPIENTS: recipients }: QueueRow,
  { payload, consumer }: QueueConfig,
  report: Report,
): string | undefined {
  const check = `queue ${name} payload`;
  if (type === null) {
    report({
      check,
      verdict: "not visible",
      detail: "ALL_QUEUE_TABLES",
      ...(payload === "detect" && { fix: "set queues[].payload, unless it is our own queue" }),
    });
    return undefined;
  }
  const kind = objectType === "SYS.AQ$_JMS_TEXT_MESSAGE" ? "JMS_TEXT" : type;
  const problem =
    kind !== "RAW" && kind !== "JSON" && kind !== "JMS_TEXT"
      ? ["the worker reads RAW, JSON and JMS text only", "use one of these"]
      : payload !== "detect" && payload !== kind
        ? [`the configuration says ${payload}`, "set queues[].payload to detect"]
        : recipients === "MULTIPLE" && consumer === undefined
          ? ["it is a multi-consumer queue", "set queues[].consumer to the subscriber's name"]
          : undefined;
  const detail = objectType ?? type;
  if (problem) {
    report({ check, verdict: "FAILED", detail: `${detail}: ${problem[0]}`, fix: problem[1] });
  } else report({ check, verdict: "ok", detail });
  return kind;
}

/** Browses, without waiting: the database's own word on existence, rights and state. */
export async function checkDequeue(
  session: Session,
  name: string,
  kind: string | undefined,
  { consumer }: Pick<QueueConfig, "consumer">,
  report: Report,
): Promise<void> {
  const check = `queue ${name} dequeue right`;
  if (kind !== "RAW" && kind !== "JSON") {
    const detail =
      kind === undefined ? "the payload kind is not known" : `${kind} is dequeued in PL/SQL`;
    report({ check, verdict: "not visible", detail });
    return;
  }
  try {
    await session.call(`browse ${name}`, async (connection) => {
      const payloadType = kind === "JSON" ? oracledb.DB_TYPE_JSON : oracledb.DB_TYPE_RAW;
      const queue = await connection.getQueue(name, { payloadType } as never);
      queue.deqOptions.mode = oracledb.AQ_DEQ_MODE_BROWSE;
      queue.deqOptions.wait = oracledb.AQ_DEQ_NO_WAIT;
      if (consumer !== undefined) queue.deqOptions.consumerName = consumer;
      await queue.deqOne();
    });
    report({ check, verdict: "ok", detail: "granted" });
  } catch (error) {
    const { class: errorClass, advice } = classifyOracleError(error);
    // A message that the driver cannot decode was found, so the right is there.
    if (errorClass === "payload") {
      report({
        check,
        verdict: "ok",
        detail: "granted; the driver cannot decode the next message",
      });
    } else if (errorClass === "configuration" || errorClass === "queue_state") {
      const grant = "as DBA: sql/grants/worker.sql";
      const fix = errorClass === "configuration" ? `${advice}; ${grant}` : advice;
      report({ check, verdict: "FAILED", detail: detailOf(error), fix });
    } else throw error;
    await session.rollback();
  }
}

export async function checkBacklog(
  name: string,
  api: RtmWorkerApi | undefined,
  consumer: string | undefined,
  report: Report,
): Promise<void> {
  if (!api) {
    for (const what of ["backlog", "exception queue"]) {
      report({
        check: `queue ${name} ${what}`,
        verdict: "not visible",
        detail: "needs RTM_WORKER_API",
      });
    }
    return;
  }
  const { ready, oldestAgeS, exceptions } = await api.backlog(name, BACKLOG_LIMIT, consumer);
  const counted = (count: number) => (count >= BACKLOG_LIMIT ? `${count} or more` : `${count}`);
  const old = oldestAgeS !== null && oldestAgeS > OLD_MESSAGE_S;
  report({
    check: `queue ${name} backlog`,
    verdict: old ? "warning" : "ok",
    detail:
      oldestAgeS === null
        ? "no message waits"
        : `${counted(ready)} ready, the oldest for ${Math.round(oldestAgeS)} s`,
    ...(old && {
      fix: "start the worker; if it runs and is idle, another session holds the messages locked (docs/operations.md)",
    }),
  });
  report({
    check: `queue ${name} exception queue`,
    verdict: exceptions > 0 ? "warning" : "ok",
    detail: exceptions > 0 ? `${counted(exceptions)} messages` : "empty",
    ...(exceptions > 0 && { fix: "see docs/operations.md, The exception queue fills" }),
  });
}
