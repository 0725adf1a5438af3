/**
 * Who is present, for the database (docs/sql-api.md, "Who is here"): the roster of channels whose rule says
 * `database`, in full at first and then by what has changed.
 */
import type { PresenceFeed, PresentMember } from "../contract/presence-feed.ts";
import { keyOf, splitKey } from "./member.ts";
import type { Roster } from "./roster.ts";
import type { PresenceRules } from "./rules.ts";

export interface DatabaseFeedOptions {
  readonly rules: PresenceRules;
  readonly roster: Roster;
  /** False while the log is not heard, and while who is missing may be about to come back. */
  readonly isSettled: () => boolean;
  /** Changes that are remembered until they are read; beyond them all are read anew. */
  readonly most: number;
}

export class DatabaseFeed implements PresenceFeed {
  readonly #options: DatabaseFeedOptions;
  /** Since the last answer; undefined while nobody knows the whole list. */
  #changed: Set<string> | undefined;

  constructor(options: DatabaseFeedOptions) {
    this.#options = options;
  }

  /** A user of a channel has come, has changed or has left. */
  note(channel: string, user: string): void {
    if (!this.#changed || !this.#options.rules.of(channel)?.database) return;
    this.#changed.add(keyOf(channel, user));
    if (this.#changed.size > this.#options.most) this.restart();
  }

  /** What was told before says nothing any more. */
  restart(): void {
    this.#changed = undefined;
  }

  read(full: boolean): readonly PresentMember[] | undefined {
    if (!this.#options.isSettled()) {
      this.restart();
      return undefined;
    }
    const changed = this.#changed;
    if (!full && !changed) return undefined;
    this.#changed = new Set();
    return full
      ? [...this.#everybody()]
      : [...(changed as Set<string>)].map((key) => this.#now(key));
  }

  *#everybody(): Generator<PresentMember> {
    const { roster, rules } = this.#options;
    for (const channel of roster.channels) {
      if (!rules.of(channel)?.database) continue;
      for (const member of roster.members(channel)) yield { channel, ...member };
    }
  }

  #now(key: string): PresentMember {
    const { channel, user } = splitKey(key);
    const member = this.#options.roster.get(channel, user);
    return member ? { channel, ...member } : { channel, user, connections: 0, sinceMs: 0 };
  }
}
