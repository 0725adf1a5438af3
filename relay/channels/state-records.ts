/**
 * What the file of the history holds: a line with format and version; then records, each a line of JSON
 * and the bytes it announces; then 64 hex digits, the SHA-256 of everything before them. There may be
 * very many channels and ids, so they are checked without a schema, which took most of a start, and no
 * line holds more of them than a string of V8 can (2^29 characters).
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { nameProblem } from "../contract/message.ts";
import type { DuplicateWindow } from "../log/duplicates.ts";
import type { MemoryLog } from "../log/memory-log.ts";
import { frameText, textFrameOf } from "../wire/frame.ts";
import { ChannelLog } from "./history.ts";
import type { Hub } from "./hub.ts";

const magic = (version: number) => `{"format":"apex-rtm relay history","version":${version}}\n`;
const MAGIC = magic(3);
/** Ids and members all in the head; the line has the same length, as the next one. */
const MAGIC_2 = magic(2);
/** Ids without source and channel. */
const MAGIC_1 = magic(1);
const DIGEST_LENGTH = 64;
/** Ids, or members, of one record. */
const MOST_IN_RECORD = 1000;
/** What is written at once, bytes. */
const BLOCK_BYTES = 1024 * 1024;
/** Longest UTF-8 of one UTF-16 unit, bytes. */
const UNIT_BYTES = 3;
/** Memory that small messages share when they are read, and the longest of them, bytes. */
const SHARED_BYTES = 4096;
const SMALL_BYTES = 512;

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

type IdTuple = readonly [key: string, at: number, seq: number];

/** Who was seen in a channel; `sinceMs` is a time of the wall clock, `info` JSON text. */
const keptMember = z.object({
  channel: z.string().refine((name) => nameProblem(name) === undefined),
  user: z.string().min(1),
  info: z.string().optional(),
  sinceMs: z.number(),
});

type KeptMember = z.output<typeof keptMember>;

/** Who is seen, and takes back who was. */
export interface KeepsMembers {
  kept(): Iterable<KeptMember>;
  restore(members: Iterable<KeptMember>): void;
}

const count = z.number().int().min(0);
const headRecord = z.object({
  kind: z.literal("head"),
  epoch: z.string().min(1).max(64),
  bootId: z.string().nullable(),
  savedAt: z.number(),
  forgottenSeq: count,
  forgottenAt: z.number(),
  provableSince: z.number(),
  /** By source; of version 2. */
  duplicates: z.array(z.tuple([z.string(), z.custom<readonly IdTuple[]>(isTuples)])).default([]),
  /** Of version 2. */
  members: z.array(keptMember).optional(),
});
/** Id, when it was accepted, recipients. */
const headRecord1 = headRecord.extend({ duplicates: z.custom<readonly IdTuple[]>(isTuples) });

/** Some of the ids of one source, oldest first. */
interface IdsRecord {
  readonly kind: "ids";
  readonly source: string;
  readonly ids: readonly IdTuple[];
}

/** Some of who is seen; there is at least one such record where that is kept. */
const membersRecord = z.object({ kind: z.literal("members"), members: z.array(keptMember) });
type MembersRecord = z.output<typeof membersRecord>;

/** One channel. */
interface ChannelRecord {
  readonly kind: "channel";
  readonly name: string;
  readonly evictedSeq: number;
  readonly evictedAt: number;
  readonly entries: readonly EntryRecord[];
}

