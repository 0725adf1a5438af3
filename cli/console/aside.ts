/**
 * What lies beside the queue: the exception queue, and poison. The worker's user may see and move it
 * only where the DBA has granted that (docs/console.md); each question opens a session of its own and
 * closes it, because sessions are scarce.
 */
import { open } from "node:fs/promises";
import { join } from "node:path";
import oracledb from "oracledb";
import { messageOf } from "../../common/errors.ts";
import type { Logger } from "../../common/logger.ts";
import { qualifiedName } from "../../worker/known-queue.ts";
import { Logon } from "../../worker/logon.ts";
import { oraCode } from "../../worker/oracle-errors.ts";
import { apiOwner } from "../../worker/rtm-worker-api.ts";
import type { Session } from "../../worker/session.ts";
import type { RtmConfig } from "../config.ts";
import { CommandError } from "../exit.ts";
import type { Allowed, Aside, ExceptionRow, PoisonRow, Requeued } from "./contract.ts";

const MOST_ROWS = 50;
/** Of the end of the poison file. */
const FILE_BYTES = 256 * 1024;
/** RTM_OPERATOR.REQUEUE: there is no such message. */
const NO_MESSAGE = "ORA-20107";
/** ISO 8601 of an expression in UTC, whatever the session's calendar. */
const iso = (expression: string) =>
  `to_char(${expression}, 'YYYY-MM-DD"T"HH24:MI:SS"Z"', 'NLS_CALENDAR=GREGORIAN')`;
/** What the database says of something that is not there for this user: in SQL, in PL/SQL, since 23ai. */
const NOT_GRANTED = new Set(["ORA-00904", "ORA-00942", "ORA-01031", "ORA-06550", "ORA-41900"]);

export interface AsideOptions {
  readonly config: Pick<RtmConfig, "database" | "worker">;
  /** Directory of the poison file; undefined where there is none. */
  readonly stateDirectory: string | undefined;
  readonly log: Logger;
}

