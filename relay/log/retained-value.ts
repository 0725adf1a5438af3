/**
 * Last values: the newest message of a channel and event, kept beside the history because its sender asked
 * for that (`Message.retain`). A message of that event without `retain` ends it: what is older than the
 * newest would show a state of the past.
 *
 * They are the facts of the table `last`, set by the same step that gives a message its number. A log in this
 * process leaves them to its reader, as it leaves all messages.
 */
import type { Message } from "../contract/message.ts";
import type { Fact } from "./fact.ts";
import type { Numbered } from "./log.ts";

/** The most that is kept; what was set first goes first. */
export interface RetainedBounds {
  /** Messages; 0: none is kept. */
  readonly count: number;
  /** Bytes of the messages. One that is larger is not kept. */
  readonly bytes: number;
}

/** Why one was not kept as long as it should be: there was no room for all, or it was too large. */
export type RetainedDrop = "full" | "too_large";

/** What an operator is told of it. */
export const RETAINED_DROPS: Readonly<Record<RetainedDrop, string>> = {
  full: "last values are dropped, the oldest first: relay.retained.count or bytes is too small",
  too_large: "a message is too large to be kept as a last value: see relay.retained.bytes",
};

export interface LastValue {
  /** In which its message has its number. */
  readonly epoch: string;
  readonly message: Numbered;
}

/** The key of a fact; names hold no control characters. */
export function lastKey(channel: string, eventName: string): string {
  return `${channel}\0${eventName}`;
}

/** Until when a message that is accepted now is kept, ms since 1970; undefined: it is not. */
export function keptUntil({ retain }: Message): number | undefined {
  return retain === undefined ? undefined : Date.now() + retain * 1000;
}

/** What a message of the log makes of the table: a value, or the end of one. */
export function lastFact(epoch: string, message: Numbered): Fact {
  const { channel, eventName, seq, id, ts, payload, keptUntil: untilMs } = message;
  const key = lastKey(channel, eventName);
  if (untilMs === undefined) return { table: "last", key, value: null };
  return { table: "last", key, value: [epoch, seq, id, ts, payload].join("\t"), untilMs };
}

/** The other way round; undefined for what is no value of ours. */
export function readLast({ key, value, untilMs }: Fact): LastValue | undefined {
  const [, epoch, seq, id, ts, payload] =
    /^([^\t]*)\t(\d+)\t([^\t]*)\t(\d+)\t(.*)$/s.exec(value ?? "") ?? [];
  const [channel, eventName] = key.split("\0");
  if (!channel || !eventName || epoch === undefined || untilMs === undefined) return undefined;
  const names = { channel, eventName, payload: payload as string, id: id as string };
  return {
    epoch,
    message: { ...names, ts: Number(ts), seq: Number(seq), keptUntil: untilMs },
  };
}
