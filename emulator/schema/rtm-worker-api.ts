/** RTM_WORKER_API, written from sql/api/worker/rtm_worker_api.pks; docs/worker-api.md describes it. */
import { OraError } from "../errors.ts";
import type { LockMode } from "../locks.ts";
import type { Emulator } from "../server.ts";
import type { Session } from "../session.ts";
import type { StatementCall } from "../sql/statements.ts";
import type { SqlValue } from "../sql/values.ts";
import { cut, dequeueText } from "./plsql-dequeue.ts";
import type { Outs, Procedure } from "./procedures.ts";
import type { RtmControl } from "./rtm-control.ts";
import type { RtmLog } from "./rtm-log.ts";
import type { RtmMembers } from "./rtm-members.ts";

/** Procedures that version 1 does not have. */
export const SINCE_VERSION_2: readonly string[] = ["revocations", "presence"];

/** A row of RTM_WORKER. */
export interface WorkerRow {
  readonly workerId: string;
  readonly queue: string;
  readonly host: string;
  readonly version: string;
  readonly state: string;
}

/** What the procedures need of the schema. */
export interface WorkerApiSchema {
  readonly queueName: string;
  readonly apiVersion: number;
  readonly rtmLog: RtmLog;
  readonly workers: Map<string, WorkerRow>;
  readonly claims: Map<string, string>;
  readonly control: RtmControl;
  readonly presence: RtmMembers;
  /** The database's clock, ms since 1970. */
  now(): number;
  broadcast(session: Session, channel: string, eventName: string, payload: string): string;
}

/** By name. */
export function workerApi(
  emulator: Emulator,
  schema: WorkerApiSchema,
  options: { schemaVersion?: string; payload?: "RAW" | "JSON"; lease?: boolean },
): Record<string, Procedure> {
  let fence = 0;
  return {
    versions: () => ({
      0: schema.apiVersion,
      1: options.schemaVersion ?? "emulator",
      2: "emulator",
      3: schema.queueName,
      4: options.payload ?? "RAW",
      5: options.lease === false ? 0 : 1,
      6: schema.now(),
    }),
    acquire_lease: async ([queue, timeout, consumer], call) => {
      if (consumer !== undefined) needVersion3(schema, "ACQUIRE_LEASE");
      if (options.lease === false) return { "-1": "NO_GRANT" };
      const waitMs = Number(timeout ?? 0) * 1000;
      const acquired = await acquireLease(call, String(queue), waitMs, consumer as SqlValue);
      return { "-1": acquired ? "ACQUIRED" : "BUSY" };
    },
    lease_token: () => ({ "-1": ++fence }),
    release_lease: ([queue, consumer], { session }) => {
      if (consumer !== undefined) needVersion3(schema, "RELEASE_LEASE");
      session.unlock(leaseOf(String(queue), consumer as SqlValue));
      session.unlock(leaseOf(String(queue)));
      return {};
    },
    heartbeat: ([worker, queue, host, version, state]) => {
      schema.workers.set(`${worker} ${queue}`, {
        workerId: String(worker),
        queue: String(queue),
        host: String(host),
        version: String(version),
        state: String(state),
      });
      return {};
    },
    backlog: ([queue, limit, , , , consumer]) => {
      if (consumer !== undefined) needVersion3(schema, "BACKLOG");
      return backlog(emulator, String(queue), Number(limit), consumer as SqlValue);
    },
    receipts: ([ids, recipients], { session }) => {
      for (const [index, id] of (ids as SqlValue[]).entries()) {
        const delivered = Number((recipients as SqlValue[])[index]);
        schema.rtmLog.addReceipt(session, String(id), delivered);
      }
      return {};
    },
    claim: ([claim, offset]) => claimPieces(schema.claims, String(claim), Number(offset)),
    delete_claims: ([claims], { session }) => {
      for (const claim of claims as SqlValue[]) {
        const commit = () => void schema.claims.delete(String(claim));
        session.change({ undo: () => {}, commit });
      }
      return {};
    },
    revocations: ([after]) => {
      const { items, next } = schema.control.inForce(Number(after));
      return { 1: items, 2: next };
    },
    presence: (args) => ({ 7: schema.presence.report(args) }),
    dequeue_text: async ([queue, , consumer, wait, navigation], call) => {
      if (!(Number(wait) >= 0 && Number(wait) <= 120)) {
        throw new OraError(20120, "p_wait_s must be a whole number from 0 to 120");
      }
      const found = await dequeueText(
        call,
        String(queue),
        Number(wait),
        Number(navigation),
        consumer as SqlValue,
      );
      const { id, attempts, enqueuedMs, pieces, truncated } = found;
      return { 5: id, 6: attempts, 7: enqueuedMs, 8: pieces, 9: truncated };
    },
    set_aside: ([, id, channel, eventName, code, reason, pieces], { session }) => {
      schema.rtmLog.add(session, {
        messageId: String(id),
        channel: channel === null ? null : String(channel),
        eventName: eventName === null ? null : String(eventName),
        payload: (pieces as SqlValue[]).join(""),
        status: "REJECTED",
        recipients: null,
        reason: `${code}: ${reason}`,
      });
      return {};
    },
    probe: ([nonce, channel], { session }) => {
      schema.broadcast(session, String(channel), "rtm-probe", JSON.stringify({ probe: nonce }));
      return { "-1": "AQ" };
    },
  };
}

