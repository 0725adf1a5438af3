/** `rtm publish`: posts one message to a relay. */
import { text } from "node:stream/consumers";
import { messageOf } from "../common/errors.ts";
import { printable } from "../common/printable.ts";
import { readSecretFile } from "../common/secret-file.ts";
import { apiKeyProblem } from "../relay/access/keys.ts";
import { CommandError } from "./exit.ts";

export interface PublishOptions {
  readonly url: string;
  readonly event: string;
  readonly keyFile?: string;
}

/** The API key: from a file or RTM_API_KEY, never from the command line, which `ps` shows. */
export function apiKey(keyFile: string | undefined): string | undefined {
  const where = keyFile === undefined ? "RTM_API_KEY" : "--key-file";
  let key: string | undefined;
  try {
    key = keyFile === undefined ? process.env.RTM_API_KEY : readSecretFile(keyFile);
  } catch (error) {
    throw new CommandError(`${where}: ${messageOf(error)}`, { cause: error });
  }
  const problem = key && apiKeyProblem(key);
  if (problem) throw new CommandError(`${where}: ${problem}`);
  return key;
}

/** @param payload JSON text; `-` reads it from standard input. */
export async function publish(
  channel: string,
  payload: string,
  { url, event, keyFile }: PublishOptions,
): Promise<void> {
  const json = payload === "-" ? await text(process.stdin) : payload;
  try {
    JSON.parse(json);
  } catch (error) {
    throw new CommandError(`the payload is not JSON: ${messageOf(error)}`, { cause: error });
  }
  const key = apiKey(keyFile);
  const names = JSON.stringify({ channel, eventName: event }).slice(0, -1);
  const response = await fetch(new URL("/api/broadcast", url), {
    method: "POST",
    headers: { "content-type": "application/json", ...(key ? { "x-api-key": key } : {}) },
    // Spliced, so that every digit of the payload survives.
    body: `${names},"payload":${json}}`,
  }).catch((error: unknown) => {
    const cause = (error as Error).cause ?? error;
    throw new CommandError(`${url} cannot be reached: ${messageOf(cause)}`, { cause: error });
  });
  const answer = await response.text();
  if (!response.ok) throw new CommandError(`${url} answered ${response.status}: ${answer}`);
  process.stdout.write(`${printable(answer)}\n`);
}
