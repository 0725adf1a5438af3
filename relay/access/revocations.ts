/**
 * What was revoked: until when tokens must have been issued to grant something. Pure.
 *
 * It is compared with the claim `iat`: a token that does not say when it was issued, or says that it will
 * be, is as old as can be.
 */
import type { Whom } from "../contract/control.ts";
import type { Grant } from "./claims.ts";

/** Parts whom from which channel; neither holds it. */
const CHANNEL = "\0";

/** Under which key a revocation lies: `sub:…`, `self:…`, `sid:…` or `jti:…`, with or without a channel. */
export type RevocationKey = string;

/** The keys under which tokens of `whom` are found. */
export function keysOfWhom({ user, self, sid, jti }: Whom, channel?: string): RevocationKey[] {
  const keys: string[] = [];
  if (user !== undefined) keys.push(`sub:${user}`);
  if (self !== undefined) keys.push(`self:${self}`);
  if (sid !== undefined) keys.push(`sid:${sid}`);
  if (jti !== undefined) keys.push(`jti:${jti}`);
  return channel === undefined ? keys : keys.map((key) => `${key}${CHANNEL}${channel}`);
}

/** The keys that a token has. */
export function keysOfGrant({ subject, self, session, id }: Grant): RevocationKey[] {
  return keysOfWhom({
    user: subject,
    ...(self === undefined ? {} : { self }),
    ...(session === undefined ? {} : { sid: session }),
    ...(id === undefined ? {} : { jti: id }),
  });
}

export interface Revocation {
  /** Tokens issued before it are revoked, ms since 1970 by the issuer's clock. */
  readonly before: number;
  /** No token can be left then, ms since 1970 by this process's clock. */
  readonly untilMs: number;
}

/** What is left of a token: all, nothing, or all but some channels. */
export type Verdict = "good" | "revoked" | ReadonlySet<string>;

export class Revocations {
  readonly #tolerance: number;
  readonly #entries = new Map<RevocationKey, Revocation>();
  /** By key without channel: the channels that have an entry. */
  readonly #channels = new Map<RevocationKey, Set<string>>();

  /** @param tolerance how far the clocks of issuer and relay may differ, ms */
  constructor(tolerance: number) {
    this.#tolerance = tolerance;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: RevocationKey): Revocation | undefined {
    return this.#entries.get(key);
  }

  entries(): IterableIterator<[RevocationKey, Revocation]> {
    return this.#entries.entries();
  }

  /** Remembers the later of two for a key. False when that changes nothing. */
  add(key: RevocationKey, revocation: Revocation): boolean {
    const known = this.#entries.get(key);
    if (known && known.before >= revocation.before) return false;
    this.#entries.set(key, revocation);
    const at = key.indexOf(CHANNEL);
    if (at < 0) return true;
    const whom = key.slice(0, at);
    const channels = this.#channels.get(whom);
    if (channels) channels.add(key.slice(at + 1));
    else this.#channels.set(whom, new Set([key.slice(at + 1)]));
    return true;
  }

  delete(key: RevocationKey): void {
    this.#entries.delete(key);
    const at = key.indexOf(CHANNEL);
    if (at < 0) return;
    const channels = this.#channels.get(key.slice(0, at));
    channels?.delete(key.slice(at + 1));
    if (channels?.size === 0) this.#channels.delete(key.slice(0, at));
  }

  /** @param now ms since 1970 */
  judge(grant: Grant, now: number): Verdict {
    if (this.#entries.size === 0) return "good";
    const { issuedAt = Number.NEGATIVE_INFINITY } = grant;
    const issued = issuedAt > now + this.#tolerance ? Number.NEGATIVE_INFINITY : issuedAt;
    const hits = (key: RevocationKey) => {
      const entry = this.#entries.get(key);
      return entry !== undefined && entry.untilMs > now && issued < entry.before;
    };
    const keys = keysOfGrant(grant);
    if (keys.some(hits)) return "revoked";
    if (this.#channels.size === 0) return "good";
    const channels = new Set<string>();
    for (const key of keys) {
      for (const channel of this.#channels.get(key) ?? []) {
        if (hits(`${key}${CHANNEL}${channel}`)) channels.add(channel);
      }
    }
    return channels.size === 0 ? "good" : channels;
  }
}
