/** `POST /api/broadcast`: one message or control item, or an array of them (docs/protocol.md, REST). */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
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
import { readItem, takeItems } from "./items.ts";
import { rawMember } from "./json-span.ts";
import { KeyRates } from "./key-rates.ts";
import { Refusal, readText } from "./request-body.ts";

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
  const { batchBytes, batchMessages } = clients.config.limits;
  const text = await readText(request, batchBytes, "batch_too_large");
  const value = parse(text, batchMessages);
  const count = Array.isArray(value) ? value.length : 1;
  if (!rates.take(key, count, performance.now())) {
    response.setHeader("retry-after", String(RETRY_AFTER_S));
    // A worker takes a code that it does not know for a refusal of the message.
    throw new Refusal(key.trusted ? "unavailable" : "rate_limited", "apiKeys[].itemsPerSecond");
  }
  const raw = rawMember(text, "payload");
  const items = (Array.isArray(value) ? value : [value]).map((item, index) =>
    readItem(item, raw[index], key),
  );
  const answers = await takeItems(items, publisher, { name: `key:${key.name}` });
  if (Array.isArray(value)) {
    answerJson(response, 200, { ok: answers.every(({ ok }) => ok), results: answers });
    return;
  }
  const [only] = answers as [ItemAnswer];
  if (!only.ok && only.code === "unavailable") {
    response.setHeader("retry-after", String(RETRY_AFTER_S));
  }
  answerJson(response, only.ok ? 200 : statusOf(only.code), only);
}

/** One object, or a list of at most `most` objects. */
function parse(text: string, most: number): Record<string, unknown> | Record<string, unknown>[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refusal("bad_json", "the body is not JSON");
  }
  const items = Array.isArray(value) ? value : [value];
  if (items.length > most) {
    throw new Refusal("batch_too_large", `more than ${most} items in one body`);
  }
  for (const item of items) {
    if (typeof item !== "object" || item === null || Array.isArray(item)) {
      throw new Refusal("bad_json", "the body must be an object or an array of objects");
    }
  }
  return value as Record<string, unknown>;
}
