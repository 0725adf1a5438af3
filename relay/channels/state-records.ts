/**
 * What the file of the history holds: a line with format and version; then records, each a line of JSON
 * and the bytes it announces; then 64 hex digits, the SHA-256 of everything before them. There may be
 * very many channels and ids, so they are checked without a schema, which took most of a start, and no
 * line holds more of them than a string of V8 can (2^29 characters).
 */
import { z } from "zod";
import { nameProblem } from "../contract/message.ts";
import type { MemoryLog } from "../log/memory-log.ts";
import type { Hub } from "./hub.ts";

/** A file that begins with another line is of another version, or none of ours. */
export const MAGIC = `{"format":"apex-rtm relay history","version":1}\n`;
export const DIGEST_LENGTH = 64;

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isTuples(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every(
      (id) =>
        Array.isArray(id) &&
        typeof id[0] === "string" &&
        typeof id[1] === "number" &&
        isCount(id[2]),
    )
  );
}

export type IdTuple = readonly [key: string, at: number, seq: number];

/** Who was seen in a channel; `sinceMs` is a time of the wall clock, `info` JSON text. */
const keptMember = z.object({
  channel: z.string().refine((name) => nameProblem(name) === undefined),
  user: z.string().min(1),
  info: z.string().optional(),
  sinceMs: z.number(),
});

export type KeptMember = z.output<typeof keptMember>;

/** Who is seen, and takes back who was. */
export interface KeepsMembers {
  kept(): Iterable<KeptMember>;
  restore(members: Iterable<KeptMember>): void;
}

/** What is kept: the history, the ids that the log knows, and who is seen. */
export interface NodeState {
  readonly hub: Hub;
  readonly messageLog: MemoryLog;
  readonly members?: KeepsMembers | undefined;
}

const count = z.number().int().min(0);
export const headRecord = z.object({
  kind: z.literal("head"),
  epoch: z.string().min(1).max(64),
  bootId: z.string().nullable(),
  savedAt: z.number(),
  forgottenSeq: count,
  forgottenAt: z.number(),
  provableSince: z.number(),
});
export type HeadRecord = z.output<typeof headRecord>;

/** Some of the ids of one source, oldest first. */
export interface IdsRecord {
  readonly kind: "ids";
  readonly source: string;
  readonly ids: readonly IdTuple[];
}

/** Some of who is seen; there is at least one such record where that is kept. */
const membersRecord = z.object({ kind: z.literal("members"), members: z.array(keptMember) });
export type MembersRecord = z.output<typeof membersRecord>;

/** One channel. */
export interface ChannelRecord {
  readonly kind: "channel";
  readonly name: string;
  readonly evictedSeq: number;
  readonly evictedAt: number;
  readonly entries: readonly EntryRecord[];
}

export type EntryRecord = readonly [
  at: number,
  eventName: string,
  payloadStart: number,
  payloadEnd: number,
  textBytes: number,
];

function isEntry(entry: EntryRecord): boolean {
  return (
    Array.isArray(entry) &&
    typeof entry[0] === "number" &&
    typeof entry[1] === "string" &&
    isCount(entry[2]) &&
    isCount(entry[3]) &&
    isCount(entry[4])
  );
}

/** @throws {Error} it is none */
export function checked(
  value: unknown,
): IdsRecord | MembersRecord | ChannelRecord | RetainedRecord {
  const { kind } = value as { readonly kind?: unknown };
  if (kind === "members") return membersRecord.parse(value);
  if (kind === "last") return checkedLast(value as RetainedRecord);
  if (kind !== "ids") return checkedChannel(value);
  const record = value as IdsRecord;
  if (typeof record.source === "string" && isTuples(record.ids)) return record;
  throw new Error("a record of ids is malformed");
}

/** @throws {Error} it is none */
function checkedChannel(value: unknown): ChannelRecord {
  const record = value as ChannelRecord;
  const fits =
    record?.kind === "channel" &&
    nameProblem(record.name) === undefined &&
    isCount(record.evictedSeq) &&
    typeof record.evictedAt === "number" &&
    Array.isArray(record.entries) &&
    record.entries.every(isEntry);
  if (!fits) throw new Error("a channel's record is malformed");
  return record;
}

/** A last value: a message that may be out of its channel's history. */
export interface RetainedRecord {
  readonly kind: "last";
  readonly name: string;
  readonly seq: number;
  /** Ms since 1970. */
  readonly untilMs: number;
  readonly entry: EntryRecord;
}

/** @throws {Error} it is none */
function checkedLast(record: RetainedRecord): RetainedRecord {
  const { name, entry, seq, untilMs } = record;
  const fits =
    nameProblem(name) === undefined && isEntry(entry) && isCount(seq) && isCount(untilMs);
  if (!fits) throw new Error("the record of a last value is malformed");
  return record;
}
