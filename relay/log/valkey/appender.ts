/**
 * Appends to the log over a connection of its own. A batch that does not fit one entry goes in parts,
 * one after the other, and belongs to one epoch: when another begins in the middle, it begins again
 * with its first part, or a redelivery would put an early message behind a later one.
 */
import { randomBytes } from "node:crypto";
import { retryForever } from "../../../common/backoff.ts";
import { messageOf } from "../../../common/errors.ts";
import { type Logger, RateLimitedLog } from "../../../common/logger.ts";
import type { Message } from "../../contract/message.ts";
import { isFact, type Notice, type SharedTable } from "../fact.ts";
import type { Appended, AppendOptions, Noted } from "../log.ts";
import { RETAINED_DROPS, type RetainedBounds, type RetainedDrop } from "../retained-value.ts";
import { APPEND } from "./append-script.ts";
import { type Attached, attach } from "./attach.ts";
import { type Argument, type EngineAddress, EngineConnection } from "./connection.ts";
import { encodeRest, messageLength, splitBatch } from "./entry.ts";
import { EngineRefusedError, EngineUnreachableError } from "./errors.ts";
import { RECONNECT } from "./follower.ts";
import type { EngineKeys } from "./keys.ts";
import type { Knowledge } from "./knowledge.ts";
import { encodeNotice, noticeLength, storedFact } from "./notice.ts";
import { NOTE } from "./scripts.ts";
import type { LogStats } from "./stats.ts";

/** How often a batch begins again before its caller must decide. */
const RESTARTS = 5;
/** Bytes of an entry's random token. */
const TOKEN_BYTES = 6;

export interface AppenderOptions {
  readonly address: EngineAddress;
  readonly keys: EngineKeys;
  readonly knowledge: Knowledge;
  /** Message ids remembered per source, at least; up to twice as many are. */
  readonly ids: number;
  /** The log never holds more bytes than this, whoever trims it. */
  readonly hardBytes: number;
  /** The first entry of an epoch that is still wanted; 0 when unknown. */
  readonly keepFrom: (epoch: string) => number;
  readonly retained: RetainedBounds;
  readonly log: Logger;
  readonly stats: LogStats;
}

const unavailable = (message: string): Appended => ({
  status: "unavailable",
  code: "unavailable",
  message,
});

export class Appender {
  readonly #options: AppenderOptions;
  readonly #warnings: RateLimitedLog;
  #connection: EngineConnection | undefined;
  #epoch = "";
  #problem = "the log has not been reached yet";

  constructor(options: AppenderOptions) {
    this.#options = options;
    this.#warnings = new RateLimitedLog(options.log, 60_000);
  }

