/** What all handlers below `/api/` share: who asks, how they answer, and how they refuse. */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { ApiKey, Scope } from "../access/keys.ts";
import type { Clients } from "../clients/clients.ts";
import { type Code, IDS_HEADER } from "../contract/protocol.ts";
import { discard, Refusal } from "./request-body.ts";

/** What a publisher is told to wait when the relay cannot take messages, s. */
export const RETRY_AFTER_S = 2;

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
  rate_limited: 429,
  internal_error: 500,
  too_many_connections: 503,
  unavailable: 503,
};

/** Who posts when the configuration says insecure and no known key came. */
export const ANYBODY: ApiKey = {
  name: "anybody",
  channels: ["*"],
  scopes: ["publish", "manage", "read"],
  trusted: false,
  itemsPerSecond: 0,
};

/** What a request that failed is answered. */
export interface FailedAnswer {
  readonly status: number;
  readonly code: Code;
  readonly message: string;
  /** When to try again, s. */
  readonly retryAfter?: number;
  /** Nothing more is heard on its connection. */
  readonly shutOut?: true;
}

/** What to answer to a request that failed with `error`; it is logged or counted. */
export function failedAnswer(
  error: unknown,
  request: IncomingMessage,
  clients: Clients,
): FailedAnswer {
  if (!(error instanceof Refusal)) {
    clients.log.error({ err: error }, "a request to the API failed");
    return { status: 500, code: "internal_error", message: "see the relay's log" };
  }
  const { code, message } = error;
  if (!error.counts) {
    return { status: statusOf(code), code, message, retryAfter: RETRY_AFTER_S };
  }
  const exhausted = clients.requestRefused(code, request);
  // Who has a key is told what is wrong, whoever else has its address.
  if (exhausted && code === "unauthorized") {
    const text = `${message}; too many requests of this address were refused lately`;
    const retryAfter = REFUSED_RETRY_AFTER_S;
    return { status: 429, code: "too_many_refusals", message: text, retryAfter, shutOut: true };
  }
  return { status: statusOf(code), code, message };
}

/** A handler that answers every request, whatever happens. */
export function apiHandler(
  clients: Clients,
  handle: (request: IncomingMessage, response: ServerResponse) => Promise<void> | void,
): RequestListener {
  return async (request, response) => {
    try {
      await handle(request, response);
    } catch (error) {
      if (response.headersSent) {
        if (!(error instanceof Refusal)) {
          clients.log.error({ err: error }, "a request to the API failed");
        }
        response.destroy();
        return;
      }
      const { status, code, message, retryAfter, shutOut } = failedAnswer(error, request, clients);
      if (retryAfter !== undefined && !response.hasHeader("retry-after")) {
        response.setHeader("retry-after", String(retryAfter));
      }
      if (shutOut || !request.complete) response.setHeader("connection", "close");
      if (!shutOut && !request.complete) await discard(request);
      answerJson(response, status, { ok: false, code, message });
    }
  };
}

/** The HTTP status of a refusal as a whole; 400 for codes without one of their own. */
export function statusOf(code: string): number {
  return STATUS[code as Code] ?? 400;
}

/** @param body JSON text, or what becomes it */
export function answerJson(response: ServerResponse, status: number, body: object | string): void {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  response.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}

/** @throws {Refusal} the relay does not serve now */
export function refuseUnlessServing(problem: string | undefined): void {
  if (problem !== undefined) throw new Refusal("unavailable", problem);
}

/** The key that was presented. @throws {Refusal} it is nobody's that is known */
export function presentedKey(presented: unknown, clients: Clients): ApiKey {
  const key = typeof presented === "string" ? clients.keys.findApiKey(presented) : undefined;
  if (key) return key;
  if (clients.config.insecure) return ANYBODY;
  clients.stats.authFailed(presented === undefined ? "api_key_missing" : "api_key_unknown");
  throw new Refusal("unauthorized", "no or unknown x-api-key");
}

/** Whose request it is. @throws {Refusal} nobody's that is known */
export function authorize(request: IncomingMessage, clients: Clients): ApiKey {
  return presentedKey(request.headers["x-api-key"], clients);
}

/** Whether the publisher needs the ids that it gives to be kept. */
export function wantsOwnIds({ headers }: IncomingMessage): boolean {
  return headers[IDS_HEADER] === "keep";
}

/** @throws {Refusal} ids of the key's holder are not kept */
export function needTrust({ trusted }: ApiKey): void {
  if (!trusted) throw new Refusal("key_not_trusted", "ids are kept for keys marked trusted only");
}

/** @throws {Refusal} the key may not do this */
export function needScope(key: ApiKey, scope: Scope): void {
  if (!key.scopes.includes(scope)) {
    throw new Refusal("scope_missing", `the key has not the scope ${scope}`);
  }
}
