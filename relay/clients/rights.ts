/** What one connection may read: the sum of its tokens, each with its own end. */

import type { Grant } from "../access/token.ts";
import { type ChannelPattern, matchesAny } from "../contract/patterns.ts";

export class Rights {
  readonly #open: readonly ChannelPattern[];
  readonly #maxTokens: number;
  #grants: Grant[] = [];
  #subject: string | undefined;

  /**
   * @param open what may be read without any token
   * @param maxTokens how many tokens may grant something at a time
   */
  constructor(open: readonly ChannelPattern[], maxTokens: number) {
    this.#open = open;
    this.#maxTokens = maxTokens;
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

  /** Adds a token's rights, or says why not; then nothing has changed. */
  add(grant: Grant): "token_subject_mismatch" | "token_limit" | undefined {
    if (this.#subject !== undefined && this.#subject !== grant.subject) {
      return "token_subject_mismatch";
    }
    // A grant that the new one covers to the end says nothing any more.
    const others = this.#grants.filter(
      (old) => old.endsAt > grant.endsAt || !old.channels.every((p) => grant.channels.includes(p)),
    );
    if (others.length >= this.#maxTokens) return "token_limit";
    this.#subject = grant.subject;
    this.#grants = [...others, grant];
    return undefined;
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
