/**
 * The database objects of apex-rtm as far as a driver can see them: WEBSOCKET_API and
 * RTM_WORKER_API (docs/worker-api.md), answered by handlers. Arguments are taken by position, as
 * PL/SQL takes them; only calls whose arguments are all binds are understood.
 */
import { addDictionary } from "./dictionary.ts";
import { OraError } from "./errors.ts";
import { cut, dequeueText } from "./plsql-dequeue.ts";
import { addAdmin } from "./rtm-admin.ts";
import { RtmControl } from "./rtm-control.ts";
import { RtmPresence } from "./rtm-presence.ts";
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
  /** Seconds. Default 0. */
  readonly retryDelay?: number;
  /** False: RTM_WORKER_API is not installed. Default true. */
  readonly workerApi?: boolean;
  /** False: no EXECUTE on DBMS_LOCK. Default true. */
  readonly lease?: boolean;
  /** What RTM_WORKER_API.VERSIONS says; version 1 has neither REVOCATIONS nor PRESENCE. Default 2. */
  readonly apiVersion?: number;
  /** What it says is installed. Default "emulator". */
  readonly schemaVersion?: string;
  /** What the database's clock is ahead of the machine's, ms. Default 0. */
  readonly clockOffsetMs?: number;
}

/** A committed row of RTM_LOG. The log is append-only: the newest row of a message tells its state. */
export interface LogRow {
  readonly messageId: string;
  readonly channel: string | null;
  readonly eventName: string | null;
  /** Empty in a receipt. */
  readonly payload: string;
  readonly status: "QUEUED" | "DELIVERED" | "REJECTED";
  readonly recipients: number | null;
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

/** Of RTM_WORKER_API. */
const SINCE_VERSION_2 = ["revocations", "presence"];

type Args = readonly (SqlValue | SqlValue[])[];
type Outs = Record<number, SqlValue | SqlValue[]>;
type Procedure = (args: Args, call: StatementCall) => Outs | Promise<Outs>;

export class RtmSchema {
  /** Committed rows of RTM_LOG, in the order of their calls. */
  readonly log: LogRow[] = [];
  /** Of the committed broadcasts: their first rows. */
  get broadcasts(): readonly LogRow[] {
    return this.log.filter(({ status }) => status === "QUEUED");
  }
  /** Rows of RTM_WORKER by worker id. */
  readonly workers = new Map<string, WorkerRow>();
  /** Committed claim checks of RTM_DELIVERY. */
  readonly claims = new Map<string, string>();
  readonly control: RtmControl;
  readonly presence = new RtmPresence(() => this.#now());
  /** Set by tests: the next call of this procedure fails with the error, once. */
  readonly failures = new Map<string, OraError>();
  readonly owner: string;
  readonly queueName: string;
  /** What RTM_WORKER_API.VERSIONS says; an upgrade of the database changes it. */
  apiVersion: number;
  readonly #emulator: Emulator;
  readonly #options: RtmSchemaOptions;
  readonly #rows = new Map<string, LogRow>();
  /** What the database's clock is ahead of the machine's, ms. */
  clockOffsetMs: number;
  #claimNumber = 0;
  #fence = 0;

  constructor(emulator: Emulator, options: RtmSchemaOptions = {}) {
    this.#emulator = emulator;
    this.#options = options;
    this.clockOffsetMs = options.clockOffsetMs ?? 0;
    this.owner = (options.owner ?? "RTM").toUpperCase();
    this.queueName = `${this.owner}.RTM_QUEUE`;
    this.apiVersion = options.apiVersion ?? 2;
    emulator.createQueue({
      name: this.queueName,
      table: "RTM_QT",
      payload: options.payload ?? "RAW",
      maxRetries: options.maxRetries ?? 1000,
      retryDelay: options.retryDelay ?? 0,
    });
    this.#register("websocket_api.broadcast_item", (args, { session }) => {
      const [, , channel, eventName, payload, , , retain] = args;
      this.broadcast(session, String(channel), String(eventName), String(payload ?? "{}"), retain);
      return {};
    });
    for (const [name, channelOf] of [
      ["broadcast", String],
      ["broadcast_user", userChannel],
    ] as const) {
      this.#register(`websocket_api.${name}`, (args, { session }) => {
        const [to, eventName, payload, , , retain] = args;
        const channel = channelOf(String(to));
        this.broadcast(session, channel, String(eventName), String(payload ?? "{}"), retain);
        return {};
      });
    }
    const enqueue = (session: Session, header: object, body: string) => {
      const isJson = options.payload === "JSON";
      const item = isJson ? { ...header, payload: body } : `${JSON.stringify(header)}\n${body}`;
      session.enqueue(this.queueName, item);
    };
    this.control = new RtmControl({ now: () => this.#now(), enqueue, userChannel });
    for (const [name, run] of Object.entries(this.control.procedures)) {
      this.#register(`websocket_api.${name}`, (args, { session }) => {
        run(session, args);
        return {};
      });
    }
    for (const [name, run] of Object.entries(this.#workerApi())) {
      this.#register(`rtm_worker_api.${name}`, run);
    }
    addDictionary(emulator);
    addAdmin(emulator, this);
    emulator.onStatement(/current_schema/i, ({ session }) => ({
      columns: ["OWNER"],
      rows: [[session.resolve("X").split(".")[0]!]],
    }));
  }

  /**
   * WEBSOCKET_API.BROADCAST_ITEM on the AQ path: in the session's transaction. Returns the id.
   * @param retain seconds; null or absent for no retaining
   */
  broadcast(
    session: Session,
    channel: string,
    eventName: string,
    payload: string,
    retain?: unknown,
  ): string {
    const header = { v: 1, channel, eventName, ts: this.#now(), ...retained(retain) };
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
    return Date.now() + this.clockOffsetMs;
  }

  #register(procedure: string, run: Procedure): void {
    const name = procedure.split(".")[1]!;
    const pattern = new RegExp(
      `(?:(\\w+)\\.)?\\b${procedure.replace(".", "\\.")}\\s*\\(([^()]*)\\)`,
      "i",
    );
    this.#emulator.onStatement(pattern, async (call): Promise<StatementResult> => {
      const [, owner, argumentList] = pattern.exec(call.sql)!;
      const absent =
        procedure.startsWith("rtm_worker_api.") &&
        (this.#options.workerApi === false ||
          (this.apiVersion === 1 && SINCE_VERSION_2.includes(name)));
      if (absent || (owner ?? this.owner).toUpperCase() !== this.owner) {
        const full = `${owner}.${procedure}`.toUpperCase();
        throw new OraError(6550, `PLS-00201: identifier '${full}' must be declared`);
      }
      const failure = this.failures.get(name);
      this.failures.delete(name);
      const names = bindNames(argumentList!);
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
        0: this.apiVersion,
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
      lease_token: () => ({ "-1": ++this.#fence }),
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
      revocations: ([after]) => {
        const { items, next } = this.control.inForce(Number(after));
        return { 1: items, 2: next };
      },
      presence: (args) => ({ 7: this.presence.report(args) }),
      dequeue_text: async ([queue, , , wait, navigation], call) => {
        if (!(Number(wait) >= 0 && Number(wait) <= 120)) {
          throw new OraError(20120, "p_wait_s must be a whole number from 0 to 120");
        }
        const found = await dequeueText(call, String(queue), Number(wait), Number(navigation));
        const { id, attempts, enqueuedMs, pieces, truncated } = found;
        return { 5: id, 6: attempts, 7: enqueuedMs, 8: pieces, 9: truncated };
      },
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

  /** A further row for a message that has one. */
  #receipt(messageId: string, recipients: number): void {
    const row = this.#rows.get(messageId);
    if (row) this.log.push({ ...row, payload: "", status: "DELIVERED", recipients });
  }

  #claim(claimId: string, offset: number): Outs {
    const text = this.claims.get(claimId);
    if (text === undefined) throw new OraError(20121, `no claim check ${claimId}`);
    const { pieces, next } = cut(text, offset - 1);
    return { 2: pieces, 3: next === null ? null : next + 1 };
  }
}

/** The header's member of `p_retain_s`, checked as RTM_MESSAGE does. */
function retained(seconds: unknown): { retain?: number } {
  if (seconds === undefined || seconds === null) return {};
  if (!Number.isInteger(seconds) || Number(seconds) < 1 || Number(seconds) > 604_800) {
    throw new OraError(20106, "p_retain_s must be a whole number from 1 to 604800");
  }
  return { retain: Number(seconds) };
}

/** WEBSOCKET_API.USER_CHANNEL, for names of at most 128 bytes. */
function userChannel(user: string): string {
  const escaped = user
    .trim()
    .toUpperCase()
    .replace(/[*%\p{Cc}]/gu, (char) =>
      [...Buffer.from(char)]
        .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`)
        .join(""),
    );
  return `user:${escaped}`;
}

function bindNames(argumentList: string): string[] {
  return argumentList.split(",").map((part) => {
    const name = /:\s*(\w+)\s*$/.exec(part.trim())?.[1];
    return name?.toUpperCase() ?? "";
  });
}
