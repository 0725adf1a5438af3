/** `GET /api/channels`, `/api/history` and `/api/members`, for keys that may read (docs/protocol.md, REST). */
import type { IncomingMessage, ServerResponse } from "node:http";
import { setImmediate } from "node:timers/promises";
import type { ApiKey } from "../access/keys.ts";
import { messageText } from "../channels/encode.ts";
import type { Hub } from "../channels/hub.ts";
import { parsePosition } from "../clients/client-frame.ts";
import type { Clients } from "../clients/clients.ts";
import { nameProblem } from "../contract/message.ts";
import { matchesAny } from "../contract/patterns.ts";
import { answerJson, authorize, needScope, refuseUnlessServing } from "./api.ts";
import { Refusal } from "./request-body.ts";

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;
/** Of the messages of one answer; one that is larger comes alone. */
const MAX_HISTORY_BYTES = 1024 * 1024;

export interface LookupOptions {
  readonly clients: Clients;
  /** Undefined while the relay serves, otherwise why not. */
  readonly notServing: () => string | undefined;
}

type Lookup = (query: Query, key: ApiKey, options: LookupOptions) => object | string;

export const LOOKUPS = {
  "/api/channels": channels,
  "/api/history": history,
  "/api/members": members,
} as const satisfies Record<string, Lookup>;

/**
 * Makes the handlers. They answer one request after the other, each in a turn of its own: one may look
 * through very many channels, and a connection can bring many requests at once.
 */
export function createLookups(
  options: LookupOptions,
): (lookup: Lookup, request: IncomingMessage, response: ServerResponse) => Promise<void> {
  let last: Promise<unknown> = Promise.resolve();
  return async (lookup, request, response) => {
    const key = authorize(request, options.clients);
    needScope(key, "read");
    const mine = last.then(() => setImmediate());
    last = mine;
    await mine;
    if (response.destroyed) return;
    refuseUnlessServing(options.notServing());
    const { searchParams } = new URL(request.url ?? "", "http://relay");
    answerJson(response, 200, lookup(new Query(searchParams), key, options));
  };
}

/** The parameters of a request. */
class Query {
  readonly #parameters: URLSearchParams;

  constructor(parameters: URLSearchParams) {
    this.#parameters = parameters;
  }

  text(name: string): string {
    return this.#parameters.get(name) ?? "";
  }

  limit(): number {
    const text = this.#parameters.get("limit");
    if (text === null) return DEFAULT_LIMIT;
    const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0;
    if (limit < 1 || limit > MAX_LIMIT) {
      throw new Refusal("bad_query", `limit must be a whole number from 1 to ${MAX_LIMIT}`);
    }
    return limit;
  }

  /** A channel that the key grants. */
  channel(key: ApiKey): string {
    const name = this.text("channel");
    const problem = nameProblem(name);
    if (problem) throw new Refusal("bad_channel", `channel ${problem}`);
    if (!matchesAny(key.channels, name)) {
      throw new Refusal("channel_forbidden", "the key does not grant this channel");
    }
    return name;
  }
}

/** The first names, in order, that are greater than `after` and pass the test. */
function firstNames(
  names: Iterable<string>,
  after: string,
  count: number,
  test: (name: string) => boolean,
): string[] {
  // There may be very many names: no more than a few times `count` are ever sorted.
  let first: string[] = [];
  let last: string | undefined;
  for (const name of names) {
    if (name <= after || (last !== undefined && name >= last) || !test(name)) continue;
    first.push(name);
    if (first.length < 4 * count) continue;
    first = first.sort().slice(0, count);
    last = first.at(-1);
  }
  return first.sort().slice(0, count);
}

function channels(query: Query, key: ApiKey, { clients: { hub } }: LookupOptions): object {
  const [prefix, limit] = [query.text("prefix"), query.limit()];
  const names = firstNames(
    hub.names(),
    query.text("after"),
    limit + 1,
    (name) => name.startsWith(prefix) && matchesAny(key.channels, name),
  );
  const shown = names.slice(0, limit);
  return {
    epoch: hub.epoch,
    channels: shown.map((name) => ({
      channel: name,
      subscribers: hub.recipients(name),
      seq: hub.headOf(name),
      messages: hub.channels.get(name)?.history.size ?? 0,
      ...hub.retained.figuresOf(name),
    })),
    // The place to go on behind.
    after: names.length > limit ? (shown.at(-1) ?? null) : null,
  };
}

/** The messages as JSON text: they are written as they are. */
function history(query: Query, key: ApiKey, { clients: { hub } }: LookupOptions): string {
  const [name, limit] = [query.channel(key), query.limit()];
  const { seq, from, recovered } = start(hub, name, query.text("since"), limit);
  const history = hub.channels.get(name)?.history;
  const entries = history?.slice(from, seq, MAX_HISTORY_BYTES).slice(0, limit) ?? [];
  const more = (entries.at(-1)?.seq ?? seq) < seq;
  const head = JSON.stringify({ channel: name, epoch: hub.epoch, seq, recovered, more });
  const messages = entries.map(messageText);
  return `${head.slice(0, -1)},"messages":[${messages.join(",")}]}`;
}

/** Where to begin: behind `since`, or with the newest `limit` messages. */
function start(hub: Hub, name: string, since: string, limit: number) {
  const channel = hub.channels.get(name);
  const seq = hub.headOf(name);
  if (since === "") {
    const oldest = (channel?.history.evictedSeq ?? seq) + 1;
    return { seq, from: Math.max(oldest, seq - limit + 1), recovered: false };
  }
  const position = parsePosition(since);
  if (!position) throw new Refusal("bad_since", "since must be <epoch>:<seq>");
  if (!channel) return { seq, from: seq + 1, recovered: false };
  return { seq, ...hub.recover(channel, position) };
}

function members(query: Query, key: ApiKey, { clients: { presence } }: LookupOptions): object {
  const [name, limit, after] = [query.channel(key), query.limit(), query.text("after")];
  const { roster, settleMs } = presence ?? { roster: undefined, settleMs: 0 };
  const all = new Map([...(roster?.members(name) ?? [])].map((each) => [each.user, each]));
  const users = firstNames(all.keys(), after, limit + 1, () => true);
  const shown = users.slice(0, limit);
  return {
    channel: name,
    count: all.size,
    settleMs: Math.ceil(settleMs),
    members: shown.flatMap((user) => {
      const member = all.get(user);
      if (!member) return [];
      const { connections, info, sinceMs } = member;
      return [{ user, connections, sinceMs, ...(info && { info: JSON.parse(info) as object }) }];
    }),
    after: users.length > limit ? (shown.at(-1) ?? null) : null,
  };
}
