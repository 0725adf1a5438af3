/** `POST /api/broadcast`: one message or control item, or an array of them (docs/protocol.md, REST). */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { setImmediate } from "node:timers/promises";
import type { ApiKey } from "../access/keys.ts";
import type { LocalPublisher } from "../channels/local-publisher.ts";
import type { Clients } from "../clients/clients.ts";
import { IDS_HEADER } from "../contract/protocol.ts";
import {
  answerJson,
  apiHandler,
  authorize,
  RETRY_AFTER_S,
  refuseUnlessServing,
  statusOf,
} from "./api.ts";
import type { ItemAnswer } from "./broadcast-answer.ts";
import { type ReadItem, readItem, takeItems } from "./items.ts";
import { MAX_DEPTH, rawMember, splitItems } from "./json-span.ts";
import { KeyRates } from "./key-rates.ts";
import { Refusal, readText } from "./request-body.ts";

/** How long items of one body are parsed before others have their turn, ms. */
const TURN_MS = 10;
/** More than what stands around the payload of a message, however it is laid out, UTF-16 units. */
const ENVELOPE_BYTES = 65_536;
const NOT_JSON = `the body is not JSON, or nested deeper than ${MAX_DEPTH}`;

export interface BroadcastOptions {
  readonly clients: Clients;
  readonly publisher: LocalPublisher;
  /** Undefined while the relay takes messages, otherwise why not. */
  readonly notServing: () => string | undefined;
}

/** A handler that answers every request, whatever happens. */
export function createBroadcast(options: BroadcastOptions): RequestListener {
  const rates = new KeyRates(options.clients.config.limits.batchMessages);
  return apiHandler(options.clients, (request, response) =>
    broadcast(request, response, options, rates),
  );
}

async function broadcast(
  request: IncomingMessage,
  response: ServerResponse,
  { clients, publisher, notServing }: BroadcastOptions,
  rates: KeyRates,
): Promise<void> {
  const key = authorize(request, clients);
  if (request.headers[IDS_HEADER] === "keep" && !key.trusted) {
    throw new Refusal("key_not_trusted", "ids are kept for keys marked trusted only");
  }
  const type = request.headers["content-type"]?.split(";")[0]?.trim().toLowerCase();
  const encoding = request.headers["content-encoding"] ?? "identity";
  if (type !== "application/json" || encoding !== "identity") {
    throw new Refusal("unsupported_media_type", "the body must be plain application/json");
  }
  refuseUnlessServing(response, notServing());
  const { batchBytes, batchMessages, messageBytes } = clients.config.limits;
  const text = await readText(request, batchBytes, "batch_too_large");
  const texts = splitItems(text);
  if (!texts) throw new Refusal("bad_json", NOT_JSON);
  if (texts.length > batchMessages) {
    throw new Refusal("batch_too_large", `more than ${batchMessages} items in one body`);
  }
  if (!rates.take(key, texts.length, performance.now())) {
    response.setHeader("retry-after", String(RETRY_AFTER_S));
    // A worker takes a code that it does not know for a refusal of the message.
    throw new Refusal(key.trusted ? "unavailable" : "rate_limited", "apiKeys[].itemsPerSecond");
  }
  const items = await readItems(texts, messageBytes + ENVELOPE_BYTES, key);
  const answers = await takeItems(items, publisher, key);
  if (text.trimStart().startsWith("[")) {
    answerJson(response, 200, { ok: answers.every(({ ok }) => ok), results: answers });
    return;
  }
  const [only] = answers as [ItemAnswer];
  if (!only.ok && only.code === "unavailable") {
    response.setHeader("retry-after", String(RETRY_AFTER_S));
  }
  answerJson(response, only.ok ? 200 : statusOf(only.code), only);
}

/**
 * Reads one item after the other, and lets others have their turn between them.
 * @param longest of an item's text, UTF-16 units; what is longer is not parsed
 */
async function readItems(
  texts: readonly string[],
  longest: number,
  key: ApiKey,
): Promise<ReadItem[]> {
  const items: ReadItem[] = [];
  let since = performance.now();
  for (const text of texts) {
    if (text.length > longest) {
      const message = `the item has more than ${longest} characters; see limits.messageBytes`;
      items.push({ ok: false, code: "message_too_large", message });
      continue;
    }
    items.push(readItem(parse(text), rawMember(text, "payload")[0], key));
    if (performance.now() - since < TURN_MS) continue;
    await setImmediate();
    since = performance.now();
  }
  return items;
}

function parse(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refusal("bad_json", NOT_JSON);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Refusal("bad_json", "the body must be an object or an array of objects");
  }
  return value as Record<string, unknown>;
}
