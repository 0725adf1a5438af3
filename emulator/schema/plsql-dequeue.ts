/**
 * What PL/SQL can dequeue although a driver cannot: text in pieces, as worker/plsql-dequeue.ts and
 * RTM_WORKER_API.DEQUEUE_TEXT ask for it; and the dictionary's answer about a queue's payload.
 */
import { OraError } from "../errors.ts";
import type { QueueAdmin } from "../queue-admin.ts";
import type { Emulator } from "../server.ts";
import type { StatementCall } from "../sql/statements.ts";
import type { SqlValue } from "../sql/values.ts";

const PIECE_CHARS = 8000;
const MAX_PIECES = 32;

/** Pieces of `text` from character `start`, and where the next call has to go on. */
export function cut(text: string, start: number): { pieces: string[]; next: number | null } {
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

export interface TextDequeued {
  readonly id: string | null;
  readonly attempts: number | null;
  readonly enqueuedMs: number | null;
  readonly pieces: string[];
  readonly truncated: number;
}

/** One dequeue in the session's transaction. `wait` in seconds; nothing came: `id` is null. */
export async function dequeueText(
  { session, signal }: StatementCall,
  queueName: string,
  wait: number,
  navigation: number,
  consumer: SqlValue | undefined,
): Promise<TextDequeued> {
  const name = consumer === null || consumer === undefined ? undefined : String(consumer);
  const options = { wait, navigation, consumer: name, signal };
  const [message] = await session.dequeue(queueName, options);
  if (!message) return { id: null, attempts: null, enqueuedMs: null, pieces: [], truncated: 0 };
  const { payload } = message;
  const text = Buffer.isBuffer(payload) ? payload.toString("utf8") : JSON.stringify(payload);
  const { pieces, next } = cut(text, 0);
  return {
    id: Buffer.from(message.id).toString("hex"),
    attempts: message.attempts,
    enqueuedMs: Number(message.enqueueTime),
    pieces,
    truncated: next === null ? 0 : 1,
  };
}

function inHex(pieces: readonly string[]): string[] {
  const hex = Buffer.from(pieces.join("")).toString("hex");
  return hex.match(/.{1,16000}/g) ?? [];
}

export interface PlSqlDequeueOptions {
  /** Whether users may EXECUTE DBMS_AQ. Default true. */
  readonly dbmsAq?: boolean;
}

/** Answers anonymous blocks that call DBMS_AQ.DEQUEUE, and queries of ALL_QUEUE_TABLES. */
export class PlSqlDequeue {
  readonly #emulator: Emulator;
  readonly #jmsQueues = new Set<string>();

  constructor(emulator: Emulator, options: PlSqlDequeueOptions = {}) {
    this.#emulator = emulator;
    emulator.onStatement(/\bdbms_aq\.dequeue\s*\(/i, async (call) => {
      if (options.dbmsAq === false) {
        throw new OraError(6550, "PLS-00201: identifier 'DBMS_AQ' must be declared");
      }
      const { QUEUE, WAIT, NAVIGATION, CONSUMER } = call.binds;
      const found = await dequeueText(
        call,
        String(QUEUE),
        Number(WAIT),
        Number(NAVIGATION),
        CONSUMER as SqlValue,
      );
      return {
        out: {
          ID: found.id,
          ATTEMPTS: found.attempts,
          ENQUEUED: found.enqueuedMs,
          // The block of worker/plsql-dequeue.ts hands out bytes in hex.
          PIECES: inHex(found.pieces),
          TRUNCATED: found.truncated,
        },
      };
    });
    emulator.onStatement(/\ball_queue_tables\b/i, ({ binds }) => ({
      columns: ["TYPE", "OBJECT_TYPE"],
      rows: this.#payloadOf(`${binds.OWNER}.${binds.QUEUE}`),
    }));
  }

  /**
   * A queue of SYS.AQ$_JMS_TEXT_MESSAGE, as far as PL/SQL goes: enqueue text, dequeue text. The
   * driver's own dequeue sees a RAW queue; with a real one it fails on the payload.
   */
  createJmsQueue(name: string): QueueAdmin {
    const queue = this.#emulator.createQueue({ name, payload: "RAW" });
    this.#jmsQueues.add(queue.name);
    return queue;
  }

  #payloadOf(name: string): SqlValue[][] {
    if (this.#jmsQueues.has(name)) return [["OBJECT", "SYS.AQ$_JMS_TEXT_MESSAGE"]];
    try {
      return [[this.#emulator.queue(name).payload, null]];
    } catch (error) {
      if (error instanceof OraError) return [];
      throw error;
    }
  }
}
