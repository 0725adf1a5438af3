/** Writes the file of the history (state-records.ts says what is in it). */
import { createHash } from "node:crypto";
import type { DuplicateWindow } from "../log/duplicates.ts";
import { frameText } from "../wire/frame.ts";
import {
  type EntryRecord,
  type HeadRecord,
  type IdsRecord,
  type IdTuple,
  type KeepsMembers,
  type KeptMember,
  MAGIC,
  type MembersRecord,
  type NodeState,
  type RetainedRecord,
} from "./state-records.ts";

/** Ids, or members, of one record. */
const MOST_IN_RECORD = 1000;
/** What is written at once, bytes. */
const BLOCK_BYTES = 1024 * 1024;
/** Longest UTF-8 of one UTF-16 unit, bytes. */
const UNIT_BYTES = 3;

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
  { hub, messageLog, members }: NodeState,
  bootId: string | undefined,
  now: number,
  write: (bytes: Buffer) => void,
): void {
  const hash = createHash("sha256");
  const blocks = new Blocks((bytes) => {
    hash.update(bytes);
    write(bytes);
  });
  const head: HeadRecord = {
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
  for (const { name, history } of hub.channels.values()) {
    const texts: Buffer[] = [];
    let entries = "";
    for (const { at, eventName, payloadStart, payloadEnd, frame } of history.entries()) {
      const text = frameText(frame);
      texts.push(text);
      const event = JSON.stringify(eventName);
      entries += `${entries && ","}[${at},${event},${payloadStart},${payloadEnd},${text.length}]`;
    }
    // A `ChannelRecord`, written by hand: there may be very many.
    const { evictedSeq, evictedAt } = history;
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
    const last: RetainedRecord = { kind: "last", name: channel, seq, untilMs, entry: record };
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
