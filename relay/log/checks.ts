/** What is checked of a message before it is appended, whichever way it came in. */
import { isRetain, MAX_RETAIN_S, type Message, nameProblem } from "../contract/message.ts";
import type { Code } from "../contract/protocol.ts";

/** Names that were found valid are remembered up to this number. */
const KNOWN_NAMES = 10_000;
/** Most digits of a `seq`: a message's size must not depend on its number. */
const SEQ_DIGITS = 16;
/** A UTF-16 unit takes at most this many bytes in UTF-8. */
const MAX_BYTES_PER_UNIT = 3;
/** More than the names, the id and the numbers of a message take with the JSON around them, bytes. */
const MAX_ENVELOPE_BYTES = 3000;

/** Why a message can never be accepted. */
export interface MessageProblem {
  readonly code: Code;
  readonly message: string;
}

/** Bytes of the text that subscribers get of a message whose `seq` has as many digits as possible. */
export function encodedBytes({ channel, eventName, payload, id, ts }: Message): number {
  const rest = { channel, eventName, payload: 0, id, seq: 0, ts };
  return Buffer.byteLength(JSON.stringify(rest)) - 2 + SEQ_DIGITS + Buffer.byteLength(payload);
}

export class MessageChecks {
  readonly #messageBytes: number;
  readonly #knownNames = new Set<string>();

  /** @param messageBytes the largest encoded message */
  constructor(messageBytes: number) {
    this.#messageBytes = messageBytes;
  }

  /** Why `message` can never be accepted, whatever its members really are; undefined when it can. */
  problemOf(message: Message): MessageProblem | undefined {
    const { channel, eventName, id, ts, payload } = message;
    const badChannel = this.#nameProblem(channel);
    if (badChannel) return { code: "bad_channel", message: `channel ${badChannel}` };
    const badEvent = this.#nameProblem(eventName);
    if (badEvent) return { code: "bad_event_name", message: `eventName ${badEvent}` };
    const badId = nameProblem(id);
    if (badId) return { code: "bad_id", message: `id ${badId}` };
    if (!Number.isSafeInteger(ts) || ts < 0) {
      return { code: "bad_ts", message: "ts must be a whole number of milliseconds since 1970" };
    }
    if (message.retain !== undefined && !isRetain(message.retain)) {
      const message = `retain must be a whole number of seconds from 1 to ${MAX_RETAIN_S}`;
      return { code: "bad_retain", message };
    }
    if (payload.length * MAX_BYTES_PER_UNIT + MAX_ENVELOPE_BYTES <= this.#messageBytes) {
      return undefined;
    }
    // Text never has fewer bytes than UTF-16 units: no need to measure what cannot fit.
    const bytes = payload.length > this.#messageBytes ? payload.length : encodedBytes(message);
    if (bytes <= this.#messageBytes) return undefined;
    return {
      code: "message_too_large",
      message: `the message has ${bytes} bytes or more; limits.messageBytes is ${this.#messageBytes}`,
    };
  }

  #nameProblem(name: string): string | undefined {
    if (this.#knownNames.has(name)) return undefined;
    const problem = nameProblem(name);
    if (problem !== undefined) return problem;
    if (this.#knownNames.size >= KNOWN_NAMES) this.#knownNames.clear();
    this.#knownNames.add(name);
    return undefined;
  }
}
