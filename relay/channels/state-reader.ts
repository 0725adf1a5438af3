/** Reads the file of the history (state-records.ts says what is in it). */
import { createHash } from "node:crypto";
import { textFrameOf } from "../wire/frame.ts";
import { ChannelHistory } from "./channel-history.ts";
import {
  checked,
  DIGEST_LENGTH,
  type EntryRecord,
  headRecord,
  headRecord1,
  type IdsRecord,
  type KeptMember,
  MAGIC,
  MAGIC_1,
  MAGIC_2,
  type RetainedRecord,
} from "./state-records.ts";
import type { NodeState } from "./state-writer.ts";

/** Memory that small messages share when they are read, and the longest of them, bytes. */
const SHARED_BYTES = 4096;
const SMALL_BYTES = 512;

/** A message of the file whose frame is not made yet. */
interface Found {
  readonly history: ChannelHistory;
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
  { hub, messageLog, members }: NodeState,
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
  const filled: { readonly name: string; readonly history: ChannelHistory }[] = [];
  const found: Found[] = [];
  const ids: Omit<IdsRecord, "kind">[] = [];
  const lasts: (RetainedRecord & { readonly position: number })[] = [];
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
    const history = new ChannelHistory(evictedSeq, time(evictedAt));
    filled.push({ name, history });
    let seq = evictedSeq;
    for (const entry of entries) {
      found.push({ history, seq: ++seq, at: time(entry[0]), record: entry, position });
      position += entry[4];
    }
  }
  if (position !== end) throw new Error("a message is cut off");
  // The history keeps its messages in the order in which they were accepted, across channels.
  found.sort((a, b) => a.at - b.at);
  return () => {
    messageLog.resume(head.epoch);
    hub.history.resume(head.forgottenSeq, time(head.forgottenAt), time(head.provableSince));
    for (const { name, history } of filled) hub.addChannel(name, history);
    const memory = new SharedMemory();
    for (const { history, seq, at, record, position: start } of found) {
      const [, eventName, payloadStart, payloadEnd, length] = record;
      const text = bytes.subarray(start, start + length);
      const frame = textFrameOf(text, memory.allocate);
      hub.history.append(history, { seq, at, eventName, frame, payloadStart, payloadEnd });
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
