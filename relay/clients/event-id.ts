/**
 * The id of an event of `GET /sse`: where its client stands in all channels of its URL, in their order.
 * An EventSource sends the last one back when it comes again.
 */
import type { Since } from "../contract/protocol.ts";

/** `-` stands for a channel in which the client stands nowhere. */
const NOWHERE = "-";

/** A position that cannot be recovered. */
const UNKNOWN: Since = { epoch: NOWHERE, seq: 0 };

export function positionId(epoch: string, seqs: readonly (number | undefined)[]): string {
  return `${epoch}:${seqs.map((seq) => seq ?? NOWHERE).join(",")}`;
}

/**
 * Where a client stands behind message `seq`. A last value of an earlier epoch has no number (0): whoever is
 * cut off behind it is to ask for the newest again, as others may not have come.
 */
export function placeBehind(seq: number): number | undefined {
  return seq === 0 ? undefined : seq;
}

/** Where a client stood in each of `count` channels; undefined when the text does not say that. */
export function parsePositionId(text: string, count: number): (Since | undefined)[] | undefined {
  const [, epoch, list = ""] = /^([^:]{1,64}):([\d,-]+)$/.exec(text) ?? [];
  const places = list.split(",");
  if (epoch === undefined || places.length !== count) return undefined;
  if (!places.every((place) => place === NOWHERE || /^\d{1,15}$/.test(place))) return undefined;
  return places.map((place) => (place === NOWHERE ? undefined : { epoch, seq: Number(place) }));
}

/** As `parsePositionId`; an id that is none of ours is a position from which nothing is recovered. */
export function parseLastEventId(text: string, count: number): (Since | undefined)[] {
  return parsePositionId(text, count) ?? new Array<Since>(count).fill(UNKNOWN);
}
