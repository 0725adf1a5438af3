/** `rtm publish`: posts one message to a relay. */
import { text } from "node:stream/consumers";
import { messageOf } from "../common/errors.ts";
import { printable } from "../common/printable.ts";
import { readSecretFile } from "../common/secret-file.ts";
import { apiKeyProblem } from "../relay/access/keys.ts";
import { type Answer, AnswerError, ask } from "./ask.ts";
import { CommandError, UsageError } from "./exit.ts";

/** As long as a worker waits for the answer to a POST. */
const ANSWER_LIMIT_MS = 10_000;

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
    throw new UsageError(`${where}: ${messageOf(error)}`, { cause: error });
  }
  const problem = key && apiKeyProblem(key);
  if (problem) throw new UsageError(`${where}: ${problem}`);
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
    throw new UsageError(`the payload is not JSON: ${messageOf(error)}`, { cause: error });
  }
  const key = apiKey(keyFile);
  const names = JSON.stringify({ channel, eventName: event }).slice(0, -1);
  const request = {
    method: "POST",
    headers: { "content-type": "application/json", ...(key ? { "x-api-key": key } : {}) },
    // Spliced, so that every digit of the payload survives.
    body: `${names},"payload":${json}}`,
  };
  let answer: Answer;
  try {
    answer = await ask(new URL("/api/broadcast", url), request, ANSWER_LIMIT_MS);
  } catch (error) {
    const what = error instanceof AnswerError ? "" : " cannot be reached";
    throw new CommandError(`${url}${what}: ${messageOf(error)}`, { cause: error });
  }
  const { status, text: said } = answer;
  if (status < 200 || status > 299) throw new CommandError(`${url} answered ${status}: ${said}`);
  process.stdout.write(`${printable(said)}\n`);
}