  /** Keeps a connection until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    const { address, stats } = this.#options;
    try {
      await retryForever(
        async () => {
          const connection = await EngineConnection.open(address, signal);
          try {
            await this.#attach(connection);
            this.#connection = connection;
            throw await connection.untilEnd(signal);
          } finally {
            this.#connection = undefined;
            connection.destroy(new EngineUnreachableError("the connection was given up"));
          }
        },
        {
          bounds: RECONNECT,
          signal,
          madeProgress: () => this.#epoch !== "",
          onRetry: ({ error, delayMs }) => {
            stats.reconnects++;
            this.#problem = messageOf(error);
            this.#warnings.warn(
              (error as { code?: string }).code ?? "defect",
              { err: error, delayMs },
              "the log cannot be appended to",
            );
          },
        },
      );
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Where the log ends now. @throws {RtmError} it cannot be asked */
  async ask(): Promise<Attached> {
    if (!this.#connection) throw new EngineUnreachableError(this.#problem);
    return this.#attach(this.#connection);
  }

  /** As `Log.sizeOf`. @throws {RtmError} it cannot be asked */
  async sizeOf(table: SharedTable): Promise<number> {
    if (!this.#connection) throw new EngineUnreachableError(this.#problem);
    return (await this.#connection.call("HLEN", [this.#options.keys.table(table)])) as number;
  }

  async #attach(connection: EngineConnection): Promise<Attached> {
    const { keys, knowledge } = this.#options;
    const attached = await attach(connection, keys, knowledge);
    this.#epoch = attached.epoch;
    return attached;
  }

  async append(batch: readonly Message[], options: AppendOptions): Promise<readonly Appended[]> {
    const { stats } = this.#options;
    const begun = performance.now();
    const answers = await this.#appendWhole(batch, options);
    stats.onAppend((performance.now() - begun) / 1000);
    for (const answer of answers) {
      stats.appended[
        answer.status === "accepted" && answer.duplicate ? "duplicate" : answer.status
      ]++;
    }
    return answers;
  }

  async #appendWhole(
    batch: readonly Message[],
    options: AppendOptions,
  ): Promise<readonly Appended[]> {
    if (batch.length === 0) return [];
    const parts = splitBatch(batch, messageLength);
    let taken: Appended[] = [];
    let problem = "the log's epoch changes again and again";
    try {
      for (let restart = 0; restart < RESTARTS; restart++) {
        taken = [];
        const outcome = await this.#appendParts(parts, options, taken);
        if (outcome === "done") return taken;
        if (outcome === "fenced") {
          const message = "a later holder of the queue's lease has appended";
          return batch.map(() => ({ status: "fenced", code: "fenced", message }));
        }
      }
    } catch (error) {
      problem = messageOf(error);
      // Not a lost connection, which is reported where it is made anew: a full or failing engine.
      if (error instanceof EngineRefusedError) {
        this.#warnings.warn(error.code, { err: error }, "the engine does not take messages");
      }
    }
    // Messages with new ids must not be given again, so their sender is told which ones are in. All
    // others are given again as a whole: what is in is known by its id, and in a new epoch the
    // order holds.
    const known = options.ownIds ? taken : [];
    return [...known, ...batch.slice(known.length).map(() => unavailable(problem))];
  }

  async #appendParts(
    parts: readonly (readonly Message[])[],
    { source, ownIds = false, signal }: AppendOptions,
    taken: Appended[],
  ): Promise<"done" | "again" | "fenced"> {
    const { keys, knowledge, ids, hardBytes, keepFrom, retained } = this.#options;
    const connection = this.#connection;
    if (!connection) throw new EngineUnreachableError(this.#problem);
    const epoch = this.#epoch;
    const names = [keys.state, keys.log, ...keys.ids(source.name), keys.fences, keys.table("last")];
    for (const part of parts) {
      const token = randomBytes(TOKEN_BYTES).toString("base64url");
      const head = [
        epoch,
        source.name,
        source.fence ?? "",
        token,
        ownIds ? 1 : 0,
        ids,
        keepFrom(epoch),
        hardBytes,
        part.some(({ retain }) => retain !== undefined) ? 1 : 0,
        retained.count,
        retained.bytes,
        knowledge.time(),
      ];
      const messages = part.flatMap((each) => [each.id, each.channel, encodeRest(each)]);
      const reply = (await unlessAborted(
        connection.run(APPEND, names, [...head, ...messages]),
        signal,
      )) as readonly [string, number, readonly number[], number, number];
      const [status, n, seqs, full, tooLarge] = reply;
      if (status === "fenced") return "fenced";
      if (status === "moved") {
        await this.#attach(connection);
        return "again";
      }
      if (seqs.some((seq) => seq > 0)) knowledge.acknowledged({ epoch, n, token });
      this.#retainedDropped("full", full);
      this.#retainedDropped("too_large", tooLarge);
      for (const seq of seqs) {
        taken.push({ status: "accepted", seq: Math.abs(seq), duplicate: seq < 0 });
      }
    }
    return "done";
  }

  #retainedDropped(reason: RetainedDrop, count: number): void {
    if (count === 0) return;
    this.#options.stats.retainedDropped[reason] += count;
    this.#warnings.warn(`retained_${reason}`, {}, RETAINED_DROPS[reason]);
  }

  /** As `Log.note`. */
  async note(batch: readonly Notice[], signal?: AbortSignal): Promise<readonly Noted[]> {
    const answers: Noted[] = [];
    let problem: string | undefined;
    for (const part of splitBatch(batch, noticeLength)) {
      if (problem === undefined) {
        try {
          answers.push(...(await this.#notePart(part, signal)));
          continue;
        } catch (error) {
          problem = messageOf(error);
        }
      }
      for (const _ of part) answers.push({ status: "unavailable", message: problem });
    }
    return answers;
  }

  /** Facts may be said again, so in another epoch the part is simply given again. */
  async #notePart(part: readonly Notice[], signal: AbortSignal | undefined): Promise<Noted[]> {
    const { keys, knowledge } = this.#options;
    const names = [keys.state, keys.log, keys.table("node")];
    const items = part.flatMap((notice) => noteArguments(notice, keys, names));
    for (let restart = 0; restart < RESTARTS; restart++) {
      const connection = this.#connection;
      if (!connection) throw new EngineUnreachableError(this.#problem);
      const epoch = this.#epoch;
      const token = randomBytes(TOKEN_BYTES).toString("base64url");
      const reply = (await unlessAborted(
        connection.run(NOTE, names, [epoch, token, keys.tables, ...items]),
        signal,
      )) as readonly [string, number, readonly number[]];
      const [status, n, results] = reply;
      if (status === "moved") {
        await this.#attach(connection);
        continue;
      }
      if (results.includes(1)) knowledge.acknowledged({ epoch, n, token });
      return results.map((result) =>
        result < 0
          ? { status: "refused", message: "its owner is not among the nodes" }
          : { status: "accepted" },
      );
    }
    throw new EngineUnreachableError("the log's epoch changes again and again");
  }
}

/** What note.lua is told of a notice; `keys` are its KEYS, to which the fact's table is added. */
function noteArguments(notice: Notice, keys: EngineKeys, names: string[]): readonly Argument[] {
  const text = encodeNotice(notice);
  if (!isFact(notice)) return [text, 0, "", "", 0, ""];
  const { table, owner, key, rank = 0 } = notice;
  const name = keys.table(table, owner);
  if (!names.includes(name, 2)) names.push(name);
  return [text, names.indexOf(name, 2) + 1, key, storedFact(notice), rank, owner ?? ""];
}

/** The caller may give up; the call goes on, and nobody waits for its answer. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new EngineUnreachableError("the caller gave up"));
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
