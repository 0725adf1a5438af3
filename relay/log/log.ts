/**
 * The port of the log: what gives messages their numbers and keeps their order. The relay appends to
 * it and is fed by it; it never numbers anything itself. `MemoryLog` lives in this process and is
 * the default; `ValkeyLog` is one ordered log that many nodes share.
 *
 * Three promises hold for every implementation, inside one epoch and on every node:
 *  - the numbers of a channel have no gap, and every reader gets the same messages in the same order;
 *  - what its source gave again, by channel and id, is not appended again, as far as the log remembers;
 *  - whatever may have cut the log's end, or exchanged its content, begins a new epoch, and every
 *    reader is told by `reset` before anything of that epoch is applied.
 */
import type { Message } from "../contract/message.ts";
import type { Source } from "../contract/publisher.ts";
import type { Fact, Notice, SharedTable } from "./fact.ts";

/** A message with its place: `seq` counts per channel inside the epoch, from 1 on, without gaps. */
export interface Numbered extends Message {
  readonly seq: number;
  /** It is the last value of its channel and event until then, ms since 1970 (retained-value.ts). */
  readonly keptUntil?: number;
}

export interface AppendOptions {
  readonly source: Source;
  /**
   * The ids were made for this call, so none can have been seen before: the log need not look. Such a
   * batch must never be appended a second time; after `unavailable` its sender is told so (503).
   */
  readonly ownIds?: boolean;
  /** Ends the waiting: what has no answer yet is answered `unavailable`. */
  readonly signal?: AbortSignal;
}

/** What became of one message of an `append`. */
export type Appended =
  /**
   * It has its number. `duplicate`: this source gave its id to its channel before; it was not appended
   * again, and `seq` is the number of the first time (of an earlier epoch, if there was one since).
   */
  | { readonly status: "accepted"; readonly seq: number; readonly duplicate: boolean }
  /**
   * Not known to be appended, but it may have been: the answer can be what was lost. Give it and
   * everything behind it again, in the same order and with the same ids.
   */
  | { readonly status: "unavailable"; readonly code: "unavailable"; readonly message: string }
  /**
   * A later holder of the source's lease has appended. Nothing of this batch may be given again: drop
   * it with the session that dequeued it; the database delivers it to the holder.
   */
  | { readonly status: "fenced"; readonly code: "fenced"; readonly message: string };

/** What became of one notice of a `note`. */
export type Noted =
  /** It is in the log, unless a fact of a higher rank is there: then that one counts. */
  | { readonly status: "accepted" }
  /** A fact whose owner is not in the table `node`: it must become a new one and say all anew. */
  | { readonly status: "refused"; readonly message: string }
  /** Not known to be in the log, but it may be. */
  | { readonly status: "unavailable"; readonly message: string };

/**
 * Why a reader must begin anew:
 * `start`: the first snapshot of this process;
 * `lost`: a new epoch, since the log may have lost or exchanged messages;
 * `behind`: the same epoch, but this reader was away until the log had trimmed what it needed.
 */
export type ResetReason = "start" | "lost" | "behind";

/** One consistent view of the log. */
export interface Snapshot {
  readonly epoch: string;
  readonly reason: ResetReason;
  /** Number of the last message of every channel that has one. A channel that is not here is at 0. */
  readonly heads: ReadonlyMap<string, number>;
  /**
   * The messages that the log still has, in log order. Those of one channel have no gap and end at
   * its head, so they fill the history; no subscriber gets them again.
   */
  readonly messages: Iterable<Numbered>;
  /**
   * All facts of all tables, nodes before what they own. After `lost` no node is among them: each
   * joins again; other tables may have lost what the log had lost.
   */
  readonly facts: Iterable<Fact>;
}

/** What the log feeds; implemented by the relay. All calls are synchronous and in log order. */
export interface LogReader {
  /**
   * Everything known before is dropped, in this order: pending messages leave; replays that are under
   * way or wait end; history and heads are exchanged; every subscription is answered anew with
   * `recovered: false` and its channel's head. Ages are provable from this call on.
   */
  reset(snapshot: Snapshot): void;
  /** Messages that follow what was applied before; each is its channel's head + 1. Never empty. */
  apply(batch: readonly Numbered[]): void;
  /**
   * Facts and signals, in one order with the messages. Never empty. A fact that changes nothing, because
   * one of a higher rank is there, may be among them or not.
   */
  notice(batch: readonly Notice[]): void;
  /** Number of the channel's last message that was applied; where it goes on when it is forgotten. */
  headOf(channel: string): number;
  /**
   * False: the log was not heard for longer than its grace, so pages would be deaf. They are closed
   * with a code that makes them reconnect, and the node is not ready. True: it is heard again, with
   * nothing missed or after a `reset`. Called on changes only; a reader begins as not current.
   * @param detail why not, for the readiness report
   */
  current(yes: boolean, detail?: string): void;
}

/**
 * The port. Whoever implements it holds the promises above;
 * `test/log-contract` runs against each.
 */
export interface Log {
  /** The epoch last told to the reader; empty before the first `reset`. */
  readonly epoch: string;
  /**
   * True: a channel's number goes on for the whole epoch, so the reader keeps the head of a channel
   * that it otherwise forgets. False: a channel that the reader forgot may come back with any higher
   * number, and a channel that it does not know opens at the number before its first message.
   */
  readonly keepsHeads: boolean;
  /**
   * Appends checked messages in order. One answer per message, in the same order: first the accepted
   * ones (a prefix of the batch, which may be empty or all of it), then only `unavailable` or only
   * `fenced`. A caller's batches are appended in the order of its calls when it awaits each.
   * A log in this process answers in the same turn, without a promise, and has called `apply` before.
   * Never throws for a message's sake.
   */
  append(
    batch: readonly Message[],
    options: AppendOptions,
  ): readonly Appended[] | Promise<readonly Appended[]>;
  /**
   * Puts facts and signals into the log, in order; one answer each. Those of one call are applied
   * together, before or after any others. Once it is answered every node has applied them or will,
   * before anything that is appended later. In the same turn as `append`. Never throws.
   */
  note(
    batch: readonly Notice[],
    options?: { readonly signal?: AbortSignal },
  ): readonly Noted[] | Promise<readonly Noted[]>;
  /**
   * Feeds the reader from now on; called once. Resolves when the first snapshot was given and the
   * reader is current, or when a log elsewhere could not be reached: `current` tells when it is.
   * @throws {RtmError} the log can never be used as it is
   */
  follow(reader: LogReader, signal?: AbortSignal): Promise<void>;
  /**
   * Resolves to true when everything that was appended anywhere before this call has been applied
   * here, in whatever epoch is then the log's; to false when that is not known after `ms`. Then a
   * page's position must not be judged: close it, so that it asks elsewhere.
   */
  caughtUp(ms: number): Promise<boolean>;
  /**
   * How many facts a shared table holds where the log is, which may be fewer than were said: somebody may
   * have removed them there. Undefined: it cannot be asked now. Absent where no one else can.
   */
  sizeOf?(table: SharedTable): Promise<number | undefined>;
  /** Ends following; appends under way are answered. The reader is not called any more. */
  close(): Promise<void>;
}
