/**
 * What is handed to a relay elsewhere, by POST or by socket: items as text, cut into parts, and what the
 * relay's answers mean for whoever handed them over.
 */
import type { ControlItem, ControlResult } from "../contract/control.ts";
import type { Message } from "../contract/message.ts";
import type { PublishResult } from "../contract/publisher.ts";
import { broadcastAnswer, controlAnswer } from "../http/broadcast-answer.ts";

const NO_KEY = "the worker's key must be one of the relay's apiKeys";

/**
 * Codes that say nothing about the message itself: it must be held and tried again. Those of the
 * key with what to do: somebody has to change the relay's configuration.
 */
const TRY_AGAIN: ReadonlyMap<string, string | undefined> = new Map([
  ["unavailable", undefined],
  ["internal_error", undefined],
  ["unauthorized", NO_KEY],
  ["too_many_refusals", NO_KEY],
  [
    "channel_forbidden",
    "the relay's key for this worker must grant the channel (apiKeys[].channels)",
  ],
  ["scope_missing", "the relay's key for this worker needs the scope (apiKeys[].scopes)"],
  ["key_not_trusted", "the relay's key for this worker must be marked trusted (apiKeys[].trusted)"],
]);
/** Answers to a body that a smaller one may escape. */
const TOO_LARGE = new Set(["batch_too_large"]);

/** An item as it is sent. */
export interface Encoded {
  /** Of a message; empty for a control item. */
  readonly id: string;
  readonly text: string;
  /** With the comma behind it. */
  readonly bytes: number;
}

/** Bytes of the list around a part's items. */
export const LIST_BYTES = 2;

export type Unavailable = Extract<PublishResult, { status: "unavailable" }>;
export type Rejected = Extract<PublishResult, { status: "rejected" }>;

/** What became of an item; undefined when the answer is not that of a relay. */
export type ReadAnswer<Result> = (answer: unknown, sentId: string) => Result | undefined;

/** Whether a refusal says nothing about what was refused, so that it is tried again. */
export function isPassing(code: string): boolean {
  return TRY_AGAIN.has(code);
}

/**
 * The result of an item that must be handed over again.
 * @param code for the log, with what to do where known
 */
export function unavailable(message: string, code = "unavailable"): Unavailable {
  const fix = TRY_AGAIN.get(code);
  return {
    status: "unavailable",
    code,
    message: fix === undefined ? message : `${message}; ${fix}`,
  };
}

/** A part of one item was refused, and will be again. */
export function rejected(code: string, message: string): Rejected {
  return { status: "rejected", code: TOO_LARGE.has(code) ? "message_too_large" : code, message };
}

/** The payload's text is put in as it is: no number loses a digit. */
function encode(message: Message): string {
  const { channel, eventName, payload, id, ts, retain } = message;
  const head = JSON.stringify({ channel, eventName, id, ts, retain });
  return `${head.slice(0, -1)},"payload":${payload}}`;
}

function encoded(id: string, text: string): Encoded {
  return { id, text, bytes: Buffer.byteLength(text) + 1 };
}

export function encodeMessages(batch: readonly Message[]): Encoded[] {
  return batch.map((message) => encoded(message.id, encode(message)));
}

export function encodeControl(batch: readonly ControlItem[]): Encoded[] {
  return batch.map((item) => encoded("", JSON.stringify(item)));
}

/** Parts that hold at least one item, and otherwise no more than is allowed. */
export function cut(
  items: readonly Encoded[],
  { batchMessages, batchBytes }: { readonly batchMessages: number; readonly batchBytes: number },
): Encoded[][] {
  const parts: Encoded[][] = [];
  let part: Encoded[] = [];
  let bytes = LIST_BYTES;
  for (const item of items) {
    if (part.length > 0 && (part.length >= batchMessages || bytes + item.bytes > batchBytes)) {
      parts.push(part);
      part = [];
      bytes = LIST_BYTES;
    }
    part.push(item);
    bytes += item.bytes;
  }
  if (part.length > 0) parts.push(part);
  return parts;
}

/** Something in a part is refused as a whole: halves find out what. */
export function halves<T>(part: readonly T[]): [readonly T[], readonly T[]] {
  const middle = Math.ceil(part.length / 2);
  return [part.slice(0, middle), part.slice(middle)];
}

/** A list of a part as JSON text. */
export function listOf(part: readonly Encoded[]): string {
  return `[${part.map(({ text }) => text).join(",")}]`;
}

/** What became of each item of a part; undefined when the answers are not those of a relay. */
export function readAnswers<Result>(
  answers: readonly unknown[],
  part: readonly Encoded[],
  read: ReadAnswer<Result>,
): readonly Result[] | undefined {
  if (answers.length !== part.length) return undefined;
  const results = answers.flatMap((each, position) => {
    const result = read(each, part[position]?.id ?? "");
    return result === undefined ? [] : [result];
  });
  return results.length === part.length ? results : undefined;
}

function refusal(code: string, message: string): Unavailable | Rejected {
  return TRY_AGAIN.has(code) ? unavailable(message, code) : { status: "rejected", code, message };
}

export function readPublished(answer: unknown, sentId: string): PublishResult | undefined {
  const parsed = broadcastAnswer.safeParse(answer);
  if (!parsed.success) return undefined;
  const { data } = parsed;
  if (!data.ok) return refusal(data.code, data.message);
  // Only if something in between took the header away. Duplicates could not be removed.
  if (data.id !== sentId) return unavailable("the relay made an id of its own", "key_not_trusted");
  const { recipients, duplicate } = data;
  return { status: "accepted", recipients, ...(duplicate ? { duplicate } : {}) };
}

/** What a relay answers that takes a control item for a message: nobody was cut off. */
const OLD_RELAY =
  "this relay is of a version that knows no control items; update it before the worker";

export function readControlled(answer: unknown): ControlResult | undefined {
  if (broadcastAnswer.safeParse(answer).data?.ok) return unavailable(OLD_RELAY);
  const parsed = controlAnswer.safeParse(answer);
  if (!parsed.success) return undefined;
  const { data } = parsed;
  if (!data.ok) {
    return data.code === "bad_channel" ? unavailable(OLD_RELAY) : refusal(data.code, data.message);
  }
  return data.durable === false ? { status: "accepted", durable: false } : { status: "accepted" };
}
