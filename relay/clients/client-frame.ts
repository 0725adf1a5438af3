/** Reads what clients send. Whatever they send, the result is a frame or a reason; never a throw. */
import { z } from "zod";
import { issueTexts } from "../../common/issue.ts";
import { nameProblem } from "../contract/message.ts";
import {
  type Code,
  MAX_EVENTS,
  MAX_LAST,
  type Since,
  type SubscribeRequest,
} from "../contract/protocol.ts";

export interface FrameProblem {
  readonly code: Code;
  readonly message: string;
  readonly channel?: string;
}

/** One entry of `subscribe`: each is answered by itself. */
export type SubscribeEntry = SubscribeRequest | FrameProblem;

export type ParsedFrame =
  | {
      readonly op: "connect";
      /** Each is presented by itself. */
      readonly tokens: readonly string[];
      readonly waitMs: number | undefined;
      readonly subscribe: readonly SubscribeEntry[];
    }
  | {
      readonly op: "subscribe";
      readonly token: string | undefined;
      readonly subscribe: readonly SubscribeEntry[];
    }
  | { readonly op: "unsubscribe"; readonly channels: readonly unknown[] }
  | { readonly op: "refresh"; readonly token: string }
  | {
      readonly op: "publish";
      readonly channel?: unknown;
      readonly eventName?: unknown;
      readonly payload?: unknown;
      readonly ref?: string | undefined;
    }
  | { readonly op: "pong" };

/** Members of the frames that are read without a schema. */
const USUAL: ReadonlySet<string> = new Set(["op", "token", "subscribe"]);

/** The longest epoch a client may name. */
const MAX_EPOCH_LENGTH = 64;

/** The longest wait for news in one poll, ms: shorter than what proxies wait for an answer. */
const MAX_WAIT_MS = 30_000;

/** Longest `ref` of a frame that is answered, UTF-16 units. */
const MAX_REF_LENGTH = 64;

const token = z.string().optional();
const entries = z.array(z.unknown());

const frames = {
  connect: z.object({
    token,
    tokens: z.array(z.string()).optional(),
    waitMs: z.number().int().min(0).max(MAX_WAIT_MS).optional(),
    subscribe: entries.default([]),
  }),
  subscribe: z.object({ token, subscribe: entries }),
  unsubscribe: z.object({ channels: entries }),
  refresh: z.object({ token: z.string() }),
  publish: z.object({
    channel: z.unknown().optional(),
    eventName: z.unknown().optional(),
    payload: z.unknown().optional(),
    ref: z.string().max(MAX_REF_LENGTH).optional(),
  }),
  pong: z.object({}),
} as const;

const last = z.number().int().min(1).max(MAX_LAST);

const since = z.union([
  z.object({
    epoch: z.string().min(1).max(MAX_EPOCH_LENGTH),
    seq: z.number().int().min(0),
    last: last.optional(),
  }),
  z.object({ ageMs: z.number().min(0) }),
  z.strictObject({ last }),
]);

/** Tells a refusal from what it stands in for. */
export function isProblem<T extends object>(
  value: T,
): value is Extract<T, { readonly code: unknown }> {
  return "code" in value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function badFrame(message: string): FrameProblem {
  return { code: "bad_frame", message };
}

/** `null` is what some clients send for an absent member. */
function parseSince(value: unknown): Since | undefined | FrameProblem {
  if (value === undefined || value === null) return undefined;
  const { epoch, seq, last } = value as { epoch?: unknown; seq?: unknown; last?: unknown };
  // What nearly every page sends that comes back; a schema for it costs more than the frame's JSON.
  const usual = typeof epoch === "string" && epoch !== "" && epoch.length <= MAX_EPOCH_LENGTH;
  if (usual && last === undefined) {
    if (Number.isSafeInteger(seq) && (seq as number) >= 0) return { epoch, seq: seq as number };
  }
  const parsed = since.safeParse(value);
  if (parsed.success) return parsed.data;
  return {
    code: "bad_since",
    message: `since must be {"epoch":"...","seq":n}, {"ageMs":n} or {"last":n}; last (1 to ${MAX_LAST}) may stand beside a position`,
  };
}

/** `null` stands for an absent member here too. */
function parseEvents(value: unknown, where: string): readonly string[] | undefined | FrameProblem {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_EVENTS) {
    return badFrame(
      `${where}.events must be a list of 1 to ${MAX_EVENTS} names; all: leave it out`,
    );
  }
  for (const [index, name] of value.entries()) {
    const problem = nameProblem(name);
    if (problem) {
      return { code: "bad_event_name", message: `${where}.events[${index}] ${problem}` };
    }
  }
  return value as string[];
}

