/**
 * Who is here on this node: connections added up by channel and user. A user whose last connection was
 * lost lingers for a while, because a page that is reloaded comes back.
 */
import type { Grant } from "../access/claims.ts";
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
  /** What it was last told to show; kept while it lingers. */
  info: string | undefined;
  infoAt: number;
  readonly sinceMs: number;
  /** The last token of a connection that was lost; undefined when it does not linger. */
  lingering: Grant | undefined;
  /** When it is gone, ms of the monotonic clock. */
  lingersUntil: number;
}

/** A member of an earlier process. */
export interface KeptMember {
  readonly channel: string;
  readonly user: string;
  readonly info?: string | undefined;
  readonly sinceMs: number;
}

export interface LocalsOptions {
  /** The monotonic clock, ms. */
  readonly clock: () => number;
  /** What this node would say under the key may be another than before. */
  readonly onChange: (key: string) => void;
}

/** Lingerers leave at the end of such a span of time, all of it together, ms. */
const SPAN_MS = 250;

export class Locals {
  readonly #options: LocalsOptions;
  readonly #users = new Map<string, Local>();
  /** Keys of users that linger, by the span in which that ends. Some may be back. */
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

  /** Whether the user is seen there from this node, lingering or not. */
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
    local.lingering = undefined;
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
      lingering: undefined,
      lingersUntil: 0,
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
   * @param lingerMs so long its user is still seen, if no other connection takes its place
   */
  leave(seat: Seat, lingerMs: number): void {
    const local = this.#users.get(keyOf(seat.channel, seat.user));
    if (!local?.seats.delete(seat)) return;
    if (lingerMs > 0) {
      // The longest of several counts.
      const until = this.#options.clock() + lingerMs;
      if (!local.lingering || until > local.lingersUntil) local.lingersUntil = until;
      local.lingering = seat.grant;
    }
    if (local.seats.size === 0) {
      if (local.lingering) this.#linger(local);
      else this.#users.delete(keyOf(seat.channel, seat.user));
    }
    this.#changed(local);
  }

  #linger({ channel, user, lingersUntil }: Local): void {
    const span = Math.ceil(lingersUntil / SPAN_MS);
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
        if (local?.seats.size === 0 && local.lingersUntil <= now) this.#drop(key, local);
      }
    }
    const next = Math.min(...this.#leaving.keys());
    if (next !== Number.POSITIVE_INFINITY) this.#arm(next);
  };

  #drop(key: string, local: Local): void {
    this.#users.delete(key);
    this.#changed(local);
  }

  /** Whoever lingers by the right of a token that is worth nothing any more is gone at once. */
  endLingering(isVoid: (grant: Grant, channel: string) => boolean): void {
    for (const keys of this.#leaving.values()) {
      for (const key of keys) {
        const local = this.#users.get(key);
        if (!local?.lingering || local.seats.size > 0) continue;
        if (isVoid(local.lingering, local.channel)) this.#drop(key, local);
      }
    }
  }

  /** A member of an earlier process lingers as if its connection had been lost now. */
  restore({ channel, user, info, sinceMs }: KeptMember, lingerMs: number): void {
    const key = keyOf(channel, user);
    if (this.#users.has(key) || lingerMs <= 0) return;
    const local: Local = {
      channel,
      user,
      seats: new Set(),
      info,
      infoAt: 0,
      sinceMs,
      lingering: undefined,
      lingersUntil: this.#options.clock() + lingerMs,
    };
    this.#users.set(key, local);
    this.#linger(local);
    this.#changed(local);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#leaving.clear();
  }
}
