/** `rtm revoke`, `disconnect`, `channels`, `history`, `members`: what keys with `manage` and `read` may. */
import { messageOf } from "../common/errors.ts";
import { printable } from "../common/printable.ts";
import { rawElements, rawMember } from "../relay/http/json-span.ts";
import { type Answer, AnswerError, ask } from "./ask.ts";
import { CommandError, UsageError } from "./exit.ts";
import { apiKey } from "./publish.ts";
import { oneLine } from "./tail.ts";

const ANSWER_LIMIT_MS = 10_000;
/** A page of the history is about 1 MiB, or one message. */
const MAX_ANSWER_BYTES = 128 * 1024 * 1024;

export interface ManageOptions {
  readonly url: string;
  readonly keyFile?: string;
  readonly json?: boolean;
}

export interface WhomOptions extends ManageOptions {
  readonly user?: string;
  readonly sid?: string;
  readonly jti?: string;
}

/** @throws {CommandError} it cannot be reached, or refuses */
async function request(
  path: string,
  { url, keyFile }: ManageOptions,
  init: RequestInit = {},
): Promise<{ answer: Record<string, unknown>; text: string }> {
  const key = apiKey(keyFile);
  const headers = { "content-type": "application/json", ...(key ? { "x-api-key": key } : {}) };
  let said: Answer;
  try {
    said = await ask(new URL(path, url), { ...init, headers }, ANSWER_LIMIT_MS, MAX_ANSWER_BYTES);
  } catch (error) {
    const what = error instanceof AnswerError ? "" : " cannot be reached";
    throw new CommandError(`${url}${what}: ${messageOf(error)}`, { cause: error });
  }
  const { status, text } = said;
  if (status !== 200) throw new CommandError(`${url} answered ${status}: ${text}`);
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new CommandError(`${url} answered what is not JSON`);
  }
  if (!isObject(answer)) throw notARelays(url);
  return { answer, text };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function notARelays(url: string): CommandError {
  return new CommandError(`${url} gave an answer that is not a relay's`);
}

/** The entries of a list in an answer. @throws {CommandError} it is none */
function entriesOf(
  answer: Record<string, unknown>,
  member: string,
  { url }: ManageOptions,
): Record<string, unknown>[] {
  const entries = answer[member];
  if (!Array.isArray(entries) || !entries.every(isObject)) throw notARelays(url);
  return entries;
}

function print(line: string): void {
  process.stdout.write(`${printable(line)}\n`);
}

/** Sends a control item; says what became of it. */
async function control(item: object, done: string, options: WhomOptions): Promise<void> {
  const { user, sid, jti, json } = options;
  if ([user, sid, jti].filter((each) => each !== undefined).length !== 1) {
    throw new UsageError("exactly one of --user, --sid and --jti is needed");
  }
  const body = JSON.stringify({ ...item, user, sid, jti });
  const { answer, text } = await request("/api/broadcast", options, { method: "POST", body });
  if (answer.ok !== true) throw notARelays(options.url);
  if (json) print(text);
  else if (answer.durable === false) print(`${done}; a crash of the relay would forget it`);
  else print(done);
}

/** Ends tokens, or their right to one channel. */
export async function revoke(options: WhomOptions & { readonly channel?: string }): Promise<void> {
  const { channel } = options;
  if (channel === undefined) await control({ op: "revoke" }, "revoked", options);
  else await control({ op: "unsubscribe", channel }, `unsubscribed from ${channel}`, options);
}

/** Closes connections. */
export async function disconnect(
  options: WhomOptions & { readonly stop?: boolean },
): Promise<void> {
  const stop = options.stop ? { stop: true } : {};
  await control({ op: "disconnect", ...stop }, "disconnected", options);
}

export interface ListOptions extends ManageOptions {
  readonly prefix?: string;
  readonly since?: string;
  readonly after?: string;
  readonly limit?: number;
}

function query(parameters: Readonly<Record<string, string | number | undefined>>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined);
  return `${new URLSearchParams(given.map(([name, value]): [string, string] => [name, `${value}`]))}`;
}

/** Asks, and prints the answer, or a line for each entry of its list. */
async function list(
  path: string,
  member: string,
  lineOf: (entry: Record<string, unknown>) => string,
  options: ManageOptions,
): Promise<Record<string, unknown>> {
  const { answer, text } = await request(path, options);
  const entries = entriesOf(answer, member, options);
  if (options.json) print(text);
  else for (const entry of entries) print(lineOf(entry));
  return answer;
}

function sayMore(answer: Record<string, unknown>, { json }: ManageOptions): void {
  if (json || typeof answer.after !== "string") return;
  process.stderr.write(`rtm: there are more: --after ${printable(JSON.stringify(answer.after))}\n`);
}

/** One line per channel: name, subscribers, messages in the history, last number. */
export async function channels(options: ListOptions): Promise<void> {
  const { prefix, after, limit } = options;
  const path = `/api/channels?${query({ prefix, after, limit })}`;
  const answer = await list(
    path,
    "channels",
    ({ channel, subscribers, messages, seq }) => [channel, subscribers, messages, seq].join("\t"),
    options,
  );
  sayMore(answer, options);
}

/** One line of JSON per message. */
export async function history(channel: string, options: ListOptions): Promise<void> {
  const { since, limit } = options;
  const path = `/api/history?${query({ channel, since, limit })}`;
  const { answer, text } = await request(path, options);
  entriesOf(answer, "messages", options);
  if (options.json) print(text);
  else {
    // As they were written: parsing and printing them again would round long numbers.
    for (const message of rawElements(rawMember(text, "messages")[0] ?? "[]")) {
      print(oneLine(message));
    }
  }
  if (since !== undefined && answer.recovered === false) {
    throw new CommandError("not everything behind --since is remembered");
  }
}

/** One line per member: user and connections. */
export async function members(channel: string, options: ListOptions): Promise<void> {
  const { after, limit } = options;
  const path = `/api/members?${query({ channel, after, limit })}`;
  const answer = await list(
    path,
    "members",
    ({ user, connections }) => [user, connections].join("\t"),
    options,
  );
  sayMore(answer, options);
}
