/** `POST /api/broadcast`: one message or control item, or an array of them (docs/protocol.md, REST). */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Clients } from "../clients/clients.ts";
import {
  answerJson,
  apiHandler,
  authorize,
  needTrust,
  RETRY_AFTER_S,
  refuseUnlessServing,
  statusOf,
  wantsOwnIds,
} from "./api.ts";
import type { ItemAnswer } from "./broadcast-answer.ts";
import type { Intake } from "./intake.ts";
import { splitItems } from "./json-span.ts";
import { Refusal, readText } from "./request-body.ts";

export interface BroadcastOptions {
  readonly clients: Clients;
  readonly intake: Intake;
  /** Undefined while the relay takes messages, otherwise why not. */
  readonly notServing: () => string | undefined;
}

/** A handler that answers every request, whatever happens. */
export function createBroadcast(options: BroadcastOptions): RequestListener {
  return apiHandler(options.clients, (request, response) => broadcast(request, response, options));
}

async function broadcast(
  request: IncomingMessage,
  response: ServerResponse,
  { clients, intake, notServing }: BroadcastOptions,
): Promise<void> {
  const key = authorize(request, clients);
  if (wantsOwnIds(request)) needTrust(key);
  const type = request.headers["content-type"]?.split(";")[0]?.trim().toLowerCase();
  const encoding = request.headers["content-encoding"] ?? "identity";
  if (type !== "application/json" || encoding !== "identity") {
    throw new Refusal("unsupported_media_type", "the body must be plain application/json");
  }
  refuseUnlessServing(notServing());
  const text = await readText(request, clients.config.limits.batchBytes, "batch_too_large");
  const items = await intake.read(splitItems(text), key);
  const answers = await intake.take(items, key);
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
