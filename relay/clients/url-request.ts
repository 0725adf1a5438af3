/** What the URL of a subscription without the protocol says, for WebSockets and `GET /sse` alike. */
import { nameProblem } from "../contract/message.ts";
import { type CloseName, MAX_EVENTS, MAX_LAST, type Since } from "../contract/protocol.ts";

/** Why the URL is refused. */
export interface UrlRefusal {
  readonly close: CloseName;
  readonly reason: string;
}

/**
 * The refusal of a URL that cannot be understood.
 * @param reason for the client
 */
export function bad(reason: string): UrlRefusal {
  return { close: "bad_request", reason };
}

/** Which channels and events a URL names. */
export interface UrlNames {
  readonly channels: readonly string[];
  /** undefined: all. */
  readonly events: readonly string[] | undefined;
}

/** Reads `channel` and `event`, which may come several times. */
export function parseNames(
  parameters: URLSearchParams,
  maxChannels: number,
): UrlNames | UrlRefusal {
  const channels = [...new Set(parameters.getAll("channel"))];
  const events = [...new Set(parameters.getAll("event"))];
  for (const [key, names] of Object.entries({ channel: channels, event: events })) {
    const problem = names.map(nameProblem).find((text) => text !== undefined);
    if (problem) return bad(`${key} ${problem}`);
  }
  if (channels.length > maxChannels) return bad(`more than ${maxChannels} channels`);
  if (events.length > MAX_EVENTS) return bad(`more than ${MAX_EVENTS} events`);
  return { channels, events: events.length === 0 ? undefined : events };
}

/** Reads `last`: how many of the newest messages of each event are wanted; undefined: none. */
export function parseLast(parameters: URLSearchParams): number | undefined | UrlRefusal {
  const [text, another] = parameters.getAll("last");
  if (text === undefined) return undefined;
  const last = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  return another === undefined && last >= 1 && last <= MAX_LAST
    ? last
    : bad(`last must be a whole number from 1 to ${MAX_LAST}`);
}

/** A place in a channel, or the newest messages where that cannot be gone on from. */
export function withLast(since: Since | undefined, last: number | undefined): Since | undefined {
  if (last === undefined) return since;
  return since && "epoch" in since ? { ...since, last } : { last };
}
