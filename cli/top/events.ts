/** A client of `text/event-stream`, for Node (WHATWG HTML, section 9.2.6, without reconnecting). */
import { messageOf } from "../../common/errors.ts";
import { CommandError } from "../exit.ts";

const NO_CONSOLE =
  "that is not the console of an admin listener: --url names service.admin.port (3001 by default), not " +
  "the relay's, and service.console.enabled must not be false";

export interface StreamEvent {
  readonly name: string;
  readonly data: string;
}

/**
 * The events of `url` until the stream ends or the signal is aborted.
 * @throws {CommandError} it cannot be reached, or refuses; the message says why
 */
export async function* events(
  url: URL,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent> {
  let response: Response;
  try {
    response = await fetch(url, { headers, signal });
  } catch (error) {
    const cause = (error as Error).cause ?? error;
    throw new CommandError(`${url.origin} cannot be reached: ${messageOf(cause)}`, {
      cause: error,
    });
  }
  if (!response.ok || !response.body) {
    const text = await response.text();
    const { status } = response;
    const hint = status === 404 ? `; ${NO_CONSOLE}` : "";
    throw new CommandError(`${url.origin} answered ${status}: ${problemOf(text)}${hint}`);
  }
  let rest = "";
  try {
    for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
      rest += piece;
      const blocks = rest.split("\n\n");
      rest = blocks.pop() as string;
      for (const block of blocks) {
        const event = parse(block);
        if (event) yield event;
      }
    }
  } catch (error) {
    if (signal.aborted) return;
    throw new CommandError(`${url.origin} went away: ${messageOf(error)}`, { cause: error });
  }
}

function problemOf(text: string): string {
  try {
    return String((JSON.parse(text) as { message?: unknown }).message ?? text);
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