const wish = z.object({ join: z.boolean().optional(), watch: z.boolean().optional() });

function parseEntry(entry: unknown, index: number): SubscribeEntry {
  if (!isObject(entry)) return badFrame(`subscribe[${index}] must be an object`);
  const { channel } = entry;
  const problem = nameProblem(channel);
  if (problem) return { code: "bad_channel", message: `subscribe[${index}].channel ${problem}` };
  const name = channel as string;
  const since = parseSince(entry.since);
  if (since !== undefined && isProblem(since)) return { ...since, channel: name };
  const presence = wish.nullish().safeParse(entry.presence);
  if (!presence.success) {
    const message = `subscribe[${index}].presence must be {"join":true,"watch":true} or a part of it`;
    return { code: "bad_frame", message, channel: name };
  }
  const events = parseEvents(entry.events, `subscribe[${index}]`);
  if (events !== undefined && isProblem(events)) return { ...events, channel: name };
  return { channel: name, since, events, presence: presence.data ?? undefined };
}

function asConnect({
  token,
  tokens,
  waitMs,
  subscribe,
}: z.output<typeof frames.connect>): ParsedFrame | FrameProblem {
  if (token !== undefined && tokens !== undefined) {
    return badFrame("token and tokens: send one of them");
  }
  const all = tokens ?? (token === undefined ? [] : [token]);
  return { op: "connect", tokens: all, waitMs, subscribe: subscribe.map(parseEntry) };
}

/** Parses the text of one frame. */
export function parseClientFrame(text: string): ParsedFrame | FrameProblem {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return badFrame("the frame is not JSON");
  }
  if (!isObject(value)) return badFrame("the frame is not a JSON object");
  const { op } = value;
  if (typeof op !== "string") return badFrame("op must be a string");
  if (!Object.hasOwn(frames, op)) {
    return { code: "unknown_op", message: `op ${JSON.stringify(op.slice(0, 64))} is not known` };
  }
  const { token, subscribe } = value;
  if (
    (op === "connect" || op === "subscribe") &&
    (token === undefined || typeof token === "string") &&
    Array.isArray(subscribe) &&
    Object.keys(value).every((key) => USUAL.has(key))
  ) {
    // As below, without a schema: pages that come back all send this.
    if (op === "subscribe") return { op, token, subscribe: subscribe.map(parseEntry) };
    return asConnect({ token, subscribe });
  }
  const parsed = frames[op as keyof typeof frames].safeParse(value);
  if (!parsed.success) {
    return badFrame(issueTexts(parsed.error.issues.slice(0, 1), "the frame").join());
  }
  switch (op) {
    case "connect":
      return asConnect(parsed.data as z.output<typeof frames.connect>);
    case "subscribe": {
      const { token, subscribe } = parsed.data as z.output<typeof frames.subscribe>;
      return { op, token, subscribe: subscribe.map(parseEntry) };
    }
    default:
      return { op, ...parsed.data } as ParsedFrame;
  }
}

/** The position in `since=<epoch>:<seq>` of a plain URL; undefined when the text is none. */
export function parsePosition(text: string): Since | undefined {
  const match = /^([^:]{1,64}):(\d{1,15})$/.exec(text);
  return match ? { epoch: match[1] as string, seq: Number(match[2]) } : undefined;
}
