/**
 * The history on disk while the relay is down. The file exists only between a graceful stop and
 * the next start: it is taken before the first message is accepted, so a crash can never bring an
 * old epoch back. Taking it is a rename, so that of several relays on one directory one gets it.
 *
 * A line with format and version; then records, each a line of JSON and the bytes it announces;
 * then 64 hex digits, the SHA-256 of everything before them.
 */
import { createHash, randomUUID } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { messageOf, RtmError } from "../../common/errors.ts";
import type { Logger } from "../../common/logger.ts";
import { nameProblem } from "../contract/message.ts";
import type { DuplicateWindow } from "../log/duplicates.ts";
import type { MemoryLog } from "../log/memory-log.ts";
import { frameText, textFrameOf } from "../wire/frame.ts";
import { ChannelLog, type Entry } from "./history.ts";
import type { Hub } from "./hub.ts";
import { Slab } from "./slab.ts";

const FILE = "relay-history.state";
const magic = (version: number) => `{"format":"apex-rtm relay history","version":${version}}\n`;
const MAGIC = magic(2);
/** Ids without source and channel; the line has the same length. */
const MAGIC_1 = magic(1);
const DIGEST_LENGTH = 64;
/** What is written at once, bytes. */
const BLOCK_BYTES = 1024 * 1024;
/** A file of ours that has not changed for so long belongs to no start or stop that still runs, ms. */
const LEFT_OVER_MS = 60_000;

const count = z.number().int().min(0);

const headRecord = z.object({
  kind: z.literal("head"),
  epoch: z.string().min(1).max(64),
  bootId: z.string().nullable(),
  savedAt: z.number(),
  forgottenSeq: count,
  forgottenAt: z.number(),
  provableSince: z.number(),
  /** By source: key, when it was accepted, seq. */
  duplicates: z.array(z.tuple([z.string(), z.array(z.tuple([z.string(), z.number(), count]))])),
});

const headRecord1 = headRecord.extend({
  /** Id, when it was accepted, recipients. */
  duplicates: z.array(z.tuple([z.string(), z.number(), count])),
});

/** One channel. There may be very many, so it is checked without a schema: that took most of a start. */
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

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
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
    record.entries.every(
      ([at, eventName, start, end, bytes]) =>
        typeof at === "number" &&
        typeof eventName === "string" &&
        isCount(start) &&
        isCount(end) &&
        isCount(bytes),
    );
  if (!fits) throw new Error("a channel's record is malformed");
  return record;
}

/** What is kept: the history, and the ids that the log knows. */
export interface Kept {
  readonly hub: Hub;
  readonly messageLog: MemoryLog;
}

/** The state directory cannot be used. */
function unusable(action: string, path: string, cause: unknown): RtmError {
  return new RtmError(
    "RTM_STATE_DIRECTORY",
    `service.stateDirectory: cannot ${action} ${path}: ${messageOf(cause)}`,
    { cause },
  );
}

/**
 * Identifies the running boot of the system, during which the monotonic clock counts on across
 * processes; undefined where it cannot be known.
 */
export function readBootId(): string | undefined {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return undefined;
  }
}

function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Writes the hub's history and duplicate window, replacing a file that is there.
 * @throws {RtmError} RTM_STATE_DIRECTORY
 */
export function saveState(
  directory: string,
  kept: Kept,
  bootId: string | undefined,
  now: number,
): void {
  const path = join(directory, FILE);
  const temporary = ownName(path);
  try {
    const descriptor = openSync(temporary, "wx", 0o600);
    try {
      const hash = createHash("sha256");
      for (const bytes of blocks(records(kept, bootId, now))) {
        hash.update(bytes);
        for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
      }
      writeSync(descriptor, hash.digest("hex"));
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, path);
    syncDirectory(directory);
  } catch (error) {
    // A full disk must not stay fuller for it.
    removeIfThere(temporary);
    throw unusable("write", path, error);
  }
}

/** A name beside `path` that no other process uses. */
function ownName(path: string): string {
  return `${path}.${process.pid}-${randomUUID()}`;
}

function removeIfThere(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // The next start tries again.
  }
}

/** Removes what starts and stops left that were killed half way. */
function removeLeftOvers(directory: string): void {
  const old = Date.now() - LEFT_OVER_MS;
  for (const name of readdirSync(directory)) {
    if (!name.startsWith(`${FILE}.`)) continue;
    const path = join(directory, name);
    const changed = statSync(path, { throwIfNoEntry: false })?.ctimeMs ?? old;
    if (changed < old) removeIfThere(path);
  }
}

