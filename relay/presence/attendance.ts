/** Where one connection is seen and whom it sees, channel by channel. */
import type { Grant } from "../access/claims.ts";
import type { Subscription } from "../channels/outlet.ts";
import type { Code, PresenceWish } from "../contract/protocol.ts";
import type { Watcher } from "./audience.ts";
import type { Seat } from "./locals.ts";
import type { Presence } from "./presence.ts";

export interface PresenceProblem {
  readonly code: Extract<Code, "presence_forbidden" | "presence_limit">;
  readonly message: string;
}

/** Of what the connection may do; `Rights` knows. */
export interface Grants {
  grantOf(right: "join" | "watch", channel: string, now: number): Grant | undefined;
}

interface Place {
  readonly seat: Seat | undefined;
  readonly watcher: Watcher | undefined;
}

export class Attendance {
  readonly #presence: Presence;
  readonly #grants: Grants;
  /** Channels in which it may take part. */
  readonly #limit: number;
  readonly #places = new Map<string, Place>();

  constructor(presence: Presence, grants: Grants, limit: number) {
    this.#presence = presence;
    this.#grants = grants;
    this.#limit = limit;
  }

  /**
   * Takes the place that is asked for, all of it or nothing, and gives up the one of before.
   * @returns why not; then the connection has no place in the channel
   */
  take(subscription: Subscription, wish: PresenceWish, now: number): PresenceProblem | undefined {
    const { name } = subscription.channel;
    const old = this.#places.get(name);
    const problem = this.#problem(name, wish, old, now);
    if (problem) {
      this.leave(name);
      return problem;
    }
    const seat = wish.join ? this.#seat(name, old?.seat, now) : undefined;
    if (old?.seat && old.seat !== seat) this.#presence.locals.leave(old.seat, 0);
    if (old?.watcher) this.#presence.unwatch(old.watcher);
    const watcher = wish.watch ? { subscription } : undefined;
    if (watcher) this.#presence.watch(watcher);
    this.#places.set(name, { seat, watcher });
    return undefined;
  }

  #problem(
    channel: string,
    { join, watch }: PresenceWish,
    old: Place | undefined,
    now: number,
  ): PresenceProblem | undefined {
    const forbidden = (message: string) => ({ code: "presence_forbidden", message }) as const;
    const limited = (message: string) => ({ code: "presence_limit", message }) as const;
    const rule = this.#presence.rules.of(channel);
    if (!rule) return forbidden("no rule of relay.presence.rules is about this channel");
    if (watch && !join && !rule.watchOnly) {
      return forbidden("whoever sees the others here must be seen: ask for join too");
    }
    const grant = join ? this.#grants.grantOf("join", channel, now) : undefined;
    if (join && !grant) return forbidden("no token's claim presence.join grants this channel");
    if (watch && !this.#grants.grantOf("watch", channel, now)) {
      return forbidden("no token's claim presence.watch grants this channel");
    }
    if (!old && this.#places.size >= this.#limit) {
      return limited(`a connection may take part in ${this.#limit} channels`);
    }
    if (grant && !this.#presence.hasRoom) {
      const user = this.#presence.rules.idOf(rule, channel, grant.subject);
      const { roster, locals } = this.#presence;
      if (!roster.get(channel, user) && !locals.has(channel, user)) {
        return limited("there are limits.presenceMembers members");
      }
    }
    return undefined;
  }

  #seat(channel: string, old: Seat | undefined, now: number): Seat {
    const grant = this.#grants.grantOf("join", channel, now) as Grant;
    if (old) {
      this.#presence.locals.renew(old, grant);
      return old;
    }
    const rule = this.#presence.rules.of(channel) as NonNullable<
      ReturnType<Presence["rules"]["of"]>
    >;
    const user = this.#presence.rules.idOf(rule, channel, grant.subject);
    const seat: Seat = { channel, user, grant };
    this.#presence.join(seat);
    return seat;
  }

  /** Under which id it is seen there; undefined when it is not. */
  userIn(channel: string): string | undefined {
    return this.#places.get(channel)?.seat?.user;
  }

  /** It is gone at once, and sees nobody any more. */
  leave(channel: string): void {
    this.#leave(channel, () => 0);
  }

  leaveAll(): void {
    for (const channel of [...this.#places.keys()]) this.leave(channel);
  }

  /** The connection was lost: it may come back. */
  lost(): void {
    for (const channel of [...this.#places.keys()]) {
      this.#leave(channel, ({ grant }) => this.#presence.graceMs(grant));
    }
  }

  #leave(channel: string, graceMs: (seat: Seat) => number): void {
    const place = this.#places.get(channel);
    if (!place) return;
    this.#places.delete(channel);
    const { seat, watcher } = place;
    if (watcher) this.#presence.unwatch(watcher);
    if (seat) this.#presence.locals.leave(seat, graceMs(seat));
  }

  /**
   * The connection's rights have changed: what it shows may be new, and it leaves where it may not be
   * any more. Yields those channels.
   */
  *renew(now: number): Generator<string> {
    for (const [channel, { seat, watcher }] of [...this.#places]) {
      const join = this.#grants.grantOf("join", channel, now);
      const mayWatch = !watcher || this.#grants.grantOf("watch", channel, now) !== undefined;
      if (mayWatch && (!seat || join)) {
        if (seat) this.#presence.locals.renew(seat, join as Grant);
        continue;
      }
      this.leave(channel);
      yield channel;
    }
  }
}
