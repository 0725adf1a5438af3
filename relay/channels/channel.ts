/** A channel: its messages, its subscriptions, and what of this turn was not written yet. */

import type { ChannelHistory, Entry } from "./channel-history.ts";
import { channelPrefix } from "./encode.ts";
import type { Subscription } from "./outlet.ts";
import { Slab } from "./slab.ts";

/**
 * What becomes of a client that is too slow for the channel: it goes, or gets the newest of each
 * event only.
 */
export type Policy = "disconnect" | "latest";

// There may be very many channels with one message and no subscriber: what they have none of costs
// them nothing.
const NOBODY: ReadonlySet<Subscription> = new Set();
const NOTHING: readonly Entry[] = [];

/**
 * A channel that has subscribers or messages; the hub forgets it when it has neither. Its messages
 * lie in `history`, those of this turn also in the pending ones, until `takePending`.
 */
export class Channel {
  readonly name: string;
  readonly policy: Policy;
  readonly isPublic: boolean;
  history: ChannelHistory;
  #prefix: string | undefined;
  #slab: Slab | undefined;
  #subscriptions: Set<Subscription> | undefined;
  #pending: Entry[] | undefined;
  #pendingBytes = 0;

  constructor(name: string, history: ChannelHistory, rules: { policy: Policy; isPublic: boolean }) {
    this.name = name;
    this.policy = rules.policy;
    this.isPublic = rules.isPublic;
    this.history = history;
  }

  /** The start of each of its messages. */
  get prefix(): string {
    this.#prefix ??= channelPrefix(this.name);
    return this.#prefix;
  }

  get subscriptions(): ReadonlySet<Subscription> {
    return this.#subscriptions ?? NOBODY;
  }

  /** `seq` of the last message that was offered to the subscriptions. */
  get offeredSeq(): number {
    return this.history.seq - (this.#pending?.length ?? 0);
  }

  get hasPending(): boolean {
    return this.#pending !== undefined;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  add(subscription: Subscription): void {
    this.#subscriptions ??= new Set();
    this.#subscriptions.add(subscription);
  }

  delete(subscription: Subscription): void {
    this.#subscriptions?.delete(subscription);
    if (this.#subscriptions?.size === 0) this.#subscriptions = undefined;
  }

  /** Memory for the frame of its next message. */
  frameMemory(bytes: number): Buffer {
    this.#slab ??= new Slab();
    return this.#slab.allocate(bytes, this.history.bytes);
  }

  /** Its next message waits for the end of the turn. True when it is the first one. */
  wait(entry: Entry): boolean {
    this.#pendingBytes += entry.frame.length;
    if (this.#pending) {
      this.#pending.push(entry);
      return false;
    }
    this.#pending = [entry];
    return true;
  }

  takePending(): readonly Entry[] {
    const pending = this.#pending ?? NOTHING;
    this.#pending = undefined;
    this.#pendingBytes = 0;
    return pending;
  }
}
