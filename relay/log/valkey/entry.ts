/**
 * One entry of the engine's log, and the messages and notices in it. Pure.
 *
 * The names of a message hold no control character (contract/message.ts), so tabs part them; its
 * payload may hold anything and has its length before it. The engine's script writes channel,
 * number and id; what follows them comes from here and travels as it is.
 */
import type { Message } from "../../contract/message.ts";
import type { Notice } from "../fact.ts";
import type { Numbered } from "../log.ts";
import { keptUntil } from "../retained-value.ts";
import { decodeNotice } from "./notice.ts";

/** An entry holds one message or notice, or no more text than this, UTF-16 units (bytes, when it is ASCII). */
export const ENTRY_LENGTH = 64 * 1024;
/** What a message takes beside its names and payload: numbers and tabs. */
const OVERHEAD = 40;
/** And no more messages or notices than this. */
export const ENTRY_ITEMS = 1000;
/** Names that decoded messages share; beyond it the table begins anew. */
const INTERNED = 10_000;

/** An entry as a follower reads it. */
export interface LogEntry {
  readonly generation: number;
  /** Counts the entries of an epoch, from 1 on, without a gap. */
  readonly n: number;
  /** The token of the entry before it; empty for the first of an epoch. */
  readonly previous: string;
  /** Random, from whoever appended it. */
  readonly token: string;
  /** Bytes of messages appended in this epoch, up to and with this entry. */
  readonly total: number;
  readonly body: string;
}

/** Stands between a message's time and the time until which it is the last value. */
const KEPT = "+";

/** What an entry says of a message behind its channel, number and id. append.lua reads it too. */
export function encodeRest(message: Message): string {
  const { eventName, ts, payload } = message;
  const until = keptUntil(message);
  const kept = until === undefined ? "" : `${KEPT}${until}`;
  return `${eventName}\t${ts}${kept}\t${payload.length}\t${payload}`;
}

/** How long a message is in an entry, about. */
export function messageLength({ channel, id, eventName, payload }: Message): number {
  return channel.length + id.length + eventName.length + payload.length + OVERHEAD;
}

/** Cuts a batch into parts of one entry each, in order. */
export function splitBatch<Item>(
  batch: readonly Item[],
  lengthOf: (item: Item) => number,
): (readonly Item[])[] {
  const parts: Item[][] = [];
  let part: Item[] = [];
  let length = 0;
  for (const item of batch) {
    const more = lengthOf(item);
    if (part.length > 0 && (length + more > ENTRY_LENGTH || part.length === ENTRY_ITEMS)) {
      parts.push(part);
      part = [];
      length = 0;
    }
    part.push(item);
    length += more;
  }
  if (part.length > 0) parts.push(part);
  return parts;
}

/** An entry from a reply of XREAD or XRANGE. @throws {Error} it was not written by append.lua */
export function parseEntry([id, fields]: readonly [string, readonly string[]]): LogEntry {
  const [generation, n] = id.split("-").map(Number) as [number, number];
  const [p, previous, t, token, s, total, b, body] = fields;
  if (p !== "p" || t !== "t" || s !== "s" || b !== "b" || body === undefined) {
    throw new Error(`entry ${id} of the log was not written by this program`);
  }
  return {
    generation,
    n,
    previous: previous as string,
    token: token as string,
    total: Number(total),
    body,
  };
}

/** What stands in an entry one after the other. */
export interface Run {
  readonly messages: Numbered[];
  /** Behind the messages, before those of the next run. */
  readonly notices: Notice[];
}

/**
 * Reads what is in entries. Names are interned: a slice would keep the whole entry's text alive for as
 * long as somebody keeps the name.
 */
export class EntryDecoder {
  #names = new Map<string, string>();

  /** @throws {Error} the text was not written by append.lua or note.lua */
  runs(body: string): Run[] {
    const runs: Run[] = [{ messages: [], notices: [] }];
    let position = 0;
    const field = (): string => {
      const end = body.indexOf("\t", position);
      if (end < 0) throw new Error("a message of the log is cut off");
      const text = body.slice(position, end);
      position = end + 1;
      return text;
    };
    const take = (length: number): string => {
      const text = body.slice(position, position + length);
      if (text.length !== length) throw new Error("the text of an entry is cut off");
      position += length;
      return text;
    };
    while (position < body.length) {
      const last = runs.at(-1) as Run;
      const channel = field();
      if (channel === "") {
        last.notices.push(decodeNotice(field, take));
        continue;
      }
      const message = this.#message(channel, field, take);
      if (last.notices.length === 0) last.messages.push(message);
      else runs.push({ messages: [message], notices: [] });
    }
    return runs;
  }

  #message(channel: string, field: () => string, take: (length: number) => string): Numbered {
    const seq = Number(field());
    const id = field();
    const eventName = this.#intern(field());
    const time = field();
    const ts = Number(time);
    const payload = take(Number(field()));
    if (!Number.isSafeInteger(seq)) throw new Error("a message of the log is damaged");
    const message = { channel: this.#intern(channel), eventName, payload, id, ts, seq };
    if (!Number.isNaN(ts)) return message;
    const [sent, keptUntil] = time.split(KEPT).map(Number) as [number, number];
    return { ...message, ts: sent, keptUntil };
  }

  #intern(name: string): string {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    if (this.#names.size >= INTERNED) this.#names.clear();
    const copy = Buffer.from(name).toString();
    this.#names.set(copy, copy);
    return copy;
  }
}
