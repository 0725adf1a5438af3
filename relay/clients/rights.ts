/**
 * What one connection may do: the sum of its tokens, each with its own end. Rights are compared with
 * the wall clock at the moment of the question, so one that has ended grants nothing, whether or not it
 * was dropped already. `ClientConnection.endRights` is the only place that drops.
 */
import type { Grant } from "../access/claims.ts";
import { PatternMap, type PatternSet } from "../access/pattern-map.ts";
import type { Validity } from "../access/revocations.ts";
import type { ChannelPattern } from "../contract/patterns.ts";

/** What a token may grant to do with a channel. */
export type Right = "read" | "publish" | "join" | "watch";

const RIGHTS: readonly Right[] = ["read", "publish", "join", "watch"];

/** Channels that were taken from a token. */
type Denied = ReadonlySet<string> | undefined;

/** A token in force. */
interface Term {
  readonly grant: Grant;
  denied: Denied;
  /** For how many patterns, in all rights together, no other token is as good. */
  patterns: number;
}

/** The tokens that grant a pattern, none of them as good as another; nearly always one. */
type Terms = readonly Term[];

/** What a token changes. */
type Gains = Map<ChannelPattern, Terms>;

export interface RightsLimits {
  /** Tokens in force at a time. */
  readonly tokens: number;
  /** Patterns of all of them together, for each right. */
  readonly patterns: number;
}

function patternsOf({ channels, publish, presence }: Grant, right: Right) {
  if (right === "read") return channels;
  return right === "publish" ? publish : presence[right];
}

function issue({ issuedAt }: Grant): number {
  return issuedAt ?? Number.NEGATIVE_INFINITY;
}

/**
 * Whether `a` is as good as `b` where both grant the same: it lasts as long, and whatever takes it away
 * takes `b` away too. (Not its own `jti`; then the client asks for a new token, and gets one.)
 */
function standsFor(a: Grant, b: Grant, right?: Right): boolean {
  return (
    a.endsAt >= b.endsAt &&
    issue(a) >= issue(b) &&
    a.sid === b.sid &&
    a.self === b.self &&
    // Of two that show something else the later one is shown while it lasts.
    (right !== "join" || a.presence.info === b.presence.info || issue(a) > issue(b))
  );
}

export class Rights {
  readonly #open: PatternSet;
  readonly #limits: RightsLimits;
  readonly #terms = new Set<Term>();
  readonly #read = new PatternMap<Terms>();
  /** The same for what most tokens do not grant. */
  #others: Map<Right, PatternMap<Terms>> | undefined;
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

  /** How many tokens grant something for which no other is as good. */
  get tokens(): number {
    return this.#terms.size;
  }

  /** Of all its tokens; undefined before the first. */
  get subject(): string | undefined {
    return this.#subject;
  }

  /** Whether `channel` may be read. */
  allows(channel: string, now: number): boolean {
    return this.#open.has(channel) || this.#grantOf("read", channel, now) !== undefined;
  }

  /**
   * The token that grants `right` to `channel`, where one also grants to read it; of several the one
   * that was issued last.
   */
  grantOf(right: Exclude<Right, "read">, channel: string, now: number): Grant | undefined {
    return this.#grantOf("read", channel, now) && this.#grantOf(right, channel, now);
  }

