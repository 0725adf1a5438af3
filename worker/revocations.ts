/**
 * Revocations that are in force already. The table RTM_REVOCATION is the truth, the queue only rings:
 * whoever leads the queue hands all of them over before it serves and with each new session, so that
 * neither a relay that lost its memory nor an emptied queue brings a token back.
 */
import { messageOf } from "../common/errors.ts";
import type { RateLimitedLog } from "../common/logger.ts";
import { type ControlItem, readControl } from "../relay/contract/control.ts";
import { WITH_PRESENCE } from "./api-version.ts";
import type { KnownQueue } from "./known-queue.ts";

/** Of our own queue, by a package of version 2 or later; otherwise there are none. */
export async function revocationsInForce(
  { api, apiVersion = 0, isOwn }: KnownQueue,
  warnings: RateLimitedLog,
): Promise<ControlItem[]> {
  if (!api || !isOwn || apiVersion < WITH_PRESENCE) return [];
  const items: ControlItem[] = [];
  for (const text of await api.revocations()) {
    const item = readRevocation(text);
    if (typeof item === "string") {
      warnings.warn(
        "revocation",
        { reason: item },
        "a row of RTM_REVOCATION cannot be handed over",
      );
    } else items.push(item);
  }
  return items;
}

function readRevocation(text: string): ControlItem | string {
  try {
    return readControl(JSON.parse(text));
  } catch (error) {
    return messageOf(error);
  }
}
