/** `rtm revoke`, `disconnect`, `channels`, `history`, `members`: what keys with `manage` and `read` may. */
import { printable } from "../common/printable.ts";
import { rawElements, rawMember } from "../relay/http/json-span.ts";
import { CommandError, UsageError } from "./exit.ts";
import { type AskOptions, askRelay, isObject, notARelays, type RelayAnswer } from "./relay-api.ts";
import { oneLine } from "./tail.ts";

/** A page of the history is about 1 MiB, or one message. */
const MAX_ANSWER_BYTES = 128 * 1024 * 1024;

export interface ManageOptions extends AskOptions {
  readonly json?: boolean;
}

export interface WhomOptions extends ManageOptions {
  readonly user?: string;
  readonly sid?: string;
  readonly jti?: string;
}

/** The entries of a list in an answer. @throws {CommandError} it is none */
function entriesOf(
  answer: RelayAnswer["answer"],
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
  const { answer, text } = await askRelay(
    { path: "api/broadcast", scope: "manage", body },
    options,
  );
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

/** @param path with its query */
function look(path: string, options: ManageOptions): Promise<RelayAnswer> {
  return askRelay({ path, scope: "read", maxBytes: MAX_ANSWER_BYTES }, options);
}

/** Asks, and prints the answer, or a line for each entry of its list. */
async function list(
  path: string,
  member: string,
  lineOf: (entry: Record<string, unknown>) => string,
  options: ManageOptions,
): Promise<RelayAnswer["answer"]> {
  const { answer, text } = await look(path, options);
  const entries = entriesOf(answer, member, options);
  if (options.json) print(text);
  else for (const entry of entries) print(lineOf(entry));
  return answer;
}

/** A name with a slip of the pen is no error: any channel may be asked for. */
function sayNothing(text: string, { json }: ManageOptions): void {
  if (!json) process.stderr.write(`rtm: ${printable(text)}\n`);
}

function sayMore(answer: RelayAnswer["answer"], { json }: ManageOptions): void {
  if (json || typeof answer.after !== "string") return;
  process.stderr.write(`rtm: there are more: --after ${printable(JSON.stringify(answer.after))}\n`);
}

/** One line per channel: name, subscribers, messages in the history, last number, last values. */
export async function channels(options: ListOptions): Promise<void> {
  const { prefix, after, limit } = options;
  const path = `api/channels?${query({ prefix, after, limit })}`;
  const answer = await list(
    path,
    "channels",
    ({ channel, subscribers, messages, seq, retained }) =>
      // An older relay does not tell them.
      [channel, subscribers, messages, seq, retained ?? "-"].join("\t"),
    options,
  );
  sayMore(answer, options);
}

/** One line of JSON per message. */
export async function history(channel: string, options: ListOptions): Promise<void> {
  const { since, limit } = options;
  const path = `api/history?${query({ channel, since, limit })}`;
  const { answer, text } = await look(path, options);
  const messages = entriesOf(answer, "messages", options);
  if (messages.length === 0 && since === undefined) {
    sayNothing(`no message of ${channel} is remembered; rtm channels lists what is there`, options);
  }
  if (options.json) print(text);
  else {
    // As they were written: parsing and printing them again would round long numbers.
    for (const message of rawElements(rawMember(text, "messages")[0] ?? "[]")) {
      print(oneLine(message));
    }
  }
  if (since !== undefined && answer.recovered === false) {
    throw new CommandError(
      "not everything behind --since is remembered, or it is a position of another epoch; without --since the newest are shown",
    );
  }
}

/** One line per member: user and connections. */
export async function members(channel: string, options: ListOptions): Promise<void> {
  const { after, limit } = options;
  const path = `api/members?${query({ channel, after, limit })}`;
  const answer = await list(
    path,
    "members",
    ({ user, connections }) => [user, connections].join("\t"),
    options,
  );
  if (answer.count === 0) {
    const where = "rtm channels lists what is there, relay.presence.rules who is seen";
    sayNothing(`nobody is seen in ${channel}; ${where}`, options);
  }
  sayMore(answer, options);
}
