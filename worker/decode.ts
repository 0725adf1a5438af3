/** Turns what was dequeued into a message, or says why it is poison. Pure. */
import { messageOf } from "../common/errors.ts";
import { type ControlItem, isControlOp, readControl } from "../relay/contract/control.ts";
import {
  DEFAULT_EVENT_NAME,
  isRetain,
  MAX_RETAIN_S,
  type Message,
  nameProblem,
} from "../relay/contract/message.ts";

/** What came out of the queue, before anybody looked into it. */
export interface Dequeued {
  /** AQ message id, 32 lower-case hex digits. */
  readonly id: string;
  /** Dequeues of this message that were rolled back before. */
  readonly attempts: number;
  readonly body:
    | { readonly kind: "bytes"; readonly bytes: Uint8Array }
    | { readonly kind: "json"; readonly value: unknown }
    | { readonly kind: "text"; readonly text: string; readonly truncated: boolean };
}

/** Reasons for which a message is set aside; docs/errors.md, Poison, explains each. */
export const POISON_CODES = [
  "not_utf8",
  "bad_header",
  "unsupported_version",
  "bad_name",
  "not_json",
  "claim_missing",
  "claim_unreadable",
  "too_large",
  "rejected",
] as const;
export type PoisonCode = (typeof POISON_CODES)[number];

/** A message that can never be delivered. */
export interface Poison {
  readonly id: string;
  readonly code: PoisonCode;
  readonly reason: string;
  readonly channel?: string;
  readonly eventName?: string;
  /** The payload as far as it could be read; bytes that are no UTF-8 as `base64:` text. */
  readonly payload: string;
}

/** A message, something else that the relay is told, or the reason why there is neither. */
export type Resolved =
  | { readonly kind: "message"; readonly message: Message }
  | {
      readonly kind: "control";
      readonly id: string;
      readonly item: ControlItem;
      /** Time of the call, ms since 1970 by the database's clock. */
      readonly ts: number;
    }
  | { readonly kind: "poison"; readonly poison: Poison };

/** The payload is a claim check: fetch its text and call `withCheckedText`. */
export interface ClaimCheck {
  readonly kind: "claim";
  readonly checkId: string;
  readonly header: Header;
  readonly id: string;
}

export type Decoded = Resolved | ClaimCheck;

export interface Header {
  readonly channel: string;
  readonly eventName: string;
  readonly ts: number;
  readonly retain?: number;
}

/** How a foreign queue's messages are addressed; `undefined` for our own queue. */
export interface ForeignAddress {
  readonly channel: string;
  readonly eventName?: string | undefined;
}

class Broken extends Error {
  readonly code: PoisonCode;
  constructor(code: PoisonCode, reason: string) {
    super(reason);
    this.code = code;
  }
}

/** Of a value in a reason, UTF-16 units. */
const MAX_SHOWN = 64;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function textOf(body: Dequeued["body"]): string {
  if (body.kind === "text") {
    if (body.truncated)
      throw new Broken("too_large", "the text is longer than the worker can take");
    return body.text;
  }
  if (body.kind === "json") return JSON.stringify(body.value) ?? "null";
  try {
    return utf8.decode(body.bytes);
  } catch {
    throw new Broken("not_utf8", "the payload is not UTF-8");
  }
}

function requireJson(text: string): string {
  try {
    JSON.parse(text);
    return text;
  } catch (error) {
    throw new Broken("not_json", `the payload is not JSON: ${messageOf(error)}`);
  }
}

/** A value of a header in a reason: it may be anything, also too long or too deep to be written. */
function shown(value: unknown): string {
  if (typeof value === "object" && value !== null)
    return Array.isArray(value) ? "a list" : "an object";
  return (JSON.stringify(value) ?? "undefined").slice(0, MAX_SHOWN);
}

type Members = Readonly<Record<string, unknown>>;

interface Envelope {
  header: Header;
  checkId: string | undefined;
}

function readEnvelope(value: Members): Envelope {
  const { v, channel, eventName, ts, retain, claim } = value;
  if (v !== 1) {
    throw new Broken("unsupported_version", `the header's v is ${shown(v)}, not 1 or 2`);
  }
  for (const [name, given] of [
    ["channel", channel],
    ["eventName", eventName],
  ] as const) {
    const problem = nameProblem(given);
    if (problem) throw new Broken("bad_name", `the header's ${name} ${problem}`);
  }
  checkTime(ts);
  if (retain !== undefined && !isRetain(retain)) {
    throw new Broken("bad_header", `the header's retain is not 1 to ${MAX_RETAIN_S} seconds`);
  }
  if (claim !== undefined && (typeof claim !== "string" || !/^[0-9a-f]{32}$/i.test(claim))) {
    throw new Broken("bad_header", "the header's claim is not an id of 32 hex digits");
  }
  return {
    header: {
      channel: channel as string,
      eventName: eventName as string,
      ts,
      ...(retain !== undefined && { retain }),
    },
    checkId: claim as string | undefined,
  };
}

