/**
 * One consistent view of the log, read while others append to it. The tables are read first, with the
 * number of the last entry that is in them; then the heads, and the log after them up to its end. So a
 * channel's head is the higher of the two, a fact is the one of the last entry that speaks of it, and
 * nothing can have been appended and trimmed between them without a hole that is seen here.
 */
import { type Fact, FactTables, isFact, OWNED_TABLES, SHARED_TABLES } from "../fact.ts";
import type { Numbered } from "../log.ts";
import { lastFact } from "../retained-value.ts";
import { type Attached, attach } from "./attach.ts";
import type { EngineConnection } from "./connection.ts";
import { EntryDecoder, type LogEntry, parseEntry } from "./entry.ts";
import type { EngineKeys } from "./keys.ts";
import type { Knowledge, Mark } from "./knowledge.ts";
import { parseStored } from "./notice.ts";
import { TABLES } from "./scripts.ts";

/** Fields of one HSCAN step. */
const SCAN = 1000;
/** Entries of one XRANGE. */
const RANGE = 32;

export interface WarmUp {
  readonly heads: Map<string, number>;
  readonly messages: Numbered[];
  readonly facts: Iterable<Fact>;
  /** The last entry of the view; following goes on behind it. */
  readonly end: Mark;
  readonly generation: number;
  readonly entries: readonly Pick<LogEntry, "n" | "total">[];
}

async function readHeads(
  connection: EngineConnection,
  keys: EngineKeys,
): Promise<Map<string, number>> {
  const heads = new Map<string, number>();
  let cursor = "0";
  do {
    const [next, fields] = (await connection.call("HSCAN", [
      keys.state,
      cursor,
      "MATCH",
      "c:*",
      "COUNT",
      SCAN,
    ])) as readonly [string, readonly string[]];
    for (let index = 0; index < fields.length; index += 2) {
      const channel = (fields[index] as string).slice(2);
      // A scan may give a field twice, with the later value first or last.
      heads.set(channel, Math.max(heads.get(channel) ?? 0, Number(fields[index + 1])));
    }
    cursor = next;
  } while (cursor !== "0");
  return heads;
}

type Hash = readonly string[];

/** All tables, with the facts of all entries up to `n` in them; undefined when the epoch is another. */
async function readTables(connection: EngineConnection, keys: EngineKeys, epoch: string) {
  const [e, n, shared, owners, owned] = (await connection.run(
    TABLES,
    [keys.state, ...SHARED_TABLES.map((table) => keys.table(table))],
    [keys.tables, ...OWNED_TABLES],
  )) as readonly [string, number, Hash[], string[], Hash[]];
  if (e !== epoch) return undefined;
  const tables = new FactTables();
  const fill = (table: Fact["table"], owner: string | undefined, hash: Hash) => {
    for (let index = 0; index < hash.length; index += 2) {
      const [key, stored] = [hash[index] as string, hash[index + 1] as string];
      tables.apply(parseStored(table, owner, key, stored));
    }
  };
  for (const [index, table] of SHARED_TABLES.entries()) fill(table, undefined, shared[index] ?? []);
  for (const [index, hash] of owned.entries()) {
    const owner = owners[Math.floor(index / OWNED_TABLES.length)];
    fill(OWNED_TABLES[index % OWNED_TABLES.length] as (typeof OWNED_TABLES)[number], owner, hash);
  }
  return { n, tables };
}

/** The run of entries without a hole that ends the log. */
async function readLog(connection: EngineConnection, keys: EngineKeys, generation: number) {
  let run: LogEntry[] = [];
  let from = `${generation}-0`;
  for (;;) {
    const page = (await connection.call("XRANGE", [keys.log, from, "+", "COUNT", RANGE])) as
      | readonly [string, readonly string[]][]
      | null;
    for (const raw of page ?? []) {
      const entry = parseEntry(raw);
      if (entry.generation !== generation) return undefined;
      const last = run.at(-1);
      // A hole is the new floor of all channels: what lies before it proves nothing.
      if (last && (entry.n !== last.n + 1 || entry.previous !== last.token)) run = [];
      run.push(entry);
    }
    if (!page || page.length < RANGE) return run;
    from = `(${page.at(-1)?.[0]}`;
  }
}

/**
 * @param begun what attach has just answered on this connection
 * @returns undefined when the view did not hold (another epoch began, or the log was trimmed below
 *   what was being read): attach and try again
 */
export async function warmUp(
  connection: EngineConnection,
  keys: EngineKeys,
  knowledge: Knowledge,
  begun: Attached,
): Promise<WarmUp | undefined> {
  const { epoch, generation } = begun;
  const decoder = new EntryDecoder();
  const told = await readTables(connection, keys, epoch);
  if (!told) return undefined;
  const heads = await readHeads(connection, keys);
  const run = await readLog(connection, keys, generation);
  if (!run) return undefined;
  const after = await attach(connection, keys, knowledge);
  if (after.epoch !== epoch || after.runId !== begun.runId) return undefined;
  const [first, last] = [run[0], run.at(-1)];
  // Everything that was appended since the attach must be in the run.
  if (first ? first.n > begun.n + 1 : after.n !== begun.n) return undefined;
  if (last && last.n < begun.n) return undefined;
  const found: Numbered[] = [];
  for (const { n, body } of run) {
    for (const { messages, notices } of decoder.runs(body)) {
      for (const message of messages) {
        found.push(message);
        if (n > told.n) told.tables.apply(lastFact(epoch, message));
        if (message.seq > (heads.get(message.channel) ?? 0)) {
          heads.set(message.channel, message.seq);
        }
      }
      if (n <= told.n) continue;
      for (const notice of notices) if (isFact(notice)) told.tables.apply(notice);
    }
  }
  return {
    heads,
    messages: found,
    facts: told.tables.all(),
    end: last ? { epoch, n: last.n, token: last.token } : { epoch, n: begun.n, token: begun.token },
    generation,
    entries: run.map(({ n, total }) => ({ n, total })),
  };
}
