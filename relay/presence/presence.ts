/**
 * Who is where, as this node knows it, and what its clients are told. What is here is announced in the
 * log; what the log says is the truth for all, this node's own members included. Everything that changed
 * is told at the next tick, so that a user who leaves and comes back inside it is no news, and many who
 * come at once cost each client one frame.
 */
import type { Logger, RateLimitedLog } from "../../common/logger.ts";
import type { Grant } from "../access/claims.ts";
import type { Hub } from "../channels/hub.ts";
import type { KeptMember } from "../channels/state-records.ts";
import type { RelayConfig } from "../config/config.ts";
import type { Fact } from "../log/fact.ts";
import type { Log, ResetReason } from "../log/log.ts";
import type { FactReader } from "../log/notices.ts";
import { Announcer } from "./announcer.ts";
import { Audience, type Watcher } from "./audience.ts";
import { DatabaseFeed } from "./database-feed.ts";
import { Locals, type Seat } from "./locals.ts";
import { type Member, splitKey } from "./member.ts";
import { Neighbours, type NeighbourTimes, TIMES } from "./neighbours.ts";
import { Roster } from "./roster.ts";
import { PresenceRules } from "./rules.ts";
import { PresenceStats } from "./stats.ts";

/** Changes are told together after this time, ms. */
const TICK_MS = 250;
/** How often other numbers of connections are announced, ms. */
const COUNTS_MS = 10_000;
/** How long this node may take to make sure that it has heard everything, ms. */
const CATCH_UP_MS = 2000;

export interface PresenceOptions {
  readonly config: RelayConfig;
  readonly hub: Hub;
  readonly messageLog: Pick<Log, "note" | "caughtUp">;
  readonly log: Logger;
  readonly warnings: RateLimitedLog;
  /** The monotonic clock, ms. */
  readonly clock: () => number;
  /** Other nodes speak in the same log. */
  readonly shared: boolean;
  readonly times?: NeighbourTimes;
}

/**
 * Who is here. Connections take seats (`join`) and watch channels (`watch`); members of all nodes
 * come from the log (`reset`, `apply`). Clients, the database and the log are told at the next
 * tick, never at once.
 */
export class Presence implements FactReader {
  readonly rules: PresenceRules;
  readonly stats = new PresenceStats();
  readonly roster: Roster;
  readonly locals: Locals;
  /** What the database is told. */
  readonly feed: DatabaseFeed;
  readonly #options: PresenceOptions;
  readonly #announcer: Announcer;
  readonly #neighbours: Neighbours;
  readonly #audiences = new Map<string, Audience>();
  /** Audiences that have something to be told, or for whom somebody waits. */
  #untold = new Set<Audience>();
  #tickTimer: NodeJS.Timeout | undefined;
  #countsTimer: NodeJS.Timeout | undefined;
  #beatTimer: NodeJS.Timeout | undefined;
  #isCurrent = false;
  #settledAt = 0;
  #stopped = false;

