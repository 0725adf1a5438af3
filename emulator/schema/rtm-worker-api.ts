/** RTM_WORKER_API, written from sql/api/worker/rtm_worker_api.pks; docs/worker-api.md describes it. */
import { OraError } from "../errors.ts";
import type { Emulator } from "../server.ts";
import type { Session } from "../session.ts";
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
    acquire_lease: async ([queue, timeout], { session, signal }) => {
      if (options.lease === false) return { "-1": "NO_GRANT" };
      const name = `rtm:${String(queue).toUpperCase()}`;
      const result = await session.lock(name, Number(timeout ?? 0) * 1000, signal);
      return { "-1": result === "timeout" ? "BUSY" : "ACQUIRED" };
    },
    lease_token: () => ({ "-1": ++fence }),
    release_lease: ([queue], { session }) => {
      session.unlock(`rtm:${String(queue).toUpperCase()}`);
      return {};
    },
    heartbeat: ([worker, queue, host, version, state]) => {
      schema.workers.set(String(worker), {
        workerId: String(worker),
        queue: String(queue),
        host: String(host),
        version: String(version),
        state: String(state),
      });
      return {};
    },
    backlog: ([queue, limit]) => backlog(emulator, String(queue), Number(limit)),
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
    dequeue_text: async ([queue, , , wait, navigation], call) => {
      if (!(Number(wait) >= 0 && Number(wait) <= 120)) {
        throw new OraError(20120, "p_wait_s must be a whole number from 0 to 120");
      }
      const found = await dequeueText(call, String(queue), Number(wait), Number(navigation));
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

function backlog(emulator: Emulator, queueName: string, limit: number): Outs {
  const queue = emulator.queue(queueName);
  // To another session, what is dequeued and not yet committed is still ready.
  const ready = queue.messages().filter(({ status }) => status === "ready" || status === "locked");
  const oldest = Math.min(...ready.map(({ enqueueTime }) => Number(enqueueTime)));
  return {
    2: Math.min(ready.length, limit),
    3: ready.length === 0 ? null : Math.max(0, (Date.now() - oldest) / 1000),
    4: Math.min(emulator.queue(queue.exceptionQueue).depth(), limit),
  };
}

/** RTM_WORKER_API.CLAIM: offsets count from 1. */
function claimPieces(claims: ReadonlyMap<string, string>, claimId: string, offset: number): Outs {
  const text = claims.get(claimId);
  if (text === undefined) throw new OraError(20121, `no claim check ${claimId}`);
  const { pieces, next } = cut(text, offset - 1);
  return { 2: pieces, 3: next === null ? null : next + 1 };
}