  #grantOf(right: Right, channel: string, now: number): Grant | undefined {
    let found: Grant | undefined;
    this.#map(right)?.some(channel, (terms) => {
      for (const { grant, denied } of terms) {
        if (grant.endsAt <= now || denied?.has(channel)) continue;
        if (!found || issue(grant) > issue(found)) found = grant;
      }
      return right === "read" && found !== undefined;
    });
    return found;
  }

  #map(right: Right): PatternMap<Terms> | undefined {
    return right === "read" ? this.#read : this.#others?.get(right);
  }

  #mapToFill(right: Right): PatternMap<Terms> {
    const known = this.#map(right);
    if (known) return known;
    this.#others ??= new Map();
    const map = new PatternMap<Terms>();
    this.#others.set(right, map);
    return map;
  }

  /**
   * Adds a token's rights, or says why not; then nothing has changed.
   * @param denied channels that were taken from it
   */
  add(grant: Grant, denied?: Denied): "token_subject_mismatch" | "token_limit" | undefined {
    if (this.#subject !== undefined && this.#subject !== grant.subject) {
      return "token_subject_mismatch";
    }
    const term: Term = { grant, denied, patterns: 0 };
    const lost = new Map<Term, number>();
    const gains = new Map<Right, Gains>();
    for (const right of RIGHTS) {
      const gained = this.#gains(right, term, lost);
      if (gained.size > 0) gains.set(right, gained);
    }
    const terms = [...this.#terms];
    if (gains.size === 0 && terms.some((old) => standsFor(old.grant, grant))) return undefined;
    const spent = terms.filter(
      (old) => old.patterns === (lost.get(old) ?? 0) && standsFor(grant, old.grant),
    );
    if (terms.length - spent.length >= this.#limits.tokens) return "token_limit";
    for (const [right, gained] of gains) {
      if (this.#sizeWith(right, gained) > this.#limits.patterns) return "token_limit";
    }
    this.#subject = grant.subject;
    for (const [old, patterns] of lost) old.patterns -= patterns;
    for (const old of spent) this.#terms.delete(old);
    for (const [right, gained] of gains) {
      const map = this.#mapToFill(right);
      for (const [pattern, holders] of gained) map.set(pattern, holders);
      term.patterns += gained.size;
    }
    this.#terms.add(term);
    this.#findNextEnd();
    return undefined;
  }

  /** Who holds which pattern once `term` is added; counts in `lost` whom it replaces how often. */
  #gains(right: Right, term: Term, lost: Map<Term, number>): Gains {
    const map = this.#map(right);
    const gained: Gains = new Map();
    const alone: Terms = [term];
    for (const pattern of patternsOf(term.grant, right)) {
      if (gained.has(pattern)) continue;
      const holders = map?.get(pattern);
      if (!holders) {
        gained.set(pattern, alone);
        continue;
      }
      if (holders.some(({ grant }) => standsFor(grant, term.grant, right))) continue;
      const kept = holders.filter(({ grant }) => !standsFor(term.grant, grant, right));
      for (const old of holders) {
        if (!kept.includes(old)) lost.set(old, (lost.get(old) ?? 0) + 1);
      }
      gained.set(pattern, kept.length === 0 ? alone : [...kept, term]);
    }
    return gained;
  }

  #sizeWith(right: Right, gained: Gains): number {
    const map = this.#map(right);
    if (!map) return gained.size;
    let size = map.size;
    for (const pattern of gained.keys()) if (map.get(pattern) === undefined) size++;
    return size;
  }

  /** @internal Drops what has ended. Called by `ClientConnection.endRights` only. */
  drop(now: number): void {
    if (now >= this.#nextEnd) this.#dropWhere(({ endsAt }) => endsAt <= now);
  }

  /**
   * @internal Drops what was revoked. Called by `ClientConnection` only.
   * @returns whether anything was
   */
  revoke(judge: (grant: Grant) => Validity): boolean {
    let changed = false;
    const revoked = new Set<Grant>();
    for (const term of this.#terms) {
      const verdict = judge(term.grant);
      if (verdict === "revoked") revoked.add(term.grant);
      else if (verdict !== "good" && [...verdict].some((channel) => !term.denied?.has(channel))) {
        term.denied = verdict;
        changed = true;
      }
    }
    if (revoked.size > 0) this.#dropWhere((grant) => revoked.has(grant));
    return changed || revoked.size > 0;
  }

  /** Whether a token in force is one of those. */
  some(test: (grant: Grant) => boolean): boolean {
    for (const { grant } of this.#terms) if (test(grant)) return true;
    return false;
  }

  #dropWhere(ended: (grant: Grant) => boolean): void {
    const gone = new Set([...this.#terms].filter(({ grant }) => ended(grant)));
    if (gone.size === 0) return;
    for (const term of gone) this.#terms.delete(term);
    for (const right of RIGHTS) {
      const map = this.#map(right);
      for (const [pattern, holders] of map?.entries() ?? []) {
        if (!holders.some((term) => gone.has(term))) continue;
        const left = holders.filter((term) => !gone.has(term));
        if (left.length === 0) map?.delete(pattern);
        else map?.set(pattern, left);
      }
    }
    this.#findNextEnd();
  }

  #findNextEnd(): void {
    this.#nextEnd = Number.POSITIVE_INFINITY;
    for (const { grant } of this.#terms) this.#nextEnd = Math.min(this.#nextEnd, grant.endsAt);
  }
}
