/** What stands in the body of `POST /api/broadcast`: messages and control items, taken in their order. */
import { randomUUID } from "node:crypto";
import type { ApiKey } from "../access/keys.ts";
import type { Incoming, LocalPublisher } from "../channels/local-publisher.ts";
import {
  type ControlItem,
  type ControlResult,
  isControl,
  isControlOp,
  readControl,
} from "../contract/control.ts";
import { DEFAULT_EVENT_NAME, type Message } from "../contract/message.ts";
import { matchesAny } from "../contract/patterns.ts";
import type { Code } from "../contract/protocol.ts";
import { inOrder, type PublishResult } from "../contract/publisher.ts";
import type { BroadcastRefusal, ItemAnswer } from "./broadcast-answer.ts";

export type ReadItem = Incoming | ControlItem | BroadcastRefusal;

type Body = Readonly<Record<string, unknown>>;

function refused(code: Code, message: string): BroadcastRefusal {
  return { ok: false, code, message };
}

const isRefusal = (item: ReadItem): item is BroadcastRefusal => "ok" in item;

/**
 * An item of the body, or why it is refused.
 * @param payload the text of its member `payload`
 */
export function readItem(body: Body, payload: string | undefined, key: ApiKey): ReadItem {
  const { op, channel } = body;
  const names = channel !== undefined && channel !== null && channel !== "";
  if (isControlOp(op) || (typeof op === "string" && !names)) return readControlItem(body, key);
  if (!key.scopes.includes("publish")) {
    return refused("scope_missing", "the key has not the scope publish");
  }
  // Word for word what the published predecessor answers.
  if (!names) return refused("bad_channel", "channel is required");
  if (typeof channel === "string" && !matchesAny(key.channels, channel)) {
    return refused("channel_forbidden", "the key does not grant this channel");
  }
  const given = key.trusted ? (body.id ?? undefined) : undefined;
  const ts = key.trusted ? (body.ts ?? undefined) : undefined;
  // The publisher checks names and numbers at run time; whatever is no string fails there.
  const message: Message = {
    channel: channel as string,
    eventName: (body.eventName ?? body.event_name ?? DEFAULT_EVENT_NAME) as string,
    payload: payload ?? "null",
    id: (given as string | undefined) ?? randomUUID(),
    ts: (ts as number | undefined) ?? Date.now(),
  };
  const retain = body.retain ?? undefined;
  return {
    message: retain === undefined ? message : { ...message, retain: retain as number },
    ownId: given === undefined,
  };
}

function readControlItem(body: Body, key: ApiKey): ReadItem {
  if (!key.scopes.includes("manage")) {
    return refused("scope_missing", "the key has not the scope manage");
  }
  const item = readControl(body);
  if (typeof item === "string") return refused("bad_control", item);
  if (!("channel" in item)) {
    // What concerns a user concerns all channels.
    return key.channels.includes("*")
      ? item
      : refused("channel_forbidden", `${item.op} needs a key that grants all channels`);
  }
  return matchesAny(key.channels, item.channel)
    ? item
    : refused("channel_forbidden", "the key does not grant this channel");
}

/** Items of one kind, one after the other. */
type Run =
  | { readonly kind: "messages"; readonly items: Incoming[]; readonly length: number }
  | { readonly kind: "control"; readonly items: ControlItem[]; readonly length: number };

function runsOf(items: readonly ReadItem[]): Run[] {
  const runs: { kind: Run["kind"]; items: (Incoming | ControlItem)[]; length: number }[] = [];
  for (const item of items) {
    if (isRefusal(item)) continue;
    const kind = isControl(item) ? "control" : "messages";
    const last = runs.at(-1);
    if (last?.kind === kind) last.length = last.items.push(item);
    else runs.push({ kind, items: [item], length: 1 });
  }
  return runs as Run[];
}

/** Takes what is not refused, in order; what follows an item that could not be taken now is not either. */
export async function takeItems(
  items: readonly ReadItem[],
  publisher: LocalPublisher,
  key: ApiKey,
): Promise<readonly ItemAnswer[]> {
  const source = { name: `key:${key.name}` };
  const results = await inOrder<Run, PublishResult | ControlResult>(runsOf(items), (run) =>
    run.kind === "messages"
      ? publisher.publishAll(run.items, source)
      : publisher.control(run.items, source, key.channels.includes("*")),
  );
  let next = 0;
  return items.map((item): ItemAnswer => {
    if (isRefusal(item)) return item;
    const result = results[next++] as PublishResult | ControlResult;
    if (result.status !== "accepted")
      return { ok: false, code: result.code, message: result.message };
    if ("durable" in result) return { ok: true, durable: false };
    if (!("recipients" in result) || isControl(item)) return { ok: true };
    const { recipients, duplicate } = result;
    return { ok: true, id: item.message.id, recipients, ...(duplicate ? { duplicate } : {}) };
  });
}
