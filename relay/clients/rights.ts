/**
 * What one connection may read: the sum of its tokens, each with its own end. Rights are compared
 * with the wall clock at the moment of the question, so one that has ended grants nothing, whether or
 * not it was dropped already. `ClientConnection.endRights` is the only place that drops.
 */
import { PatternMap, type PatternSet } from "../access/pattern-map.ts";
import type { Grant } from "../access/token.ts";

/** What one token grants beyond all others. */
interface Term {
  /** Ms since 1970. */
  readonly endsAt: number;
  /** Patterns that no other token grants for as long. */
  patterns: number;
}

export interface RightsLimits {
  /** Tokens in force at a time. */
  readonly tokens: number;
  /** Patterns of all of them together. */
  readonly patterns: number;
}

export class Rights {
  readonly #open: PatternSet;
  readonly #limits: RightsLimits;
  readonly #terms = new Set<Term>();
  readonly #granted = new PatternMap<Term>();
  #subject: string | undefined;
  #nextEnd = Number.POSITIVE_INFINITY;

  /** @param open what may be read without any token */
  constructor(open: PatternSet, limits: RightsLimits) {
    this.#open = open;
    this.#limits = limits;
  }

  /** When the next right ends, ms since 1970; infinite when none will. */
  get nextEnd(): number {
    return this.#nextEnd;
  }

  /** Whether a token is in force, or was when rights were dropped last. */
  get any(): boolean {
    return this.#terms.size > 0;
  }

  /** How many tokens grant something that no other does. */
  get tokens(): number {
    return this.#terms.size;
  }

  allows(channel: string, now: number): boolean {
    return this.#open.has(channel) || this.#granted.some(channel, ({ endsAt }) => endsAt > now);
  }

  /** Adds a token's rights, or says why not; then nothing has changed. */
  add({ subject, channels, endsAt }: Grant): "token_subject_mismatch" | "token_limit" | undefined {
    if (this.#subject !== undefined && this.#subject !== subject) return "token_subject_mismatch";
    const gained = new Set<string>();
    let replaced = 0;
    const lost = new Map<Term, number>();
    for (const pattern of channels) {
      const old = this.#granted.get(pattern);
      if ((old !== undefined && old.endsAt >= endsAt) || gained.has(pattern)) continue;
      gained.add(pattern);
      if (!old) continue;
      replaced++;
      lost.set(old, (lost.get(old) ?? 0) + 1);
    }
    const terms = [...this.#terms];
    if (gained.size === 0 && terms.some((term) => term.endsAt >= endsAt)) {
      // All of it is granted already, for as long.
      return undefined;
    }
    const spent = terms.filter(
      (term) => term.endsAt <= endsAt && term.patterns === (lost.get(term) ?? 0),
    );
    if (
      terms.length - spent.length >= this.#limits.tokens ||
      this.#granted.size - replaced + gained.size > this.#limits.patterns
    ) {
      return "token_limit";
    }
    this.#subject = subject;
    for (const [term, patterns] of lost) term.patterns -= patterns;
    for (const term of spent) this.#terms.delete(term);
    const term: Term = { endsAt, patterns: gained.size };
    for (const pattern of gained) this.#granted.set(pattern, term);
    this.#terms.add(term);
    this.#findNextEnd();
    return undefined;
  }

  /** @internal Drops what has ended. Called by `ClientConnection.endRights` only. */
  drop(now: number): void {
    if (now < this.#nextEnd) return;
    for (const term of this.#terms) {
      if (term.endsAt <= now) this.#terms.delete(term);
    }
    for (const [pattern, { endsAt }] of this.#granted.entries()) {
      if (endsAt <= now) this.#granted.delete(pattern);
    }
    this.#findNextEnd();
  }

  #findNextEnd(): void {
    this.#nextEnd = Number.POSITIVE_INFINITY;
    for (const { endsAt } of this.#terms) this.#nextEnd = Math.min(this.#nextEnd, endsAt);
  }
}
