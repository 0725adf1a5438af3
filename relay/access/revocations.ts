/**
 * What was revoked: until when tokens must have been issued to grant something. Pure.
 *
 * It is compared with the claim `iat`: a token that does not say when it was issued, or says that it will
 * be, is as old as can be.
 */
import type { Whom } from "../contract/control.ts";
import type { Grant } from "./claims.ts";

/** Stands before a channel and behind it. A channel never holds it, but a user's name may. */
const CHANNEL = "\0";

/**
 * Under which key a revocation lies: `sub:…`, `self:…`, `sid:…` or `jti:…`, a channel before it or not; or
 * `EVERY_TOKEN`.
 */
export type RevocationKey = string;

/**
 * The key under which every token lies: what stands for all revocations that there is no room for. No
 * other key is without a colon.
 */
export const EVERY_TOKEN: RevocationKey = "all";

function ofChannel(channel: string, key: RevocationKey): RevocationKey {
  return CHANNEL + channel + CHANNEL + key;
}

/** The channel of a key that has one, and the key without it. */
function parts(key: RevocationKey): { channel: string; whom: RevocationKey } | undefined {
  if (!key.startsWith(CHANNEL)) return undefined;
  const end = key.indexOf(CHANNEL, 1);
  return { channel: key.slice(1, end), whom: key.slice(end + 1) };
}

/** The keys under which tokens of `whom` are found. */
export function keysOfWhom({ user, self, sid, jti }: Whom, channel?: string): RevocationKey[] {
  const keys: string[] = [];
  if (user !== undefined) keys.push(`sub:${user}`);
  if (self !== undefined) keys.push(`self:${self}`);
  if (sid !== undefined) keys.push(`sid:${sid}`);
  if (jti !== undefined) keys.push(`jti:${jti}`);
  return channel === undefined ? keys : keys.map((key) => ofChannel(channel, key));
}

/** The keys that a token has. */
export function keysOfGrant({ subject, self, sid, id }: Grant): RevocationKey[] {
  return keysOfWhom({
    user: subject,
    ...(self === undefined ? {} : { self }),
    ...(sid === undefined ? {} : { sid }),
    ...(id === undefined ? {} : { jti: id }),
  });
}

export interface Revocation {
  /** Tokens issued before it are revoked, ms since 1970 by the issuer's clock. */
  readonly before: number;
  /** No token can be left then, ms since 1970 by this process's clock. */
  readonly untilMs: number;
}

/** Whether `one` takes nothing that `every`, of `EVERY_TOKEN`, leaves. */
export function isCovered(one: Revocation, every: Revocation | undefined): boolean {
  return every !== undefined && one.before <= every.before && one.untilMs <= every.untilMs;
}

/** What is left of a token: all, nothing, or all but some channels. */
export type Validity = "good" | "revoked" | ReadonlySet<string>;

/**
 * The revocations in force. Of several with one key the latest counts; `judge` says what they leave
 * of a token.
 */
export class Revocations {
  readonly #tolerance: number;
  readonly #entries = new Map<RevocationKey, Revocation>();
  /** By key without channel: the channels that have an entry. */
  readonly #channels = new Map<RevocationKey, Set<string>>();
  #ofChannels = 0;

  /** @param tolerance how far the clocks of issuer and relay may differ, ms */
  constructor(tolerance: number) {
    this.#tolerance = tolerance;
  }

  /** How many are remembered, those of channels too. */
  get size(): number {
    return this.#entries.size;
  }

  /** How many of them are of one channel. */
  get ofChannels(): number {
    return this.#ofChannels;
  }

  get(key: RevocationKey): Revocation | undefined {
    return this.#entries.get(key);
  }

  entries(): IterableIterator<[RevocationKey, Revocation]> {
    return this.#entries.entries();
  }

  /** Whether one of every token takes all that it would take. */
  covers(revocation: Revocation): boolean {
    return isCovered(revocation, this.#entries.get(EVERY_TOKEN));
  }

  /** How many one of every token would leave beside it, and how many of them of one channel. */
  leftBy(every: Revocation): { readonly size: number; readonly ofChannels: number } {
    let [size, ofChannels] = [0, 0];
    for (const [key, revocation] of this.#entries) {
      if (key === EVERY_TOKEN || isCovered(revocation, every)) continue;
      size++;
      if (parts(key)) ofChannels++;
    }
    return { size, ofChannels };
  }

  /** Forgets those that one of every token covers, and gives them back. */
  dropCovered(): [RevocationKey, Revocation][] {
    const covered = [...this.#entries].filter(
      ([key, revocation]) => key !== EVERY_TOKEN && this.covers(revocation),
    );
    for (const [key] of covered) this.delete(key);
    return covered;
  }

  /** Remembers the later of two for a key. False when that changes nothing. */
  add(key: RevocationKey, revocation: Revocation): boolean {
    const known = this.#entries.get(key);
    if (key !== EVERY_TOKEN && this.covers(revocation)) return false;
    if (known && known.before >= revocation.before) return false;
    this.#entries.set(key, revocation);
    const of = parts(key);
    if (!of) return true;
    if (!known) this.#ofChannels++;
    const channels = this.#channels.get(of.whom);
    if (channels) channels.add(of.channel);
    else this.#channels.set(of.whom, new Set([of.channel]));
    return true;
  }

  /** Forgets one, once no token can be left for it. */
  delete(key: RevocationKey): void {
    const known = this.#entries.delete(key);
    const of = parts(key);
    if (!known || !of) return;
    this.#ofChannels--;
    const channels = this.#channels.get(of.whom);
    channels?.delete(of.channel);
    if (channels?.size === 0) this.#channels.delete(of.whom);
  }

  /** @param now ms since 1970 */
  judge(grant: Grant, now: number): Validity {
    if (this.#entries.size === 0) return "good";
    const { issuedAt = Number.NEGATIVE_INFINITY } = grant;
    const issued = issuedAt > now + this.#tolerance ? Number.NEGATIVE_INFINITY : issuedAt;
    const hits = (key: RevocationKey) => {
      const entry = this.#entries.get(key);
      return entry !== undefined && entry.untilMs > now && issued < entry.before;
    };
    const keys = keysOfGrant(grant);
    if (hits(EVERY_TOKEN) || keys.some(hits)) return "revoked";
    if (this.#channels.size === 0) return "good";
    const channels = new Set<string>();
    for (const key of keys) {
      for (const channel of this.#channels.get(key) ?? []) {
        if (hits(ofChannel(channel, key))) channels.add(channel);
      }
    }
    return channels.size === 0 ? "good" : channels;
  }
}