/** Parameters that version 3 added. */
function needVersion3(schema: WorkerApiSchema, name: string): void {
  if (schema.apiVersion >= 3) return;
  throw new OraError(6550, `PLS-00306: wrong number or types of arguments in call to '${name}'`);
}

/** Name of the lock of a queue, or of one of its consumers. */
function leaseOf(queue: string, consumer?: SqlValue): string {
  const name = `rtm:${queue.toUpperCase()}`;
  return consumer ? `${name}:${String(consumer).toUpperCase()}` : name;
}

/** As the package does it: a consumer shares the queue's lock and has one of its own. */
async function acquireLease(
  { session, signal }: StatementCall,
  queue: string,
  waitMs: number,
  consumer: SqlValue,
): Promise<boolean> {
  const lock = async (name: string, ms: number, mode: LockMode) =>
    session.lock(name, ms, signal, mode);
  if (!consumer) return (await lock(leaseOf(queue), waitMs, "exclusive")) !== "timeout";
  let leftMs = waitMs;
  let shared = await lock(leaseOf(queue), 0, "shared");
  if (shared === "timeout" && waitMs > 0) {
    shared = await lock(leaseOf(queue), waitMs, "shared");
    leftMs = 0;
  }
  if (shared === "timeout") return false;
  if ((await lock(leaseOf(queue, consumer), leftMs, "exclusive")) !== "timeout") return true;
  if (shared === "granted") session.unlock(leaseOf(queue));
  return false;
}

function backlog(emulator: Emulator, name: string, limit: number, consumer: SqlValue): Outs {
  const whole = emulator.queue(name);
  const consumers = consumer ? [String(consumer)] : whole.subscribers;
  const names = consumers.length > 0 ? consumers.map((each) => `${name}:${each}`) : [name];
  // To another session, what is dequeued and not yet committed is still ready.
  const ready = names
    .flatMap((each) => emulator.queue(each).messages())
    .filter(({ status }) => status === "ready" || status === "locked");
  const oldest = Math.min(...ready.map(({ enqueueTime }) => Number(enqueueTime)));
  return {
    2: Math.min(ready.length, limit),
    3: ready.length === 0 ? null : Math.max(0, (Date.now() - oldest) / 1000),
    4: Math.min(emulator.queue(whole.exceptionQueue).depth(), limit),
  };
}

/** RTM_WORKER_API.CLAIM: offsets count from 1. */
function claimPieces(claims: ReadonlyMap<string, string>, claimId: string, offset: number): Outs {
  const text = claims.get(claimId);
  if (text === undefined) throw new OraError(20121, `no claim check ${claimId}`);
  const { pieces, next } = cut(text, offset - 1);
  return { 2: pieces, 3: next === null ? null : next + 1 };
}
