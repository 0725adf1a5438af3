/**
 * Facts and signals as the engine keeps them: in entries of the log, and facts in the hashes of their
 * tables. Pure.
 *
 * In an entry a notice begins with a tab, where a message has the name of its channel; what may hold
 * any character has its length before it.
 */
import { type Fact, isFact, type Notice, type Table } from "../fact.ts";
import { lastKey } from "../retained-value.ts";

/** What a removal says in place of the value's length. */
const REMOVED = "-";
/** What a notice takes beside its key and value, UTF-16 units. */
const OVERHEAD = 120;

/** About how long it is in an entry, UTF-16 units. */
export function noticeLength(notice: Notice): number {
  return isFact(notice)
    ? OVERHEAD + notice.key.length + (notice.value?.length ?? 0)
    : OVERHEAD + notice.body.length;
}

/** A notice as it stands in an entry. */
export function encodeNotice(notice: Notice): string {
  if (!isFact(notice)) return `\ts\t${notice.signal}\t${notice.body.length}\t${notice.body}`;
  const { table, owner = "", key, value, rank = 0, untilMs } = notice;
  const length = value === null ? REMOVED : value.length;
  const head = [table, owner, rank, untilMs ?? "", key.length, length].join("\t");
  return `\tf\t${head}\t${key}${value ?? ""}`;
}

/**
 * Reads what `encodeNotice` wrote, behind its first tab, or append.lua: `x` and the names of a last value
 * that was dropped for want of room.
 */
export function decodeNotice(field: () => string, take: (length: number) => string): Notice {
  const kind = field();
  if (kind === "s") {
    const signal = field();
    return { signal, body: take(Number(field())) };
  }
  if (kind === "x") {
    const [channel, eventName] = [field(), field()];
    return { table: "last", key: lastKey(channel, eventName), value: null };
  }
  if (kind !== "f") throw new Error("a notice of the log is damaged");
  const table = field() as Table;
  const owner = field();
  const [rank, until, keyLength, valueLength] = [field(), field(), field(), field()];
  const key = take(Number(keyLength));
  const value = valueLength === REMOVED ? null : take(Number(valueLength));
  return fact(table, owner, key, value, rank, until);
}

/** What the hash of a table holds under a fact's key; empty for a removal. */
export function storedFact({ value, rank = 0, untilMs }: Fact): string {
  return value === null ? "" : `${rank}\t${untilMs ?? ""}\t${value}`;
}

/** The other way round. */
export function parseStored(
  table: Table,
  owner: string | undefined,
  key: string,
  stored: string,
): Fact {
  const [, rank, until, value] = /^(\d*)\t(\d*)\t(.*)$/s.exec(stored) ?? [];
  if (value === undefined) throw new Error(`a fact of the table ${table} is damaged`);
  return fact(table, owner ?? "", key, value, rank as string, until as string);
}

function fact(
  table: Table,
  owner: string,
  key: string,
  value: string | null,
  rank: string,
  until: string,
): Fact {
  return {
    table,
    ...(owner === "" ? {} : { owner }),
    key,
    value,
    ...(Number(rank) === 0 ? {} : { rank: Number(rank) }),
    ...(until === "" ? {} : { untilMs: Number(until) }),
  };
}
