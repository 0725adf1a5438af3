/** A client of `text/event-stream`, for Node (WHATWG HTML, section 9.2.6, without reconnecting). */
import { messageOf, RtmError } from "../../common/errors.ts";
import { formatDuration, formatSize } from "../../common/units.ts";
import { textOf } from "../ask.ts";
import { CommandError } from "../exit.ts";

/** A sample comes every second: what is silent for so long is gone, and what was shown last is not now. */
const SILENCE_MS = 15_000;
/** Of one event; the first one of a busy node has some hundred KiB. */
const MAX_EVENT_CHARACTERS = 16 * 1024 * 1024;
/** Of an answer that refuses. */
const MAX_REFUSAL_BYTES = 64 * 1024;

const NO_CONSOLE =
  "that is not the console of an admin listener: --url names service.admin.port (3001 by default), not " +
  "the relay's, and service.console.enabled must not be false";

export interface StreamEvent {
  readonly name: string;
  readonly data: string;
}

/**
 * The events of `url` until the stream ends or the signal is aborted. A redirect is not followed: the
 * token would go with it.
 * @throws {CommandError} it cannot be reached, refuses, is no console or goes silent; the message says why
 */
export async function* events(
  url: URL,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent> {
  const silence = new AbortController();
  const listening = AbortSignal.any([signal, silence.signal]);
  const timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const body = await answerOf(url, headers, listening);
    let rest = "";
    for await (const piece of body.pipeThrough(new TextDecoderStream())) {
      timer.refresh();
      rest += piece;
      // An event that does not end must not be searched from its begin each time.
      const blocks = piece.includes("\n") ? rest.split("\n\n") : [rest];
      rest = blocks.pop() as string;
      if (rest.length > MAX_EVENT_CHARACTERS) {
        const most = formatSize(MAX_EVENT_CHARACTERS);
        throw new CommandError(`${url.origin}: an event is longer than ${most}; ${NO_CONSOLE}`);
      }
      for (const block of blocks) {
        const event = parse(block);
        if (event) yield event;
      }
    }
  } catch (error) {
    if (signal.aborted) return;
    if (silence.signal.aborted) {
      const time = formatDuration(SILENCE_MS);
      throw new CommandError(`${url.origin} has said nothing for ${time}: is it reachable still?`, {
        cause: error,
      });
    }
    if (error instanceof RtmError) throw error;
    throw new CommandError(`${url.origin} went away: ${messageOf(error)}`, { cause: error });
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
}

/** @throws {CommandError} it is no stream of events */
async function answerOf(
  url: URL,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  let response: Response;
  try {
    response = await fetch(url, { headers, redirect: "manual", signal });
  } catch (error) {
    if (signal.aborted) throw error;
    const cause = (error as Error).cause ?? error;
    throw new CommandError(`${url.origin} cannot be reached: ${messageOf(cause)}`, {
      cause: error,
    });
  }
  const { status, ok, body } = response;
  const type = response.headers.get("content-type") ?? "";
  if (ok && body && type.startsWith("text/event-stream")) return body;
  if (ok) throw new CommandError(`${url.origin}: ${NO_CONSOLE}`);
  const place = response.headers.get("location");
  if (place !== null) {
    throw new CommandError(
      `${url.origin}: the answer is a redirect (${status}) to ${place}: name that place`,
    );
  }
  const hint = status === 404 ? `; ${NO_CONSOLE}` : "";
  const text = problemOf(await textOf(response, MAX_REFUSAL_BYTES));
  throw new CommandError(`${url.origin} answered ${status}: ${text}${hint}`);
}

function problemOf(text: string): string {
  try {
    return String((JSON.parse(text) as { message?: unknown }).message ?? text).slice(0, 200);
  } catch {
    return text.slice(0, 200);
  }
}

function parse(block: string): StreamEvent | undefined {
  let name = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice("event: ".length);
    else if (line.startsWith("data: ")) data.push(line.slice("data: ".length));
  }
  return data.length === 0 ? undefined : { name, data: data.join("\n") };
}
