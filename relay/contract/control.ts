/**
 * What is told to the relay beside messages, in the queue (header `v` 2) and in the array of
 * `POST /api/broadcast`: the same objects (docs/protocol.md, Control).
 */
import { nameProblem } from "./message.ts";

/**
 * Who is meant: exactly one of a person (`user`, `self` or both), a session and a token.
 */
export interface Whom {
  /** The claim `sub`, exactly. */
  readonly user?: string;
  /** The claim `self`: the person's own channel. With `user` whoever has either is meant. */
  readonly self?: string;
  /** The claim `sid`. */
  readonly sid?: string;
  /** The claim `jti`. */
  readonly jti?: string;
}

/** What stands among messages and is none. It keeps its place among the messages of its source. */
export type ControlItem =
  /**
   * Tokens that were issued before `before` (ms since 1970 by the issuer's clock; absent: before now)
   * grant nothing any more.
   */
  | ({ readonly op: "revoke"; readonly before?: number } & Whom)
  /** They do not grant this channel any more. */
  | ({ readonly op: "unsubscribe"; readonly channel: string; readonly before?: number } & Whom)
  /** Connections are closed; `stop`: for good, otherwise they come back. */
  | ({ readonly op: "disconnect"; readonly stop?: boolean } & Whom)
  /** The last value of the channel and event is removed. */
  | { readonly op: "forget"; readonly channel: string; readonly eventName: string };

/** Whether what stands among messages is a control item. */
export function isControl(item: object): item is ControlItem {
  return "op" in item;
}

export type ControlOp = ControlItem["op"];

/** The fate of one item, in the order of the call. */
export type ControlResult =
  /**
   * It is in force on this node, and on every node before anything that is accepted later.
   * `durable` false: a crash of this process would forget it, as there is no place to keep it.
   */
  | { readonly status: "accepted"; readonly durable?: false }
  /** It can never be accepted. `code` is one of docs/protocol.md, "Codes". */
  | { readonly status: "rejected"; readonly code: string; readonly message: string }
  /** The relay cannot take it now: hold it and try again. */
  | { readonly status: "unavailable"; readonly code: string; readonly message: string };

/** Longest user, session and token id, UTF-16 units. */
const MAX_ID_LENGTH = 256;

type Fields = Readonly<Record<string, unknown>>;

/** Fields of each item (`op` aside), and whether they must be there. */
const FIELDS: Readonly<Record<ControlOp, Readonly<Record<string, boolean>>>> = {
  revoke: { user: false, self: false, sid: false, jti: false, before: false },
  unsubscribe: { user: false, self: false, sid: false, jti: false, channel: true, before: false },
  disconnect: { user: false, self: false, sid: false, jti: false, stop: false },
  forget: { channel: true, eventName: true },
};

const CHECKS: Readonly<Record<string, (value: unknown) => string | undefined>> = {
  user: idProblem,
  sid: idProblem,
  jti: idProblem,
  self: nameProblem,
  channel: nameProblem,
  eventName: nameProblem,
  stop: (value) => (typeof value === "boolean" ? undefined : "must be true or false"),
  before: (value) =>
    Number.isSafeInteger(value) && (value as number) >= 0
      ? undefined
      : "must be a whole number of milliseconds since 1970",
};

function idProblem(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" && value.length <= MAX_ID_LENGTH
    ? undefined
    : `must be a string of 1-${MAX_ID_LENGTH} characters`;
}

export function isControlOp(op: unknown): op is ControlOp {
  return typeof op === "string" && Object.hasOwn(FIELDS, op);
}

/**
 * The item that an object is, or why it is none. Fields that an item does not have are a mistake of
 * whoever sent it (who means one session must not hit all of a user's), so they are refused; `null` is
 * as good as absent.
 */
export function readControl(object: Fields): ControlItem | string {
  const { op } = object;
  if (!isControlOp(op)) {
    return `op must be one of ${Object.keys(FIELDS).join(", ")}`;
  }
  const fields = FIELDS[op];
  const item: Record<string, unknown> = { op };
  for (const [name, value] of Object.entries(object)) {
    if (name === "op" || value === null || value === undefined) continue;
    if (!Object.hasOwn(fields, name)) return `${op} has no member ${name.slice(0, 64)}`;
    const problem = CHECKS[name]?.(value);
    if (problem !== undefined) return `${name} ${problem}`;
    item[name] = value;
  }
  for (const [name, required] of Object.entries(fields)) {
    if (required && item[name] === undefined) return `${op} needs ${name}`;
  }
  if ("user" in fields) {
    const { user, self, sid, jti } = item;
    const meant = [user ?? self, sid, jti].filter((each) => each !== undefined);
    if (meant.length !== 1) return `${op} needs exactly one of user (or self), sid and jti`;
  }
  return item as unknown as ControlItem;
}
