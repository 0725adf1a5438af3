/** How the log and the disk know a revocation: a fact of the table `revoked`, ranked by its `before`. */
import type { Revocation, RevocationKey } from "../access/revocations.ts";
import type { Fact } from "../log/fact.ts";

/**
 * For how long what has ended is still remembered, ms, so that a clock that is ahead by less forgets
 * nothing that is in force.
 */
export const SPARE_MS = 7 * 86_400_000;

/** What says that something is revoked. */
export interface RevocationFact extends Fact {
  readonly rank: number;
  readonly untilMs: number;
}

/** The fact that says `revocation` of whom `key` means. */
export function revocationFact(
  key: RevocationKey,
  { before, untilMs }: Revocation,
): RevocationFact {
  return { table: "revoked", key, value: JSON.stringify({ before }), rank: before, untilMs };
}

/** What such a fact says; undefined for a removal, or one that never ends or begins. */
export function revocationOf(fact: RevocationFact): Revocation;
export function revocationOf(fact: Fact): Revocation | undefined;
export function revocationOf({ value, rank, untilMs }: Fact): Revocation | undefined {
  if (value === null || rank === undefined || untilMs === undefined) return undefined;
  return { before: rank, untilMs };
}

/** Of those that were kept what is in force, or was lately, by the clock `now`. */
export function inForce(kept: readonly Fact[], now: number): readonly Fact[] {
  return kept.filter(({ untilMs }) => (untilMs as number) + SPARE_MS > now);
}
