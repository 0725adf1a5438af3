/** The message: what travels from the queue to the page, and the rules for its names. */

/** A message on its way to the subscribers. `seq` is added by the relay when it accepts it. */
export interface Message {
  /** 1-128 bytes of UTF-8, no control characters, no `*`. */
  readonly channel: string;
  /** Same rules as `channel`. */
  readonly eventName: string;
  /** The payload's JSON text. It travels byte for byte: no number loses a digit on our side. */
  readonly payload: string;
  /** The AQ message id in lower-case hex, or any 1-128 byte name given or made for REST. */
  readonly id: string;
  /** Time of the `broadcast_item` call, ms since 1970-01-01T00:00:00Z. */
  readonly ts: number;
  /**
   * Seconds for which it is kept as the last value of its channel and event, beside the history: 1 to
   * `MAX_RETAIN_S`. Absent: not kept.
   */
  readonly retain?: number;
}

/** Longest time that a message may be kept as a last value: a week, s. */
export const MAX_RETAIN_S = 604_800;

/** Whether `value` can be a message's `retain`. */
export function isRetain(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_RETAIN_S;
}

/** Deepest nesting of objects and lists that is taken: that of Oracle's JSON. */
export const MAX_DEPTH = 1024;

/** Event name of a message whose sender gave none (the published predecessor allowed that). */
export const DEFAULT_EVENT_NAME = "message";

/** Longest channel or event name, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 128;

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
const FORBIDDEN_IN_NAMES = /[\u0000-\u001f\u007f-\u009f*]|\p{Surrogate}/u;

/**
 * Why `name` cannot be the name of a channel or an event, as the end of a sentence
 * ("must not ..."); `undefined` when it can.
 */
export function nameProblem(name: unknown): string | undefined {
  if (typeof name !== "string") return "must be a string";
  if (name === "") return "must not be empty";
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) {
    return `must not be longer than ${MAX_NAME_BYTES} bytes of UTF-8`;
  }
  if (FORBIDDEN_IN_NAMES.test(name)) {
    return "must not contain control characters, lone surrogates or *";
  }
  return undefined;
}