  /** @throws {ConfigError} the secret for hidden users cannot be read */
  constructor(options: PresenceOptions) {
    this.#options = options;
    const { config, clock, messageLog, times = TIMES } = options;
    this.rules = new PresenceRules(config.presence);
    this.roster = new Roster((channel, user, before) => this.#changes(channel, user, before));
    this.feed = new DatabaseFeed({
      rules: this.rules,
      roster: this.roster,
      isSettled: () => this.#isCurrent && this.settleMs === 0,
      most: config.limits.presenceMembers,
    });
    this.locals = new Locals({ clock, onChange: (key) => this.#localChanged(key) });
    this.#announcer = new Announcer({
      messageLog,
      locals: this.locals,
      onUnsaid: () => this.#wake(),
      onFailure: (reason) => {
        options.warnings.warn("presence", { reason }, "the log does not take who is here");
        this.#wake();
      },
    });
    this.#neighbours = new Neighbours(times);
    if (options.shared) this.#beatTimer = setInterval(this.#beat, times.beatMs).unref();
  }

  /** How long the members may still be incomplete, ms; 0 when they are complete. */
  get settleMs(): number {
    return Math.max(0, this.#settledAt - this.#options.clock());
  }

  /** Clients that see who is there, once for each channel. */
  get watchers(): number {
    let sum = 0;
    for (const { size } of this.#audiences.values()) sum += size;
    return sum;
  }

  /** Whether one more user may be seen. */
  get hasRoom(): boolean {
    const { presenceMembers } = this.#options.config.limits;
    return Math.max(this.roster.size, this.locals.size) < presenceMembers;
  }

  /** From now on the client sees who is there, beginning with a list at the next tick. */
  watch(watcher: Watcher): void {
    const { name } = watcher.subscription.channel;
    let audience = this.#audiences.get(name);
    if (!audience) {
      audience = new Audience(name, {
        limit: this.#options.config.presence.members,
        heldBytes: this.#options.hub.connectionBytes / 2,
        sent: (kind) => this.stats.frames.add(kind),
      });
      this.#audiences.set(name, audience);
    }
    audience.add(watcher);
    this.#tellSoon(audience);
  }

  /** Ends `watch`. */
  unwatch(watcher: Watcher): void {
    const { name } = watcher.subscription.channel;
    const audience = this.#audiences.get(name);
    audience?.delete(watcher);
    if (!audience || audience.size > 0) return;
    this.#audiences.delete(name);
    this.#untold.delete(audience);
  }

  /** From now on the connection is seen; other nodes and clients hear of it at the next tick. */
  join(seat: Seat): void {
    this.locals.take(seat);
  }

  /** How long a user is seen whose connection is lost now, by the right of `grant`, ms. */
  graceMs(grant: Grant): number {
    return Math.max(0, Math.min(this.#options.config.presence.grace, grant.endsAt - Date.now()));
  }

  /** As `FactReader.reset`. */
  reset(facts: readonly Fact[], reason: ResetReason): void {
    this.feed.restart();
    this.roster.clear();
    for (const fact of facts) this.roster.apply(fact);
    this.#neighbours.reset(this.roster.nodes);
    if (reason !== "behind") {
      this.#settledAt = this.#options.clock() + this.#options.config.presence.grace;
    }
    const { id } = this.#announcer;
    if (id !== undefined && !this.roster.hasNode(id)) this.#announcer.renew();
    else this.#announcer.heardAll(facts.filter(({ owner }) => owner !== undefined && owner === id));
    for (const audience of this.#audiences.values()) {
      audience.forget();
      this.#tellSoon(audience);
    }
  }

  /** As `FactReader.apply`. */
  apply(fact: Fact): void {
    const { table, owner, key, value } = fact;
    this.roster.apply(fact);
    if (table !== "node") {
      this.#neighbours.heard(owner as string);
      if (owner === this.#announcer.id) this.#announcer.heard(key, value);
      return;
    }
    if (value !== null) {
      this.#neighbours.heard(key);
      return;
    }
    this.#neighbours.gone(key);
    if (key === this.#announcer.id) this.#announcer.renew();
  }

  /** As `LogReader.current`. */
  current(yes: boolean): void {
    this.#isCurrent = yes;
    this.#neighbours.reset(this.roster.nodes);
    if (this.#mayAnnounce) this.#wake();
  }

  #changes(channel: string, user: string, before: Member | undefined): void {
    this.feed.note(channel, user);
    const audience = this.#audiences.get(channel);
    if (!audience) return;
    audience.changes(user, before);
    this.#tellSoon(audience);
  }

  #localChanged(key: string): void {
    this.#announcer.changed(key);
    if (this.#announcer.hasCounts && !this.#stopped) {
      this.#countsTimer ??= setTimeout(this.#sayCounts, COUNTS_MS).unref();
    }
  }

  readonly #sayCounts = (): void => {
    this.#countsTimer = undefined;
    this.#announcer.sayCounts();
  };

  #tellSoon(audience: Audience): void {
    this.#untold.add(audience);
    this.#wake();
  }

  #wake(): void {
    if (!this.#stopped) this.#tickTimer ??= setTimeout(this.#tick, TICK_MS).unref();
  }

  /** A log that is not heard takes nothing. */
  get #mayAnnounce(): boolean {
    return this.#isCurrent && this.#announcer.hasUnsaid;
  }

  readonly #tick = (): void => {
    if (this.#mayAnnounce) this.#announcer.announce();
    if (this.#untold.size > 0) this.#tell();
    // What a log in this process has brought meanwhile was told.
    this.#tickTimer = undefined;
    if (this.#untold.size > 0 || this.#mayAnnounce) this.#wake();
  };

  #tell(): void {
    // Before anything is told, as the log has it: messages first that came first.
    this.#options.hub.flush();
    const untold = this.#untold;
    this.#untold = new Set();
    for (const audience of untold) {
      if (audience.tell(this.roster, this.settleMs)) this.#untold.add(audience);
    }
  }

  readonly #beat = (): void => {
    if (!this.#isCurrent) return;
    this.#announcer.correct();
    void this.#announcer.beat();
    const { clock, messageLog } = this.#options;
    const silent = this.#neighbours.silent(clock(), this.#announcer.id);
    if (silent.length === 0) return;
    void messageLog.caughtUp(CATCH_UP_MS).then((known) => {
      if (!known || !this.#isCurrent || this.#stopped) return;
      const dead = silent.filter((id) => this.#neighbours.isSilent(id));
      if (dead.length === 0) return;
      this.stats.nodesGone += dead.length;
      this.#options.log.info({ nodes: dead }, "nodes are gone, and who was only there");
      void messageLog.note(dead.map((key) => ({ table: "node", key, value: null })));
    });
  };

  /** Members of this node, for the next process. */
  *kept(): Generator<KeptMember> {
    for (const key of this.locals.keys) {
      const here = this.locals.here(key);
      if (here) yield { ...splitKey(key), info: here.info, sinceMs: here.sinceMs };
    }
  }

  /** Members of the process before are seen as long as if they had been lost now. */
  restore(members: Iterable<KeptMember>): void {
    const { grace } = this.#options.config.presence;
    for (const kept of members) {
      if (this.rules.of(kept.channel)) this.locals.restore(kept, grace);
    }
  }

  /** Stops all timers. What was said in the log stays until others find this node gone. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#tickTimer);
    clearTimeout(this.#countsTimer);
    clearInterval(this.#beatTimer);
    this.locals.stop();
  }
}