/** Joins what is written, so that a small record costs no call of its own. */
function* blocks(chunks: Iterable<string | Buffer>): Generator<Buffer> {
  let block: Buffer[] = [];
  let bytes = 0;
  for (const chunk of chunks) {
    const part = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    block.push(part);
    bytes += part.length;
    if (bytes < BLOCK_BYTES) continue;
    yield Buffer.concat(block, bytes);
    block = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(block, bytes);
}

function* records(
  { hub, messageLog }: Kept,
  bootId: string | undefined,
  now: number,
): Generator<string | Buffer> {
  const head: z.input<typeof headRecord> = {
    kind: "head",
    epoch: hub.epoch,
    bootId: bootId ?? null,
    savedAt: now,
    ...hub.history.floor,
    duplicates: bySource(messageLog.duplicates),
  };
  yield MAGIC;
  yield `${JSON.stringify(head)}\n`;
  for (const { name, log } of hub.channels.values()) {
    const entries = [...log.entries()];
    const texts = entries.map(({ frame }) => frameText(frame));
    const record: ChannelRecord = {
      kind: "channel",
      name,
      evictedSeq: log.evictedSeq,
      evictedAt: log.evictedAt,
      entries: entries.map(({ at, eventName, payloadStart, payloadEnd }, index) => [
        at,
        eventName,
        payloadStart,
        payloadEnd,
        (texts[index] as Buffer).length,
      ]),
    };
    yield `${JSON.stringify(record)}\n`;
    yield* texts;
  }
}

function bySource(window: DuplicateWindow): z.input<typeof headRecord>["duplicates"] {
  const sources = new Map<string, [string, number, number][]>();
  for (const { source, key, at, seq } of window.entries()) {
    const ids = sources.get(source) ?? [];
    ids.push([key, at, seq]);
    sources.set(source, ids);
  }
  return [...sources];
}

/**
 * Gives the hub back what was saved, and removes the file for good. A damaged or unknown file is
 * logged and removed; the hub then keeps its new epoch.
 * @returns whether something was restored
 * @throws {RtmError} RTM_STATE_DIRECTORY: a relay that cannot take the file must not start, nor one
 * that could not write it
 */
export function restoreState(
  directory: string,
  kept: Kept,
  log: Logger,
  bootId: string | undefined,
  now: number,
): boolean {
  const path = join(directory, FILE);
  prepare(directory, log);
  const taken = ownName(path);
  if (!take(path, taken)) return false;
  let restore: (() => void) | undefined;
  try {
    restore = readState(readFileSync(taken), kept, bootId, now);
  } catch (error) {
    log.warn(
      { path, reason: messageOf(error) },
      "the saved history is damaged or unknown: starting a new epoch",
    );
  }
  try {
    rmSync(taken);
    syncDirectory(directory);
  } catch (error) {
    throw unusable("remove", taken, error);
  }
  if (!restore) return false;
  restore();
  const { hub } = kept;
  log.info(
    { epoch: hub.epoch, messages: hub.history.count, channels: hub.channels.size },
    "history restored",
  );
  return true;
}

/** Makes the directory where it is missing, and finds out now whether it can be written to. */
function prepare(directory: string, log: Logger): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw unusable("create", directory, error);
  }
  const probe = ownName(join(directory, FILE));
  try {
    closeSync(openSync(probe, "wx", 0o600));
    rmSync(probe);
    removeLeftOvers(directory);
  } catch (error) {
    // A disk can be full now and have room again at the stop.
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") {
      throw unusable("write to", directory, error);
    }
    const reason = messageOf(error);
    log.warn({ directory, reason }, "no room for the history: at a stop it may not be saved");
  }
}

/** Gives the file that name; false where there is none, or another relay was faster. */
function take(path: string, taken: string): boolean {
  try {
    renameSync(path, taken);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw unusable("take", path, error);
  }
}

/** Checks and reads all of it; returns what puts it into the hub. */
function readState(
  bytes: Buffer,
  { hub, messageLog }: Kept,
  bootId: string | undefined,
  now: number,
): () => void {
  const first = bytes.subarray(0, MAGIC.length).toString();
  if (first !== MAGIC && first !== MAGIC_1) throw new Error("unknown format or version");
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
    const text = bytes.subarray(position, newline).toString();
    position = newline + 1;
    return JSON.parse(text);
  };
  const headLine = line();
  const head =
    first === MAGIC ? headRecord.parse(headLine) : { ...headRecord1.parse(headLine), version: 1 };
  // Times of another boot, or of the future, mean nothing on this clock: then all of it counts as
  // accepted now, and no age that reaches behind this moment can be recovered.
  const sameClock = head.bootId !== null && head.bootId === bootId && head.savedAt <= now;
  const time = (at: number) => (sameClock ? Math.min(at, now) : now);
  const logs: { name: string; log: ChannelLog }[] = [];
  const all: { log: ChannelLog; entry: Entry }[] = [];
  while (position < end) {
    const record = checkedChannel(line());
    const log = new ChannelLog(record.evictedSeq, time(record.evictedAt));
    logs.push({ name: record.name, log });
    const slab = new Slab();
    let kept = 0;
    for (const [index, [at, eventName, start, stop, length]] of record.entries.entries()) {
      const frame = textFrameOf(bytes.subarray(position, position + length), (frameBytes) =>
        slab.allocate(frameBytes, kept),
      );
      position += length;
      kept += frame.length;
      const seq = record.evictedSeq + 1 + index;
      const entry = { seq, at: time(at), eventName, frame, payloadStart: start, payloadEnd: stop };
      all.push({ log, entry });
    }
  }
  // The history keeps its messages in the order in which they were accepted, across channels.
  all.sort((a, b) => a.entry.at - b.entry.at);
  return () => {
    messageLog.resume(head.epoch);
    hub.history.resume(head.forgottenSeq, time(head.forgottenAt), time(head.provableSince));
    for (const { name, log } of logs) hub.addChannel(name, log);
    for (const { log, entry } of all) hub.history.append(log, entry);
    if ("version" in head) {
      for (const [id, at] of head.duplicates) messageLog.duplicates.restoreForAll(id, time(at));
    } else {
      for (const [source, ids] of head.duplicates) {
        for (const [key, at, seq] of ids) {
          messageLog.duplicates.restore({ source, key, at: time(at), seq });
        }
      }
    }
  };
}
