/**
 * Who is here on this node: connections added up by channel and user. A user whose last connection was
 * lost is still seen for the grace (`presence.grace`), because a page that is reloaded comes back.
 */
import type { Grant } from "../access/claims.ts";
import type { KeptMember } from "../channels/state-records.ts";
import { type Here, keyOf } from "./member.ts";

/** A connection's place among the members of a channel. */
export interface Seat {
  readonly channel: string;
  /** Under which id it is seen. */
  readonly user: string;
  /** The token that lets it be seen. */
  grant: Grant;
}

interface Local {
  readonly channel: string;
  readonly user: string;
  readonly seats: Set<Seat>;
  /** What it was last told to show; kept during the grace. */
  info: string | undefined;
  infoAt: number;
  readonly sinceMs: number;
  /** The last token of a connection that was lost; undefined when no grace runs. */
  graceGrant: Grant | undefined;
  /** When the grace ends, ms of the monotonic clock. */
  graceEndsAt: number;
}

export interface LocalsOptions {
  /** The monotonic clock, ms. */
  readonly clock: () => number;
  /** What this node would say under the key may be another than before. */
  readonly onChange: (key: string) => void;
}

/** Whose grace ends leaves at the end of such a span of time, all of it together, ms. */
const SPAN_MS = 250;

export class Locals {
  readonly #options: LocalsOptions;
  readonly #users = new Map<string, Local>();
  /** Keys of users in their grace, by the span in which it ends. Some may be back. */
  readonly #leaving = new Map<number, Set<string>>();
  #timer: NodeJS.Timeout | undefined;
  #timerSpan = Number.POSITIVE_INFINITY;

  constructor(options: LocalsOptions) {
    this.#options = options;
  }

  /** Users of all channels together. */
  get size(): number {
    return this.#users.size;
  }

  get keys(): IterableIterator<string> {
    return this.#users.keys();
  }

  /** Whether the user is seen there from this node, in its grace or not. */
  has(channel: string, user: string): boolean {
    return this.#users.has(keyOf(channel, user));
  }

  /** What this node says under the key; undefined when nobody is there. */
  here(key: string): Here | undefined {
    const local = this.#users.get(key);
    if (!local) return undefined;
    const { seats, info, infoAt, sinceMs } = local;
    return { n: Math.max(1, seats.size), info, infoAt, sinceMs };
  }

  /** The connection is seen from now on. */
  take(seat: Seat): void {
    const local = this.#open(seat.channel, seat.user);
    local.seats.add(seat);
    local.graceGrant = undefined;
    this.#show(local, seat.grant);
    this.#changed(local);
  }

  /** The connection has another token: what it shows may be new. */
  renew(seat: Seat, grant: Grant): void {
    seat.grant = grant;
    const local = this.#users.get(keyOf(seat.channel, seat.user));
    if (local && this.#show(local, grant)) this.#changed(local);
  }

  #open(channel: string, user: string): Local {
    const key = keyOf(channel, user);
    const known = this.#users.get(key);
    if (known) return known;
    const local: Local = {
      channel,
      user,
      seats: new Set(),
      info: undefined,
      infoAt: Number.NEGATIVE_INFINITY,
      sinceMs: Date.now(),
      graceGrant: undefined,
      graceEndsAt: 0,
    };
    this.#users.set(key, local);
    return local;
  }

  /** Of several tokens the one that was issued last says what is shown. */
  #show(local: Local, { issuedAt = 0, presence: { info } }: Grant): boolean {
    if (issuedAt < local.infoAt) return false;
    const isNew = local.info !== info;
    local.infoAt = issuedAt;
    local.info = info;
    return isNew;
  }

  #changed({ channel, user }: Local): void {
    this.#options.onChange(keyOf(channel, user));
  }

  /**
   * The connection is not seen any more.
   * @param graceMs so long its user is still seen, if no other connection takes its place
   */
  leave(seat: Seat, graceMs: number): void {
    const local = this.#users.get(keyOf(seat.channel, seat.user));
    if (!local?.seats.delete(seat)) return;
    if (graceMs > 0) {
      // The longest of several counts.
      const until = this.#options.clock() + graceMs;
      if (!local.graceGrant || until > local.graceEndsAt) local.graceEndsAt = until;
      local.graceGrant = seat.grant;
    }
    if (local.seats.size === 0) {
      if (local.graceGrant) this.#startGrace(local);
      else this.#users.delete(keyOf(seat.channel, seat.user));
    }
    this.#changed(local);
  }

  #startGrace({ channel, user, graceEndsAt }: Local): void {
    const span = Math.ceil(graceEndsAt / SPAN_MS);
    const keys = this.#leaving.get(span);
    if (keys) keys.add(keyOf(channel, user));
    else this.#leaving.set(span, new Set([keyOf(channel, user)]));
    if (span < this.#timerSpan) this.#arm(span);
  }

  #arm(span: number): void {
    clearTimeout(this.#timer);
    this.#timerSpan = span;
    const wait = Math.max(0, span * SPAN_MS - this.#options.clock());
    this.#timer = setTimeout(this.#end, wait).unref();
  }

  readonly #end = (): void => {
    this.#timerSpan = Number.POSITIVE_INFINITY;
    const now = this.#options.clock();
    for (const [span, keys] of this.#leaving) {
      if (span * SPAN_MS > now) continue;
      this.#leaving.delete(span);
      for (const key of keys) {
        const local = this.#users.get(key);
        if (local?.seats.size === 0 && local.graceEndsAt <= now) this.#drop(key, local);
      }
    }
    const next = Math.min(...this.#leaving.keys());
    if (next !== Number.POSITIVE_INFINITY) this.#arm(next);
  };

  #drop(key: string, local: Local): void {
    this.#users.delete(key);
    this.#changed(local);
  }

  /** Whoever is seen only by the right of a token that is worth nothing any more is gone at once. */
  endGrace(isVoid: (grant: Grant, channel: string) => boolean): void {
    for (const keys of this.#leaving.values()) {
      for (const key of keys) {
        const local = this.#users.get(key);
        if (!local?.graceGrant || local.seats.size > 0) continue;
        if (isVoid(local.graceGrant, local.channel)) this.#drop(key, local);
      }
    }
  }

  /** A member of an earlier process is seen as if its connection had been lost now. */
  restore({ channel, user, info, sinceMs }: KeptMember, graceMs: number): void {
    const key = keyOf(channel, user);
    if (this.#users.has(key) || graceMs <= 0) return;
    const local: Local = {
      channel,
      user,
      seats: new Set(),
      info,
      infoAt: 0,
      sinceMs,
      graceGrant: undefined,
      graceEndsAt: this.#options.clock() + graceMs,
    };
    this.#users.set(key, local);
    this.#startGrace(local);
    this.#changed(local);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#leaving.clear();
  }
}