type EntryRecord = readonly [
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
function checked(value: unknown): IdsRecord | MembersRecord | ChannelRecord | LastRecord {
  const { kind } = value as { readonly kind?: unknown };
  if (kind === "members") return membersRecord.parse(value);
  if (kind === "last") return checkedLast(value as LastRecord);
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
interface LastRecord {
  readonly kind: "last";
  readonly name: string;
  readonly seq: number;
  /** Ms since 1970. */
  readonly untilMs: number;
  readonly entry: EntryRecord;
}

/** @throws {Error} it is none */
function checkedLast(record: LastRecord): LastRecord {
  const { name, entry, seq, untilMs } = record;
  const fits =
    nameProblem(name) === undefined && isEntry(entry) && isCount(seq) && isCount(untilMs);
  if (!fits) throw new Error("the record of a last value is malformed");
  return record;
}

/** What is kept: the history, the ids that the log knows, and who is seen. */
export interface Kept {
  readonly hub: Hub;
  readonly messageLog: MemoryLog;
  readonly members?: KeepsMembers | undefined;
}

/** Joins what is written, so that a small record costs no call of its own. */
class Blocks {
  readonly #write: (bytes: Buffer) => void;
  readonly #block = Buffer.allocUnsafe(BLOCK_BYTES);
  #used = 0;

  /** @param write may not keep the bytes: their memory is used again */
  constructor(write: (bytes: Buffer) => void) {
    this.#write = write;
  }

  text(text: string): void {
    const most = text.length * UNIT_BYTES;
    if (most > BLOCK_BYTES) this.bytes(Buffer.from(text));
    else {
      this.#makeRoom(most);
      this.#used += this.#block.write(text, this.#used);
    }
  }

  bytes(bytes: Buffer): void {
    this.#makeRoom(bytes.length);
    if (bytes.length > BLOCK_BYTES) this.#write(bytes);
    else this.#used += bytes.copy(this.#block, this.#used);
  }

  flush(): void {
    if (this.#used > 0) this.#write(this.#block.subarray(0, this.#used));
    this.#used = 0;
  }

  #makeRoom(bytes: number): void {
    if (this.#used + bytes > BLOCK_BYTES) this.flush();
  }
}

/** Gives everything to `write`, piece by piece. */
export function writeState(
  { hub, messageLog, members }: Kept,
  bootId: string | undefined,
  now: number,
  write: (bytes: Buffer) => void,
): void {
  const hash = createHash("sha256");
  const blocks = new Blocks((bytes) => {
    hash.update(bytes);
    write(bytes);
  });
  const head: z.input<typeof headRecord> = {
    kind: "head",
    epoch: hub.epoch,
    bootId: bootId ?? null,
    savedAt: now,
    ...hub.history.floor,
  };
  const line = (record: object) => blocks.text(`${JSON.stringify(record)}\n`);
  blocks.text(MAGIC);
  line(head);
  for (const record of idsOf(messageLog.duplicates)) line(record);
  if (members) for (const record of membersOf(members)) line(record);
  for (const { name, log } of hub.channels.values()) {
    const texts: Buffer[] = [];
    let entries = "";
    for (const { at, eventName, payloadStart, payloadEnd, frame } of log.entries()) {
      const text = frameText(frame);
      texts.push(text);
      const event = JSON.stringify(eventName);
      entries += `${entries && ","}[${at},${event},${payloadStart},${payloadEnd},${text.length}]`;
    }
    // A `ChannelRecord`, written by hand: there may be very many.
    const { evictedSeq, evictedAt } = log;
    blocks.text(
      `{"kind":"channel","name":${JSON.stringify(name)},"evictedSeq":${evictedSeq},` +
        `"evictedAt":${evictedAt},"entries":[${entries}]}\n`,
    );
    for (const text of texts) blocks.bytes(text);
  }
  for (const { channel, entry, untilMs } of hub.retained.all()) {
    const { seq, at, eventName, payloadStart, payloadEnd, frame } = entry;
    const text = frameText(frame);
    const record: EntryRecord = [at, eventName, payloadStart, payloadEnd, text.length];
    const last: LastRecord = { kind: "last", name: channel, seq, untilMs, entry: record };
    blocks.text(`${JSON.stringify(last)}\n`);
    blocks.bytes(text);
  }
  blocks.flush();
  write(Buffer.from(hash.digest("hex")));
}

function* idsOf(window: DuplicateWindow): Generator<IdsRecord> {
  let source = "";
  let ids: IdTuple[] = [];
  for (const seen of window.entries()) {
    if (ids.length > 0 && (seen.source !== source || ids.length === MOST_IN_RECORD)) {
      yield { kind: "ids", source, ids };
      ids = [];
    }
    ({ source } = seen);
    ids.push([seen.key, seen.at, seen.seq]);
  }
  if (ids.length > 0) yield { kind: "ids", source, ids };
}

function* membersOf(kept: KeepsMembers): Generator<MembersRecord> {
  let members: KeptMember[] = [];
  for (const member of kept.kept()) {
    members.push(member);
    if (members.length < MOST_IN_RECORD) continue;
    yield { kind: "members", members };
    members = [];
  }
  yield { kind: "members", members };
}

/** A message of the file whose frame is not made yet. */
interface Found {
  readonly log: ChannelLog;
  readonly seq: number;
  readonly at: number;
  readonly record: EntryRecord;
  /** Where its text begins. */
  readonly position: number;
}

/**
 * Checks and reads all of it; returns what puts it into the hub.
 * @throws {Error} it is damaged, or of an unknown format or version
 */
export function readState(
  bytes: Buffer,
  { hub, messageLog, members }: Kept,
  bootId: string | undefined,
  now: number,
): () => void {
  const first = bytes.subarray(0, MAGIC.length).toString();
  if (![MAGIC, MAGIC_2, MAGIC_1].includes(first)) throw new Error("unknown format or version");
  const end = bytes.length - DIGEST_LENGTH;
  const digest = createHash("sha256")
    .update(bytes.subarray(0, Math.max(end, 0)))
    .digest("hex");
  if (end < MAGIC.length || bytes.subarray(end).toString() !== digest) {
    throw new Error("the checksum is wrong");
  }
  let position = MAGIC.length;
  const line = (): unknown => {
    const newline = bytes.indexOf(0x0a, position);
    const text = bytes.toString("utf8", position, newline);
    position = newline + 1;
    return JSON.parse(text);
  };
  const headLine = line();
  const head =
    first === MAGIC_1 ? { ...headRecord1.parse(headLine), version: 1 } : headRecord.parse(headLine);
  // Times of another boot, or of the future, mean nothing on this clock: then all of it counts as
  // accepted now, and no age that reaches behind this moment can be recovered.
  const sameClock = head.bootId !== null && head.bootId === bootId && head.savedAt <= now;
  const time = (at: number) => (sameClock ? Math.min(at, now) : now);
  const logs: { readonly name: string; readonly log: ChannelLog }[] = [];
  const found: Found[] = [];
  const ids: Omit<IdsRecord, "kind">[] = [];
  const lasts: (LastRecord & { readonly position: number })[] = [];
  let seen: KeptMember[] | undefined = head.members;
  while (position < end) {
    const record = checked(line());
    if (record.kind === "ids") {
      ids.push(record);
      continue;
    }
    if (record.kind === "members") {
      seen ??= [];
      for (const member of record.members) seen.push(member);
      continue;
    }
    if (record.kind === "last") {
      lasts.push({ ...record, position });
      position += record.entry[4];
      continue;
    }
    const { name, evictedSeq, evictedAt, entries } = record;
    const log = new ChannelLog(evictedSeq, time(evictedAt));
    logs.push({ name, log });
    let seq = evictedSeq;
    for (const entry of entries) {
      found.push({ log, seq: ++seq, at: time(entry[0]), record: entry, position });
      position += entry[4];
    }
  }
  if (position !== end) throw new Error("a message is cut off");
  // The history keeps its messages in the order in which they were accepted, across channels.
  found.sort((a, b) => a.at - b.at);
  return () => {
    messageLog.resume(head.epoch);
    hub.history.resume(head.forgottenSeq, time(head.forgottenAt), time(head.provableSince));
    for (const { name, log } of logs) hub.addChannel(name, log);
    const memory = new SharedMemory();
    for (const { log, seq, at, record, position: start } of found) {
      const [, eventName, payloadStart, payloadEnd, length] = record;
      const text = bytes.subarray(start, start + length);
      const frame = textFrameOf(text, memory.allocate);
      hub.history.append(log, { seq, at, eventName, frame, payloadStart, payloadEnd });
    }
    for (const { name, seq, untilMs, entry: record, position: start } of lasts) {
      const [at, eventName, payloadStart, payloadEnd, length] = record;
      const frame = textFrameOf(bytes.subarray(start, start + length), Buffer.allocUnsafeSlow);
      const entry = { seq, at: time(at), eventName, frame, payloadStart, payloadEnd };
      hub.retained.set({ channel: name, entry, untilMs });
    }
    if (seen) members?.restore(seen);
    if ("version" in head) {
      for (const [id, at] of head.duplicates) messageLog.duplicates.restoreForAll(id, time(at));
    } else {
      for (const [source, tuples] of head.duplicates) ids.push({ source, ids: tuples });
    }
    for (const { source, ids: tuples } of ids) {
      for (const [key, at, seq] of tuples) {
        messageLog.duplicates.restore({ source, key, at: time(at), seq });
      }
    }
  };
}

/**
 * Memory for the frames of a file, in the order of their age: that is the order in which they are
 * evicted for their age and for the bytes of all, so memory that several share is free soon after the
 * first of them. Each for itself would take longer to make than to read.
 */
class SharedMemory {
  #shared = Buffer.alloc(0);
  #used = 0;

  readonly allocate = (bytes: number): Buffer => {
    if (bytes > SMALL_BYTES) return Buffer.allocUnsafeSlow(bytes);
    if (this.#used + bytes > this.#shared.length) {
      this.#shared = Buffer.allocUnsafeSlow(SHARED_BYTES);
      this.#used = 0;
    }
    this.#used += bytes;
    return this.#shared.subarray(this.#used - bytes, this.#used);
  };
}
