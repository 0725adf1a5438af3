/** Reads the file of the history (state-records.ts says what is in it). */
import { createHash } from "node:crypto";
import { textFrameOf } from "../wire/frame.ts";
import { ChannelHistory } from "./channel-history.ts";
import {
  checked,
  DIGEST_LENGTH,
  type EntryRecord,
  type HeadRecord,
  headRecord,
  type IdsRecord,
  type KeptMember,
  MAGIC,
  type NodeState,
  type RetainedRecord,
} from "./state-records.ts";

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

/** What the file says, checked. Messages still lie in its bytes. */
interface Saved {
  readonly head: HeadRecord;
  /** The time of now that a time of the file is. */
  readonly time: (at: number) => number;
  readonly channels: { readonly name: string; readonly history: ChannelHistory }[];
  /** In the order in which they were accepted, across channels. */
  readonly messages: Found[];
  readonly lasts: (RetainedRecord & { readonly position: number })[];
  readonly ids: IdsRecord[];
  /** Undefined: who was seen was not kept. */
  readonly members: KeptMember[] | undefined;
}

/**
 * Checks and reads all of it; returns what puts it into the node.
 * @param bootId of the running boot; undefined: not known
 * @param now ms of the monotonic clock
 * @throws {Error} it is damaged, or of an unknown format or version
 */
export function readState(
  bytes: Buffer,
  state: NodeState,
  bootId: string | undefined,
  now: number,
): () => void {
  const saved = parse(bytes, contentEnd(bytes), bootId, now);
  return () => restore(saved, bytes, state);
}

/** Where the checksum begins. */
function contentEnd(bytes: Buffer): number {
  if (bytes.subarray(0, MAGIC.length).toString() !== MAGIC) {
    throw new Error("unknown format or version");
  }
  const end = bytes.length - DIGEST_LENGTH;
  const digest = createHash("sha256")
    .update(bytes.subarray(0, Math.max(end, 0)))
    .digest("hex");
  if (end < MAGIC.length || bytes.subarray(end).toString() !== digest) {
    throw new Error("the checksum is wrong");
  }
  return end;
}

function parse(bytes: Buffer, end: number, bootId: string | undefined, now: number): Saved {
  let position = MAGIC.length;
  const line = (): unknown => {
    const newline = bytes.indexOf(0x0a, position);
    const text = bytes.toString("utf8", position, newline);
    position = newline + 1;
    return JSON.parse(text);
  };
  const head = headRecord.parse(line());
  // Times of another boot, or of the future, mean nothing on this clock: then all of it counts as
  // accepted now, and no age that reaches behind this moment can be recovered.
  const sameClock = head.bootId !== null && head.bootId === bootId && head.savedAt <= now;
  const time = (at: number) => (sameClock ? Math.min(at, now) : now);
  const channels: Saved["channels"] = [];
  const messages: Found[] = [];
  const ids: IdsRecord[] = [];
  const lasts: Saved["lasts"] = [];
  let members: KeptMember[] | undefined;
  while (position < end) {
    const record = checked(line());
    switch (record.kind) {
      case "ids":
        ids.push(record);
        break;
      case "members":
        members ??= [];
        for (const member of record.members) members.push(member);
        break;
      case "last":
        lasts.push({ ...record, position });
        position += record.entry[4];
        break;
      case "channel": {
        const { name, evictedSeq, evictedAt, entries } = record;
        const history = new ChannelHistory(evictedSeq, time(evictedAt));
        channels.push({ name, history });
        let seq = evictedSeq;
        for (const entry of entries) {
          messages.push({ history, seq: ++seq, at: time(entry[0]), record: entry, position });
          position += entry[4];
        }
      }
    }
  }
  if (position !== end) throw new Error("a message is cut off");
  messages.sort((a, b) => a.at - b.at);
  return { head, time, channels, messages, lasts, ids, members };
}

function restore(
  { head, time, channels, messages, lasts, ids, members }: Saved,
  bytes: Buffer,
  { hub, messageLog, members: seen }: NodeState,
): void {
  messageLog.resume(head.epoch);
  hub.history.resume(head.forgottenSeq, time(head.forgottenAt), time(head.provableSince));
  for (const { name, history } of channels) hub.addChannel(name, history);
  const memory = new SharedMemory();
  for (const { history, seq, at, record, position } of messages) {
    const [, eventName, payloadStart, payloadEnd, length] = record;
    const frame = textFrameOf(bytes.subarray(position, position + length), memory.allocate);
    hub.history.append(history, { seq, at, eventName, frame, payloadStart, payloadEnd });
  }
  for (const { name, seq, untilMs, entry: record, position } of lasts) {
    const [at, eventName, payloadStart, payloadEnd, length] = record;
    const text = bytes.subarray(position, position + length);
    const frame = textFrameOf(text, Buffer.allocUnsafeSlow);
    const entry = { seq, at: time(at), eventName, frame, payloadStart, payloadEnd };
    hub.retained.set({ channel: name, entry, untilMs });
  }
  if (members) seen?.restore(members);
  for (const { source, ids: tuples } of ids) {
    for (const [key, at, seq] of tuples) {
      messageLog.duplicates.restore({ source, key, at: time(at), seq });
    }
  }
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
