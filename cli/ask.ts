/** One HTTP request of a command. Who answers may be none of ours, or worse. */
import { RtmError } from "../common/errors.ts";
import { formatDuration, formatSize } from "../common/units.ts";

/** Answers of a relay are short. */
const MAX_ANSWER_BYTES = 256 * 1024;

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Something answers there, and it is no relay. */
export class AnswerError extends RtmError {
  constructor(message: string) {
    super("RTM_COMMAND_FAILED", message);
  }
}

/**
 * Asks once; redirects are not followed, because a key would go with them to wherever they lead.
 * @param limitMs for the whole answer
 * @param maxBytes of the answer
 * @throws {AnswerError} a redirect, or an answer that is too long or does not end
 * @throws {Error} nobody can be reached
 */
export async function ask(
  url: URL,
  init: RequestInit,
  limitMs: number,
  maxBytes = MAX_ANSWER_BYTES,
): Promise<Answer> {
  const signal = AbortSignal.timeout(limitMs);
  try {
    const response = await fetch(url, { ...init, redirect: "manual", signal });
    const { status, headers } = response;
    if (status >= 300 && status < 400) {
      await response.body?.cancel();
      const place = headers.get("location") ?? "nowhere";
      throw new AnswerError(`the answer is a redirect (${status}) to ${place}: name that place`);
    }
    return { status, text: await textOf(response, maxBytes) };
  } catch (error) {
    if (error instanceof AnswerError) throw error;
    if (signal.aborted) throw new AnswerError(`no whole answer within ${formatDuration(limitMs)}`);
    throw (error as Error).cause ?? error;
  }
}

/** The body as text. @throws {AnswerError} it is longer than `maxBytes` */
export async function textOf({ body }: Response, maxBytes: number): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of body ?? []) {
    bytes += piece.length;
    if (bytes > maxBytes) {
      // Leaving the loop cancels the rest.
      throw new AnswerError(`the answer is longer than ${formatSize(maxBytes)}`);
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}

/** The answer as JSON; undefined when it is none. */
export function jsonOf({ text }: Answer): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
