/**
 * Who sees the members of one channel, and what they were told. All of them share one list or one
 * change; a client that cannot take it now gets a list later, and is never harmed.
 */

import type { SharedFrames } from "../channels/control-frames.ts";
import type { Subscription } from "../channels/outlet.ts";
import { changeFrame, countFrame, listFrames } from "./frames.ts";
import type { Member } from "./member.ts";
import type { Roster } from "./roster.ts";

/** A client for which more is unsent gets no changes, bytes. */
const BUSY_BYTES = 64 * 1024;
/** Above the limit members are not listed; they are again when so many are left of it. */
const LIST_AGAIN = 0.9;

export interface Watcher {
  readonly subscription: Subscription;
}

export interface AudienceSettings {
  /** The most members that are listed. */
  readonly limit: number;
  /** Unsent bytes of a connection that presence may bring about; beyond them are for messages. */
  readonly heldBytes: number;
  /** Counts what was sent. */
  readonly sent: (kind: "list" | "change" | "count") => void;
}

export class Audience {
  readonly channel: string;
  readonly #settings: AudienceSettings;
  /** They know what was told last. */
  readonly #current = new Set<Watcher>();
  /** They need a list, or the number. */
  readonly #fresh = new Set<Watcher>();
  /** Who has changed since something was told, as it was then. */
  #before = new Map<string, Member | undefined>();
  #isListed = true;
  #count = 0;

  constructor(channel: string, settings: AudienceSettings) {
    this.channel = channel;
    this.#settings = settings;
  }

  get size(): number {
    return this.#current.size + this.#fresh.size;
  }

  /** It gets a list at the next tick. */
  add(watcher: Watcher): void {
    this.#fresh.add(watcher);
  }

  delete(watcher: Watcher): void {
    this.#current.delete(watcher);
    this.#fresh.delete(watcher);
  }

  /** What was told does not hold any more. */
  forget(): void {
    for (const watcher of this.#current) this.#fresh.add(watcher);
    this.#current.clear();
    this.#before.clear();
  }

  changes(user: string, before: Member | undefined): void {
    // Where only the number is told, or all get a list, nobody asks who.
    if (!this.#isListed || this.#current.size === 0 || this.#before.has(user)) return;
    this.#before.set(user, before);
  }

  /** Tells all who can take it now. True when somebody waits. */
  tell(roster: Roster, settleMs: number): boolean {
    const count = roster.count(this.channel);
    const before = this.#before;
    if (before.size > 0) this.#before = new Map();
    const { limit } = this.#settings;
    const wasListed = this.#isListed;
    this.#isListed = count <= (wasListed ? limit : Math.floor(limit * LIST_AGAIN));
    if (!this.#isListed) {
      this.#tellCount(count, wasListed);
    } else {
      if (wasListed) this.#tellChange(count, before, roster);
      // Who was only told the number needs a list too.
      else this.forget();
      this.#tellList(roster, settleMs);
    }
    this.#count = count;
    return this.#fresh.size > 0;
  }

  #tellChange(
    count: number,
    before: ReadonlyMap<string, Member | undefined>,
    roster: Roster,
  ): void {
    const left: string[] = [];
    const joined: Member[] = [];
    for (const [user, old] of before) {
      const member = roster.get(this.channel, user);
      if (!member) {
        if (old) left.push(user);
      } else if (!old || old.info !== member.info) joined.push(member);
    }
    if (left.length + joined.length === 0) return;
    const frame = changeFrame(this.channel, count, { left, joined });
    for (const watcher of this.#current) {
      if (this.#send(watcher, frame, "change")) continue;
      this.#current.delete(watcher);
      this.#fresh.add(watcher);
    }
  }

  #tellList(roster: Roster, settleMs: number): void {
    if (this.#fresh.size === 0) return;
    const frames = listFrames(this.channel, [...roster.members(this.channel)], settleMs);
    this.#tellFresh(frames, "list");
  }

  #tellCount(count: number, wasListed: boolean): void {
    const frame = countFrame(this.channel, count);
    if (wasListed || count !== this.#count) {
      for (const watcher of this.#current) {
        if (this.#send(watcher, frame, "count")) continue;
        this.#current.delete(watcher);
        this.#fresh.add(watcher);
      }
    }
    this.#tellFresh(frame, "count");
  }

  #tellFresh(frames: SharedFrames, kind: "list" | "count"): void {
    for (const watcher of this.#fresh) {
      if (!this.#send(watcher, frames, kind)) continue;
      this.#fresh.delete(watcher);
      this.#current.add(watcher);
    }
  }

  /** False when the client cannot take it now. */
  #send({ subscription }: Watcher, frames: SharedFrames, kind: "list" | "change" | "count") {
    const { outlet, state } = subscription;
    if (outlet.dead) return true;
    if (state !== "live" || outlet.held > BUSY_BYTES) return false;
    const encoded = frames.as(outlet.view.format);
    if (outlet.held + encoded.joined.length > this.#settings.heldBytes) return false;
    outlet.controls(encoded);
    this.#settings.sent(kind);
    return true;
  }
}
