/**
 * RTM_WORKER_API.PRESENCE and the view RTM_PRESENCE, written from sql/api/worker/rtm_members.pkb: sources,
 * complete lists in parts, the 15 seconds after which a silent source is passed over. RTM_EVENTS is not
 * here: nothing of ours reads it.
 */
import { OraError } from "../errors.ts";
import type { SqlValue } from "../sql/values.ts";

const SILENT_MS = 15_000;

export interface MemberRow {
  readonly channel: string;
  readonly user: string;
  readonly connections: number;
  readonly info: string | null;
  readonly sinceMs: number;
}

interface Source {
  seenMs: number;
  pass: number;
  readonly members: Map<string, MemberRow & { pass: number }>;
}

/** Autonomous, as the package: what is reported is committed. */
export class RtmMembers {
  readonly sources = new Map<string, Source>();
  readonly #now: () => number;

  /** @param now the database's clock, ms since 1970 */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The view, ordered by channel and user. */
  get members(): MemberRow[] {
    const rows = new Map<string, MemberRow>();
    const heard = [...this.sources.values()]
      .filter(({ seenMs }) => seenMs > this.#now() - SILENT_MS)
      .sort((a, b) => a.seenMs - b.seenMs);
    for (const { members } of heard) {
      for (const [key, { channel, user, connections, info, sinceMs }] of members) {
        rows.set(key, { channel, user, connections, info, sinceMs });
      }
    }
    return [...rows.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
  }

  /** @returns what p_resend gets */
  report(args: readonly (SqlValue | SqlValue[])[]): 0 | 1 {
    const [name, full] = [String(args[0]), Number(args[1])];
    const [channels, users, connections, infos, since] = args.slice(2, 7) as SqlValue[][];
    if (![0, 1, 2, 3, 4].includes(full)) throw bad("p_full must be one of 0, 1, 2, 3, 4");
    const count = channels!.length;
    if (count > 10_000) throw bad("p_channels.count must be a whole number from 0 to 10000");
    for (const list of [users, connections, infos, since]) {
      if (list!.length !== count) throw bad("the lists must have as many elements as p_channels");
    }
    let source = this.sources.get(name);
    if (!source) {
      if (full === 0) return 1;
      source = { seenMs: 0, pass: 0, members: new Map() };
      this.sources.set(name, source);
    }
    source.seenMs = this.#now();
    if (full === 1 || full === 2) source.pass++;
    for (const [at, channel] of channels!.entries()) {
      const row = {
        channel: String(channel),
        user: String(users![at]),
        connections: Number(connections![at]),
        info: infos![at] === null ? null : String(infos![at]),
        sinceMs: Number(since![at]),
      };
      const key = JSON.stringify([row.channel, row.user]);
      if (row.connections === 0) source.members.delete(key);
      else source.members.set(key, { ...row, pass: source.pass });
    }
    if (full === 1 || full === 4) {
      for (const [key, { pass }] of source.members) {
        if (pass !== source.pass) source.members.delete(key);
      }
    }
    for (const [other, { seenMs }] of this.sources) {
      if (other !== name && seenMs < this.#now() - SILENT_MS) this.sources.delete(other);
    }
    return 0;
  }
}

function bad(message: string): OraError {
  return new OraError(20120, message);
}
