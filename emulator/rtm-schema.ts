/**
 * The database objects of apex-rtm as far as a driver can see them: WEBSOCKET_API and
 * RTM_WORKER_API (docs/worker-api.md), answered by handlers. Arguments are taken by position, as
 * PL/SQL takes them; only calls whose arguments are all binds are understood.
 */
import { addDictionary } from "./dictionary.ts";
import { OraError } from "./errors.ts";
import type { Emulator } from "./server.ts";
import type { Session } from "./session.ts";
import type { SqlValue, StatementCall, StatementResult } from "./statements.ts";

export interface RtmSchemaOptions {
  /** Owner of the objects, an existing user of the emulator. Default "RTM". */
  readonly owner?: string;
  /** Default "RAW". */
  readonly payload?: "RAW" | "JSON";
  /** Default 1000, as the install script sets it. */
  readonly maxRetries?: number;
  /** False: no EXECUTE on DBMS_LOCK. Default true. */
  readonly lease?: boolean;
  /** What RTM_WORKER_API.VERSIONS says. Default 1. */
  readonly apiVersion?: number;
  /** What it says is installed. Default "emulator". */
  readonly schemaVersion?: string;
  /** What the database's clock is ahead of the machine's, ms. Default 0. */
  readonly clockOffsetMs?: number;
}

/** A committed row of RTM_LOG. */
export interface LogRow {
  readonly messageId: string;
  readonly channel: string | null;
  readonly eventName: string | null;
  readonly payload: string;
  status: "QUEUED" | "DELIVERED" | "REJECTED";
  recipients: number | null;
  readonly reason: string | null;
}

export interface WorkerRow {
  readonly workerId: string;
  readonly queue: string;
  readonly host: string;
  readonly version: string;
  readonly state: string;
}

/** Longest RAW payload of PL/SQL; what is longer travels as a claim check. */
const MAX_RAW = 32_767;
const PIECE_CHARS = 8000;
const MAX_PIECES = 32;

type Args = readonly (SqlValue | SqlValue[])[];
type Outs = Record<number, SqlValue | SqlValue[]>;
type Procedure = (args: Args, call: StatementCall) => Outs | Promise<Outs>;

export class RtmSchema {
  /** Committed rows of RTM_LOG, in the order of their calls. */
  readonly log: LogRow[] = [];
  /** Rows of RTM_WORKER by worker id. */
  readonly workers = new Map<string, WorkerRow>();
  /** Committed rows of RTM_PAYLOAD. */
  readonly claims = new Map<string, string>();
  /** Set by tests: the next call of this procedure fails with the error, once. */
  readonly failures = new Map<string, OraError>();
  readonly owner: string;
  readonly queueName: string;
  readonly #emulator: Emulator;
  readonly #options: RtmSchemaOptions;
  readonly #rows = new Map<string, LogRow>();
  #claimNumber = 0;

