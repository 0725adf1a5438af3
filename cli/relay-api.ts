/** What commands ask of a relay's REST API with a key, and what they make of its answers. */
import { messageOf } from "../common/errors.ts";
import { readSecretFile } from "../common/secret-file.ts";
import { apiKeyProblem, type Scope } from "../relay/access/keys.ts";
import { type Answer, AnswerError, ask, jsonOf } from "./ask.ts";
import { CommandError, UsageError } from "./exit.ts";
import { below } from "./relay-url.ts";

/** As long as a worker waits for the answer to a POST. */
const ANSWER_LIMIT_MS = 10_000;

/** Of an answer that refuses: a proxy may answer with a whole page. */
const MAX_SHOWN = 500;

export interface AskOptions {
  readonly url: string;
  readonly keyFile?: string;
}

export interface RelayRequest {
  /** Below the relay's URL, without a slash at the begin; with its query. */
  readonly path: string;
  /** What the key must be allowed to do. */
  readonly scope: Scope;
  /** JSON text: it is posted. Otherwise it is a GET. */
  readonly body?: string;
  /** Of the answer. Default: 256 KiB. */
  readonly maxBytes?: number;
}

export interface RelayAnswer {
  readonly answer: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** Where the key comes from; never the command line, which `ps` shows. */
function source({ keyFile }: Omit<AskOptions, "url">): string {
  return keyFile === undefined ? "RTM_API_KEY" : "--key-file";
}

/** @throws {UsageError} the key cannot be read, or is none */
export function apiKey(options: Omit<AskOptions, "url">): string | undefined {
  const { keyFile } = options;
  let key: string | undefined;
  try {
    key = keyFile === undefined ? process.env.RTM_API_KEY : readSecretFile(keyFile);
  } catch (error) {
    throw new UsageError(`${source(options)}: ${messageOf(error)}`, { cause: error });
  }
  const problem = key && apiKeyProblem(key);
  if (problem) throw new UsageError(`${source(options)}: ${problem}`);
  return key;
}

/**
 * Asks once.
 * @throws {UsageError} the key cannot be read
 * @throws {CommandError} it cannot be reached, refuses, or what answers is no relay
 */
export async function askRelay(
  { path, scope, body, maxBytes }: RelayRequest,
  options: AskOptions,
): Promise<RelayAnswer> {
  const { url } = options;
  const key = apiKey(options);
  const headers = { "content-type": "application/json", ...(key ? { "x-api-key": key } : {}) };
  const init = body === undefined ? { headers } : { method: "POST", headers, body };
  let said: Answer;
  try {
    said = await ask(below(url, path), init, ANSWER_LIMIT_MS, maxBytes);
  } catch (error) {
    const what = error instanceof AnswerError ? "" : " cannot be reached";
    throw new CommandError(`${url}${what}: ${messageOf(error)}`, { cause: error });
  }
  const { status, text } = said;
  const answer = jsonOf(said);
  if (status !== 200) {
    const hint = hintFor(status, answer, { scope, key, source: source(options) });
    throw new CommandError(
      `${url} answered ${status}: ${text.slice(0, MAX_SHOWN)}${hint && `; ${hint}`}`,
    );
  }
  if (!isObject(answer) || (body !== undefined && answer.ok !== true)) throw notARelays(url);
  return { answer, text };
}

/** What to do about a refusal; empty where the answer says it. */
function hintFor(
  status: number,
  answer: unknown,
  { scope, key, source }: { scope: Scope; key: string | undefined; source: string },
): string {
  const code = isObject(answer) ? answer.code : undefined;
  if (code === "scope_missing") {
    return `the key of ${source} needs the scope ${scope}: add it to relay.apiKeys[].scopes and reload`;
  }
  if (code === "channel_forbidden") {
    return `the key of ${source} does not grant that: see relay.apiKeys[].channels`;
  }
  if (status !== 401 && status !== 403) return "";
  if (!key)
    return `no key was given: set RTM_API_KEY or --key-file, to a key with the scope ${scope}`;
  return `${source} must hold one of its relay.apiKeys, with the scope ${scope}`;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function notARelays(url: string): CommandError {
  return new CommandError(`${url} gave an answer that is not a relay's`);
}