export class QueueAside {
  readonly #options: AsideOptions;
  readonly #logon: Logon;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: AsideOptions) {
    this.#options = options;
    this.#logon = new Logon(options.config.database);
  }

  /** @throws the driver's errors, `LogonRefusedError`, `SessionHungError` */
  list(): Promise<Aside> {
    return this.#withSession(async (session, owner) => {
      const exceptions = await this.#exceptions(session, owner);
      const inLog = await this.#poisonInLog(session, owner);
      const inFile = await this.#poisonInFile();
      const poison: Allowed<PoisonRow> =
        inLog.may || inFile.length > 0
          ? { may: true, rows: [...inFile, ...(inLog.may ? inLog.rows : [])] }
          : inLog;
      return { exceptions, poison, listeners: await listeners(session, owner) };
    });
  }

  /**
   * Puts a message of the exception queue back.
   * @throws {CommandError} there is none, or the user may not
   */
  requeue(messageId: string): Promise<Requeued> {
    return this.#withSession(async (session, owner) => {
      try {
        const result = await session.execute<never>(
          "requeue",
          `begin :id := ${owner}.rtm_operator.requeue(:message_id); end;`,
          {
            id: { dir: oracledb.BIND_OUT, type: oracledb.STRING, maxSize: 32 },
            message_id: messageId,
          },
        );
        await session.commit();
        const { id } = result.outBinds as unknown as { id: string };
        this.#options.log.warn({ messageId, newId: id }, "message put back from the console");
        return { messageId: id };
      } catch (error) {
        const code = oraCode(error) ?? "";
        if (code === NO_MESSAGE) {
          throw new CommandError("it is not in the exception queue any more", { cause: error });
        }
        if (NOT_GRANTED.has(code)) throw new CommandError(this.#refusal(owner), { cause: error });
        throw error;
      }
    });
  }

  /** One session at a time. */
  #withSession<T>(work: (session: Session, owner: string) => Promise<T>): Promise<T> {
    const turn = this.#turn.then(async () => {
      const { config, log } = this.#options;
      const session = await this.#logon.open({ action: "console", log });
      try {
        const name = await qualifiedName(session, config.worker.queues[0]!.name);
        return await work(session, apiOwner(config.worker, name));
      } finally {
        // Rolls back what a failed call has left open.
        await session.discard();
      }
    });
    this.#turn = turn.catch(() => {});
    return turn;
  }

  #refusal(owner: string): string {
    const user = this.#options.config.database.user || "this user";
    return `${user} may not call ${owner}.RTM_OPERATOR`;
  }

  async #exceptions(session: Session, owner: string): Promise<Allowed<ExceptionRow>> {
    try {
      const { rows = [] } = await session.execute<{
        MESSAGE_ID: string;
        ENQUEUED: string | null;
        ATTEMPTS: number;
        CHANNEL: string | null;
        EVENT_NAME: string | null;
      }>(
        "list exceptions",
        // The time is in the session's zone.
        `select message_id, attempts, channel, event_name,
                ${iso("sys_extract_utc(from_tz(cast(enq_time as timestamp), sessiontimezone))")} as enqueued
           from table(${owner}.rtm_operator.list_exceptions(:limit))`,
        { limit: MOST_ROWS },
      );
      return {
        may: true,
        rows: rows.map((row) => ({
          queue: `${owner}.RTM_QUEUE`,
          messageId: row.MESSAGE_ID,
          enqueued: row.ENQUEUED,
          attempts: row.ATTEMPTS,
          channel: row.CHANNEL,
          eventName: row.EVENT_NAME,
        })),
      };
    } catch (error) {
      if (!NOT_GRANTED.has(oraCode(error) ?? "")) throw error;
      const user = this.#options.config.database.user || "its user";
      return {
        may: false,
        why: this.#refusal(owner),
        fix: `look and put back as ${owner} (docs/operations.md, The exception queue fills), or: grant execute on ${owner}.rtm_operator to ${user}`,
      };
    }
  }

  async #poisonInLog(session: Session, owner: string): Promise<Allowed<PoisonRow>> {
    try {
      const { rows = [] } = await session.execute<{
        HAPPENED: string | null;
        MESSAGE_ID: string | null;
        CHANNEL: string | null;
        EVENT_NAME: string | null;
        REASON: string | null;
      }>(
        "list poison",
        // By the index of the rows with an error: the log may be long.
        `select ${iso("sys_extract_utc(ts)")} as happened, message_id, channel, event_name, reason
           from (select ts, message_id, channel, event_name, substr(error_message, 1, 500) as reason
                   from ${owner}.rtm_log
                  where case when error_message is not null then id end > 0
                    and status = 'REJECTED' and source = 'WORKER'
                  order by case when error_message is not null then id end desc)
          where rownum <= :limit`,
        { limit: MOST_ROWS },
      );
      return {
        may: true,
        rows: rows.map((row) => ({
          at: row.HAPPENED,
          messageId: row.MESSAGE_ID,
          channel: row.CHANNEL,
          eventName: row.EVENT_NAME,
          reason: row.REASON ?? "",
          where: "RTM_LOG",
        })),
      };
    } catch (error) {
      if (!NOT_GRANTED.has(oraCode(error) ?? "")) throw error;
      const user = this.#options.config.database.user || "its user";
      return {
        may: false,
        why: `${user} may not read ${owner}.RTM_LOG`,
        fix: `look as ${owner}: select * from rtm_log where status = 'REJECTED'; a grant would show payloads too`,
      };
    }
  }

  /** The newest ones of the file, newest first, without their payloads. */
  async #poisonInFile(): Promise<PoisonRow[]> {
    const { stateDirectory } = this.#options;
    if (stateDirectory === undefined) return [];
    const lines = await lastLines(join(stateDirectory, "poison.jsonl")).catch(() => []);
    return lines
      .slice(-MOST_ROWS)
      .reverse()
      .flatMap((line): PoisonRow[] => {
        const row = parse(line);
        if (!row) return [];
        const text = (value: unknown) => (typeof value === "string" ? value : null);
        return [
          {
            at: text(row.at),
            messageId: text(row.id),
            channel: text(row.channel),
            eventName: text(row.eventName),
            reason: `${text(row.code) ?? ""}: ${text(row.reason) ?? ""}`,
            where: "file",
          },
        ];
      });
  }
}

async function listeners(session: Session, owner: string): Promise<string | null> {
  try {
    const { rows } = await session.execute<{ LISTENERS: string | null }>(
      "listeners",
      `select ${owner}.rtm_operator.listeners as listeners from dual`,
      {},
    );
    return rows?.[0]?.LISTENERS ?? "";
  } catch (error) {
    if (NOT_GRANTED.has(oraCode(error) ?? "")) return null;
    throw error;
  }
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

async function lastLines(path: string): Promise<string[]> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - FILE_BYTES);
    const { buffer, bytesRead } = await file.read(
      Buffer.alloc(size - start),
      0,
      size - start,
      start,
    );
    const lines = buffer.toString("utf8", 0, bytesRead).split("\n");
    return (start > 0 ? lines.slice(1) : lines).filter((line) => line !== "");
  } finally {
    await file.close();
  }
}

/** For errors that reach the page: the first line, without the driver's link. */
export function briefly(error: unknown): string {
  return messageOf(error).split("\n")[0] ?? "";
}