  constructor(emulator: Emulator, options: RtmSchemaOptions = {}) {
    this.#emulator = emulator;
    this.#options = options;
    this.owner = (options.owner ?? "RTM").toUpperCase();
    this.queueName = `${this.owner}.RTM_QUEUE`;
    emulator.createQueue({
      name: this.queueName,
      table: "RTM_QT",
      payload: options.payload ?? "RAW",
      maxRetries: options.maxRetries ?? 1000,
    });
    this.#register("websocket_api.broadcast_item", (args, { session }) => {
      const [, , channel, eventName, payload] = args;
      this.broadcast(session, String(channel), String(eventName), String(payload ?? "{}"));
      return {};
    });
    for (const [name, run] of Object.entries(this.#workerApi())) {
      this.#register(`rtm_worker_api.${name}`, run);
    }
    addDictionary(emulator);
    emulator.onStatement(/current_schema/i, ({ session }) => ({
      columns: ["OWNER"],
      rows: [[session.resolve("X").split(".")[0]!]],
    }));
  }

  /** WEBSOCKET_API.BROADCAST_ITEM on the AQ path: in the session's transaction. Returns the id. */
  broadcast(session: Session, channel: string, eventName: string, payload: string): string {
    const header = { v: 1, channel, eventName, ts: this.#now() };
    const plain = `${JSON.stringify(header)}\n${payload}`;
    const isJson = this.#options.payload === "JSON";
    let body: unknown = isJson ? { ...header, payload } : plain;
    if (!isJson && Buffer.byteLength(plain) > MAX_RAW) {
      const claim = (++this.#claimNumber).toString(16).padStart(32, "0");
      session.change({
        undo: () => {},
        commit: () => void this.claims.set(claim, payload),
      });
      body = `${JSON.stringify({ ...header, claim })}\n`;
    }
    const messageId = session.enqueue(this.queueName, body).toString("hex");
    this.#logAtCommit(session, {
      messageId,
      channel,
      eventName,
      payload,
      status: "QUEUED",
      recipients: null,
      reason: null,
    });
    return messageId;
  }

  #logAtCommit(session: Session, row: LogRow): void {
    const commit = () => {
      this.log.push(row);
      this.#rows.set(row.messageId, row);
    };
    session.change({ undo: () => {}, commit });
  }

  #now(): number {
    return Date.now() + (this.#options.clockOffsetMs ?? 0);
  }

  #register(procedure: string, run: Procedure): void {
    const name = procedure.split(".")[1]!;
    const pattern = new RegExp(`\\b${procedure.replace(".", "\\.")}\\s*\\(([^()]*)\\)`, "i");
    this.#emulator.onStatement(pattern, async (call): Promise<StatementResult> => {
      const failure = this.failures.get(name);
      this.failures.delete(name);
      const names = bindNames(pattern.exec(call.sql)![1]!);
      const returning = /:\s*(\w+)\s*:=\s*[\w.]+\s*\(/.exec(call.sql)?.[1]?.toUpperCase();
      if (failure) {
        const error = /:(\w+)\s*:=\s*substr\(sqlerrm/i.exec(call.sql)?.[1]?.toUpperCase();
        if (error === undefined) throw failure;
        return { out: { [error]: failure.message } };
      }
      const args = names.map((bind) => call.binds[bind] ?? null);
      const outs = await run(args, call);
      const out: Record<string, SqlValue | SqlValue[]> = {};
      for (const [position, value] of Object.entries(outs)) {
        const bind = Number(position) < 0 ? returning : names[Number(position)];
        if (bind !== undefined) out[bind] = value;
      }
      return { out };
    });
  }

  /** Positions of OUT arguments count from 0; -1 is a function's result. */
  #workerApi(): Record<string, Procedure> {
    const options = this.#options;
    return {
      versions: () => ({
        0: options.apiVersion ?? 1,
        1: options.schemaVersion ?? "emulator",
        2: "emulator",
        3: this.queueName,
        4: options.payload ?? "RAW",
        5: options.lease === false ? 0 : 1,
        6: this.#now(),
      }),
      acquire_lease: async ([queue, timeout], { session, signal }) => {
        if (options.lease === false) return { "-1": "NO_GRANT" };
        const name = `rtm:${String(queue).toUpperCase()}`;
        const result = await session.lock(name, Number(timeout ?? 0) * 1000, signal);
        return { "-1": result === "timeout" ? "BUSY" : "ACQUIRED" };
      },
      release_lease: ([queue], { session }) => {
        session.unlock(`rtm:${String(queue).toUpperCase()}`);
        return {};
      },
      heartbeat: ([worker, queue, host, version, state]) => {
        this.workers.set(String(worker), {
          workerId: String(worker),
          queue: String(queue),
          host: String(host),
          version: String(version),
          state: String(state),
        });
        return {};
      },
      backlog: ([queue, limit]) => this.#backlog(String(queue), Number(limit)),
      receipts: ([ids, recipients], { session }) => {
        for (const [index, id] of (ids as SqlValue[]).entries()) {
          const delivered = Number((recipients as SqlValue[])[index]);
          session.change({ undo: () => {}, commit: () => this.#receipt(String(id), delivered) });
        }
        return {};
      },
      claim: ([claim, offset]) => this.#claim(String(claim), Number(offset)),
      delete_claims: ([claims], { session }) => {
        for (const claim of claims as SqlValue[]) {
          session.change({ undo: () => {}, commit: () => void this.claims.delete(String(claim)) });
        }
        return {};
      },
      dequeue_text: ([queue, , , wait, navigation], call) =>
        this.#dequeueText(String(queue), Number(wait), Number(navigation), call),
      set_aside: ([, id, channel, eventName, code, reason, pieces], { session }) => {
        this.#logAtCommit(session, {
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
        this.broadcast(session, String(channel), "rtm-probe", JSON.stringify({ probe: nonce }));
        return { "-1": "AQ" };
      },
    };
  }

  #backlog(queueName: string, limit: number): Outs {
    const queue = this.#emulator.queue(queueName);
    // To another session, what is dequeued and not yet committed is still ready.
    const ready = queue
      .messages()
      .filter(({ status }) => status === "ready" || status === "locked");
    const oldest = Math.min(...ready.map(({ enqueueTime }) => Number(enqueueTime)));
    return {
      2: Math.min(ready.length, limit),
      3: ready.length === 0 ? null : Math.max(0, (Date.now() - oldest) / 1000),
      4: Math.min(this.#emulator.queue(queue.exceptionQueue).depth(), limit),
    };
  }

  #receipt(messageId: string, recipients: number): void {
    const row = this.#rows.get(messageId);
    if (!row) return;
    row.status = "DELIVERED";
    row.recipients = recipients;
  }

  #claim(claimId: string, offset: number): Outs {
    const text = this.claims.get(claimId);
    if (text === undefined) throw new OraError(20121, `no claim check ${claimId}`);
    const { pieces, next } = cut(text, offset - 1);
    return { 2: pieces, 3: next === null ? null : next + 1 };
  }

  async #dequeueText(
    queueName: string,
    wait: number,
    navigation: number,
    { session, signal }: StatementCall,
  ): Promise<Outs> {
    const [message] = await session.dequeue(queueName, { wait, navigation, signal });
    if (!message) return { 5: null, 6: null, 7: null, 8: [], 9: 0 };
    const { payload } = message;
    const text = Buffer.isBuffer(payload) ? payload.toString("utf8") : JSON.stringify(payload);
    const { pieces, next } = cut(text, 0);
    return {
      5: Buffer.from(message.id).toString("hex"),
      6: message.attempts,
      7: Number(message.enqueueTime),
      8: pieces,
      9: next === null ? 0 : 1,
    };
  }
}

function bindNames(argumentList: string): string[] {
  return argumentList.split(",").map((part) => {
    const name = /:\s*(\w+)\s*$/.exec(part.trim())?.[1];
    return name?.toUpperCase() ?? "";
  });
}

/** Pieces of `text` from character `start`, and where the next call has to go on. */
function cut(text: string, start: number): { pieces: string[]; next: number | null } {
  const pieces: string[] = [];
  let position = start;
  while (position < text.length && pieces.length < MAX_PIECES) {
    let end = Math.min(position + PIECE_CHARS, text.length);
    const last = text.charCodeAt(end - 1);
    if (end < text.length && last >= 0xd800 && last <= 0xdbff) end--;
    pieces.push(text.slice(position, end));
    position = end;
  }
  return { pieces, next: position < text.length ? position : null };
}
