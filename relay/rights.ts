/** What one connection may read: the sum of its tokens, each with its own end. */
import { type ChannelPattern, matchesAny } from "./patterns.ts";
import type { Grant } from "./token.ts";

/** A client keeps adding tokens; those that grant nothing new need not be kept for ever. */
const MAX_GRANTS = 64;

export class Rights {
  readonly #open: readonly ChannelPattern[];
  #grants: Grant[] = [];
  #subject: string | undefined;

  /** @param open what may be read without any token */
  constructor(open: readonly ChannelPattern[]) {
    this.#open = open;
  }

  /** Whether a token was ever added. */
  get named(): boolean {
    return this.#subject !== undefined;
  }

  /** When the last right ends, ms since 1970; undefined when none is left. */
  get endsAt(): number | undefined {
    return this.#grants.length === 0
      ? undefined
      : Math.max(...this.#grants.map((grant) => grant.endsAt));
  }

  /** When the next right ends, ms since 1970; undefined when none is left. */
  get nextEnd(): number | undefined {
    return this.#grants.length === 0
      ? undefined
      : Math.min(...this.#grants.map((grant) => grant.endsAt));
  }

  /** False, and nothing is added, when the token is of another subject. */
  add(grant: Grant): boolean {
    if (this.#subject !== undefined && this.#subject !== grant.subject) return false;
    this.#subject = grant.subject;
    // A grant that the new one covers to the end says nothing any more.
    this.#grants = this.#grants.filter(
      (old) => old.endsAt > grant.endsAt || !old.channels.every((p) => grant.channels.includes(p)),
    );
    this.#grants.push(grant);
    if (this.#grants.length > MAX_GRANTS) {
      this.#grants.sort((a, b) => a.endsAt - b.endsAt).shift();
    }
    return true;
  }

  /** Drops what has ended. */
  expire(now: number): void {
    this.#grants = this.#grants.filter((grant) => grant.endsAt > now);
  }

  allows(channel: string): boolean {
    return (
      matchesAny(this.#open, channel) ||
      this.#grants.some((grant) => matchesAny(grant.channels, channel))
    );
  }
}
