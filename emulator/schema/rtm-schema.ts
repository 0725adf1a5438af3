/**
 * The database objects of apex-rtm as far as a driver can see them: WEBSOCKET_API and
 * RTM_WORKER_API (docs/worker-api.md), answered by handlers.
 */
import { OraError } from "../errors.ts";
import type { Emulator } from "../server.ts";
import type { Session } from "../session.ts";
import { addDictionary } from "./dictionary.ts";
import { addProcedure, type Procedure } from "./procedures.ts";
import { addAdmin } from "./rtm-admin.ts";
import { RtmControl } from "./rtm-control.ts";
import { type LogRow, RtmLog } from "./rtm-log.ts";
import { RtmMembers } from "./rtm-members.ts";
import { SINCE_VERSION_2, type WorkerRow, workerApi } from "./rtm-worker-api.ts";

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
  /**
   * What RTM_WORKER_API.VERSIONS says; version 1 has neither REVOCATIONS nor PRESENCE,
   * version 2 no consumers. Default 3.
   */
  readonly apiVersion?: number;
  /** What it says is installed. Default "emulator". */
  readonly schemaVersion?: string;
  /** What the database's clock is ahead of the machine's, ms. Default 0. */
  readonly clockOffsetMs?: number;
}

/** Longest RAW payload of PL/SQL; what is longer travels as a claim check. */
const MAX_RAW = 32_767;

export class RtmSchema {
  readonly rtmLog = new RtmLog();
  /** Committed rows of RTM_LOG, in the order of their calls. */
  get log(): readonly LogRow[] {
    return this.rtmLog.rows;
  }
  /** Of the committed broadcasts: their first rows. */
  get broadcasts(): readonly LogRow[] {
    return this.log.filter(({ status }) => status === "QUEUED");
  }
  /** Rows of RTM_WORKER by worker id and queue. */
  readonly workers = new Map<string, WorkerRow>();
  /** Committed claim checks of RTM_DELIVERY. */
  readonly claims = new Map<string, string>();
  readonly control: RtmControl;
  readonly presence = new RtmMembers(() => this.now());
  /** Set by tests: the next call of this procedure fails with the error, once. */
  readonly failures = new Map<string, OraError>();
  readonly owner: string;
  readonly queueName: string;
  /** What RTM_WORKER_API.VERSIONS says; an upgrade of the database changes it. */
  apiVersion: number;
  readonly #emulator: Emulator;
  readonly #options: RtmSchemaOptions;
  /** What the database's clock is ahead of the machine's, ms. */
  clockOffsetMs: number;
  #claimNumber = 0;

  constructor(emulator: Emulator, options: RtmSchemaOptions = {}) {
    this.#emulator = emulator;
    this.#options = options;
    this.clockOffsetMs = options.clockOffsetMs ?? 0;
    this.owner = (options.owner ?? "RTM").toUpperCase();
    this.queueName = `${this.owner}.RTM_QUEUE`;
    this.apiVersion = options.apiVersion ?? 3;
    emulator.createQueue({
      name: this.queueName,
      table: "RTM_QT",
      payload: options.payload ?? "RAW",
      maxRetries: options.maxRetries ?? 1000,
      retryDelay: options.retryDelay ?? 0,
    });
    const enqueue = (session: Session, header: object, body: string) => {
      const isJson = options.payload === "JSON";
      const item = isJson ? { ...header, payload: body } : `${JSON.stringify(header)}\n${body}`;
      session.enqueue(this.queueName, item);
    };
    this.control = new RtmControl({ now: () => this.now(), enqueue, userChannel });
    this.#registerWebsocketApi();
    for (const [name, run] of Object.entries(workerApi(emulator, this, options))) {
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
    const header = { v: 1, channel, eventName, ts: this.now(), ...retained(retain) };
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
    this.rtmLog.add(session, {
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

  #registerWebsocketApi(): void {
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
    for (const [name, run] of Object.entries(this.control.procedures)) {
      this.#register(`websocket_api.${name}`, (args, { session }) => {
        run(session, args);
        return {};
      });
    }
  }

  /** The database's clock, ms since 1970. */
  now(): number {
    return Date.now() + this.clockOffsetMs;
  }

  #register(procedure: string, run: Procedure): void {
    const name = procedure.split(".")[1]!;
    const ofWorker = procedure.startsWith("rtm_worker_api.");
    addProcedure(this.#emulator, procedure, run, {
      owner: this.owner,
      isAbsent: () =>
        ofWorker &&
        (this.#options.workerApi === false ||
          (this.apiVersion === 1 && SINCE_VERSION_2.includes(name))),
      takeFailure: () => {
        const failure = this.failures.get(name);
        this.failures.delete(name);
        return failure;
      },
    });
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
export function userChannel(user: string): string {
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
