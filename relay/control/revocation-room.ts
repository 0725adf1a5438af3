/**
 * Room for revocations. Memory is bounded, so where one more does not fit all tokens issued before now
 * are revoked: one entry that stands for all the others, which go. Nothing waits, nothing that was
 * revoked comes back, and everybody else needs a new token once.
 */
import { EVERY_TOKEN, isCovered, type Revocations } from "../access/revocations.ts";
import { type RevocationFact, revocationFact, revocationOf } from "./revocation-fact.ts";

/** How many there may be in force, `EVERY_TOKEN` aside. */
export const MAX_REVOCATIONS = 100_000;
/** Of them those of one channel each: whoever may part users from some channels cannot fill the rest. */
export const MAX_CHANNEL_REVOCATIONS = MAX_REVOCATIONS / 2;

/** What one item of a call needs. */
export interface NeededRoom {
  /** Empty when it takes nothing from any token; otherwise all with the same times. */
  readonly facts: readonly RevocationFact[];
  /** They are of one channel. */
  readonly ofChannel: boolean;
  /** What every token would be revoked by in their place; undefined where that may not be. */
  readonly instead: RevocationFact | undefined;
}

/** The room in one call. */
export class RevocationRoom {
  readonly #revocations: Revocations;
  /** What this call adds. */
  readonly #added = new Set<string>();
  #every: RevocationFact | undefined;
  #size: number;
  #ofChannels: number;
  /** Set when this call revokes every token. */
  made: RevocationFact | undefined;

  constructor(revocations: Revocations) {
    this.#revocations = revocations;
    const every = revocations.get(EVERY_TOKEN);
    this.#every = every && revocationFact(EVERY_TOKEN, every);
    this.#size = revocations.size - (every ? 1 : 0);
    this.#ofChannels = revocations.ofChannels;
  }

  /** What is to be noted for it; or why there is no room. */
  admit({ facts, ofChannel, instead }: NeededRoom): readonly RevocationFact[] | string {
    const [first] = facts;
    if (!first) return [];
    // Noted again, since a disk that was full may not have it.
    if (this.#every && this.#isCovered(first)) return [this.#every];
    const added = facts.filter(({ key }) => !this.#has(key));
    if (added.length === 0) return facts;
    const full =
      this.#size + added.length > MAX_REVOCATIONS ||
      (ofChannel && this.#ofChannels + added.length > MAX_CHANNEL_REVOCATIONS);
    if (!full) {
      for (const { key } of added) this.#added.add(key);
      this.#size += added.length;
      if (ofChannel) this.#ofChannels += added.length;
      return facts;
    }
    if (!instead) {
      const kind = this.#size + added.length > MAX_REVOCATIONS ? "" : "of channels ";
      const most = kind === "" ? MAX_REVOCATIONS : MAX_CHANNEL_REVOCATIONS;
      return `${most} revocations ${kind}are in force: wait until some end`;
    }
    this.#every = this.made = instead;
    this.#added.clear();
    const left = this.#revocations.leftBy({ before: instead.rank, untilMs: instead.untilMs });
    this.#size = left.size;
    this.#ofChannels = left.ofChannels;
    return [instead];
  }

  #isCovered(fact: RevocationFact): boolean {
    return isCovered(revocationOf(fact), this.#every && revocationOf(this.#every));
  }

  #has(key: string): boolean {
    if (this.#added.has(key)) return true;
    const known = this.#revocations.get(key);
    return known !== undefined && !this.#isCovered(revocationFact(key, known));
  }
}
