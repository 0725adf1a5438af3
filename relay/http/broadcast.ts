/** `POST /api/broadcast`: one message or control item, or an array of them (docs/protocol.md, REST). */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { ApiKey } from "../access/keys.ts";
import type { LocalPublisher } from "../channels/local-publisher.ts";
import type { Clients } from "../clients/clients.ts";
import { type Code, IDS_HEADER } from "../contract/protocol.ts";
import type { BroadcastRefusal, ItemAnswer } from "./broadcast-answer.ts";
import { readItem, takeItems } from "./items.ts";
import { rawMember } from "./json-span.ts";
import { discard, Refusal, readText } from "./request-body.ts";

/** What a publisher is told to wait when the relay cannot take messages, s. */
const RETRY_AFTER_S = 2;

/** The same, when too many requests of its address were refused, s. */
const REFUSED_RETRY_AFTER_S = 10;

const STATUS: Partial<Record<Code, number>> = {
  unauthorized: 401,
  channel_forbidden: 403,
  key_not_trusted: 403,
  scope_missing: 403,
  message_too_large: 413,
  batch_too_large: 413,
  unsupported_media_type: 415,
  internal_error: 500,
  unavailable: 503,
};

/** Who posts when the configuration says insecure and no known key came. */
const ANYBODY: ApiKey = {
  name: "anybody",
  channels: ["*"],
  scopes: ["publish", "manage", "read"],
  trusted: false,
};

export interface BroadcastOptions {
  readonly clients: Clients;
  readonly publisher: LocalPublisher;
  /** Undefined while the relay takes messages, otherwise why not. */
  readonly notServing: () => string | undefined;
}

/** A handler that answers every request, whatever happens. */
export function createBroadcast(options: BroadcastOptions): RequestListener {
  return async (request, response) => {
    try {
      await broadcast(request, response, options);
    } catch (error) {
      if (!(error instanceof Refusal)) {
        options.clients.log.error({ err: error }, "POST /api/broadcast failed");
      }
      if (response.headersSent) {
        response.destroy();
        return;
      }
      const refusal = error instanceof Refusal ? error : undefined;
      const code = refusal?.code ?? "internal_error";
      const message = refusal?.message ?? "see the relay's log";
      if (refusal?.counts) {
        const exhausted = options.clients.requestRefused(code, request);
        // Who has a key is told what is wrong, whoever else has its address.
        if (exhausted && code === "unauthorized") {
          response.setHeader("connection", "close");
          response.setHeader("retry-after", String(REFUSED_RETRY_AFTER_S));
          const text = `${message}; too many requests of this address were refused lately`;
          answer(response, 429, { ok: false, code: "too_many_refusals", message: text });
          return;
        }
      }
      if (!request.complete) {
        response.setHeader("connection", "close");
        await discard(request);
      }
      answer(response, STATUS[code] ?? 400, { ok: false, code, message });
    }
  };
}

async function broadcast(
  request: IncomingMessage,
  response: ServerResponse,
  { clients, publisher, notServing }: BroadcastOptions,
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
  const problem = notServing();
  if (problem !== undefined) {
    response.setHeader("retry-after", String(RETRY_AFTER_S));
    throw new Refusal("unavailable", problem);
  }
  const { batchBytes, batchMessages } = clients.config.limits;
  const text = await readText(request, batchBytes, "batch_too_large");
  const value = parse(text, batchMessages);
  const raw = rawMember(text, "payload");
  const items = (Array.isArray(value) ? value : [value]).map((item, index) =>
    readItem(item, raw[index], key),
  );
  const answers = await takeItems(items, publisher, { name: `key:${key.name}` });
  if (Array.isArray(value)) {
    answer(response, 200, { ok: answers.every(({ ok }) => ok), results: answers });
    return;
  }
  const [only] = answers as [ItemAnswer];
  if (isUnavailable(only)) response.setHeader("retry-after", String(RETRY_AFTER_S));
  answer(response, only.ok ? 200 : (STATUS[only.code as Code] ?? 400), only);
}

function isUnavailable(answer: ItemAnswer): answer is BroadcastRefusal {
  return !answer.ok && answer.code === "unavailable";
}

function answer(
  response: ServerResponse,
  status: number,
  body: ItemAnswer | { readonly ok: boolean; readonly results: readonly ItemAnswer[] },
): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}

function authorize(request: IncomingMessage, clients: Clients): ApiKey {
  const presented = request.headers["x-api-key"];
  const key = typeof presented === "string" ? clients.keys.findApiKey(presented) : undefined;
  if (key) return key;
  if (clients.config.insecure) return ANYBODY;
  clients.stats.authFailed(presented === undefined ? "api_key_missing" : "api_key_unknown");
  throw new Refusal("unauthorized", "no or unknown x-api-key");
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