function checkTime(ts: unknown): asserts ts is number {
  if (typeof ts !== "number" || !Number.isSafeInteger(ts) || ts < 0) {
    throw new Broken("bad_header", "the header's ts is not a time in ms since 1970");
  }
}

function asMembers(value: unknown, what: string): Members {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Members;
  throw new Broken("bad_header", `${what} is not a JSON object`);
}

/** The header's members, and the text behind it: on a JSON queue the member `payload`. */
function split(body: Dequeued["body"]): { header: Members; text: string | undefined } {
  if (body.kind === "json") {
    const header = asMembers(body.value, "the header");
    const { payload } = header;
    return { header, text: typeof payload === "string" ? payload : undefined };
  }
  const text = textOf(body);
  const newline = text.indexOf("\n");
  if (newline < 0) throw new Broken("bad_header", "there is no header line");
  let header: unknown;
  try {
    header = JSON.parse(text.slice(0, newline));
  } catch (error) {
    throw new Broken("bad_header", `the header line is not JSON: ${messageOf(error)}`);
  }
  return { header: asMembers(header, "the header"), text: text.slice(newline + 1) };
}

function requireText(text: string | undefined): string {
  if (text !== undefined) return text;
  throw new Broken("bad_header", "the member payload is not a string of JSON text");
}

function readControlItem({ op, ts }: Members, text: string): { item: ControlItem; ts: number } {
  checkTime(ts);
  if (!isControlOp(op)) {
    throw new Broken("unsupported_version", `the header's op is ${shown(op)}`);
  }
  const members = asMembers(JSON.parse(requireJson(text)), "the control item");
  const item = readControl({ ...members, op });
  if (typeof item === "string") throw new Broken("bad_header", `the control item: ${item}`);
  return { item, ts };
}

/** As much of a body as can be kept for a human to look at. */
export function readableBody(body: Dequeued["body"]): string {
  if (body.kind !== "bytes") {
    return body.kind === "text" ? body.text : (JSON.stringify(body.value) ?? "null");
  }
  try {
    return utf8.decode(body.bytes);
  } catch {
    return `base64:${Buffer.from(body.bytes).toString("base64")}`;
  }
}

/**
 * Decodes one message. Our own queue carries the format of docs/worker-api.md; a foreign queue
 * carries bare JSON and is addressed by its configuration, with `now` (ms since 1970) as `ts`.
 */
export function decode(
  dequeued: Dequeued,
  foreign: ForeignAddress | undefined,
  now: number,
): Decoded {
  const { id, body } = dequeued;
  let header: Header | undefined;
  try {
    if (foreign) {
      const { channel, eventName = DEFAULT_EVENT_NAME } = foreign;
      header = { channel, eventName, ts: now };
      return { kind: "message", message: { ...header, id, payload: requireJson(textOf(body)) } };
    }
    const { header: members, text } = split(body);
    if (members.v === 2) {
      return { kind: "control", id, ...readControlItem(members, requireText(text)) };
    }
    const { header: names, checkId } = readEnvelope(members);
    header = names;
    if (checkId !== undefined) return { kind: "claim", checkId: checkId.toLowerCase(), header, id };
    return { kind: "message", message: { ...header, id, payload: requireJson(requireText(text)) } };
  } catch (error) {
    return toPoison(error, id, header, readableBody(body));
  }
}

/** Completes a claim check with the text that was fetched, or with `undefined` when it is gone. */
export function withCheckedText(
  { checkId, header, id }: ClaimCheck,
  text: string | undefined,
): Resolved {
  try {
    if (text === undefined) {
      throw new Broken("claim_missing", `RTM_DELIVERY has no row ${checkId}`);
    }
    return { kind: "message", message: { ...header, id, payload: requireJson(text) } };
  } catch (error) {
    return toPoison(error, id, header, text ?? "");
  }
}

/** Gives a claim check up whose row may be there but cannot be fetched. */
export function checkUnreadable({ checkId, header, id }: ClaimCheck, why: string): Resolved {
  const broken = new Broken("claim_unreadable", `RTM_DELIVERY ${checkId} cannot be read: ${why}`);
  return toPoison(broken, id, header, "");
}

/** Size of a body in an answer of the database, bytes; of JSON values and text about. */
export function bodySize(body: Dequeued["body"]): number {
  if (body.kind === "bytes") return body.bytes.length;
  return body.kind === "text" ? body.text.length : (JSON.stringify(body.value)?.length ?? 0);
}

/** @throws what is not `Broken`. */
function toPoison(
  error: unknown,
  id: string,
  header: Header | undefined,
  payload: string,
): Resolved {
  if (!(error instanceof Broken)) throw error;
  const names = header ? { channel: header.channel, eventName: header.eventName } : {};
  return {
    kind: "poison",
    poison: { id, code: error.code, reason: error.message, payload, ...names },
  };
}
