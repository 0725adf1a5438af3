/** One ordered log in a Valkey or Redis that many nodes share (docs/cluster.md). */
import type { Logger } from "../../../common/logger.ts";
import type { Message } from "../../contract/message.ts";
import type { Notice, SharedTable } from "../fact.ts";
import type { Appended, AppendOptions, Log, LogReader, Noted } from "../log.ts";
import type { RetainedBounds } from "../retained-value.ts";
import { Appender } from "./appender.ts";
import type { Attached } from "./attach.ts";
import type { EngineAddress } from "./connection.ts";
import { Follower } from "./follower.ts";
import { engineKeys } from "./keys.ts";
import { Knowledge } from "./knowledge.ts";
import { LogStats } from "./stats.ts";

export interface ValkeyLogOptions {
  readonly address: EngineAddress;
  /** Hash tag of the keys: one per group of nodes. */
  readonly prefix: string;
  /** A node that is not known to be current for longer closes its pages, ms. */
  readonly grace: number;
  /** Bytes of messages that the log keeps; never more than twice as many. */
  readonly bytes: number;
  /** How long it keeps a message, ms. */
  readonly age: number;
  /** Message ids remembered per source, at least; up to twice as many are. */
  readonly ids: number;
  /** The most last values that the log keeps. */
  readonly retained: RetainedBounds;
  readonly log: Logger;
  /** The monotonic clock, ms. Default `performance.now`. */
  readonly clock?: () => number;
  /** The time, ms since 1970. Default `Date.now`. */
  readonly time?: () => number;
}

/**
 * The log that nodes share in an engine: one appender, one follower, each with connections of its
 * own.
 */
export class ValkeyLog implements Log {
  readonly keepsHeads = true;
  readonly stats = new LogStats();
  readonly #follower: Follower;
  readonly #appender: Appender;
  readonly #stopping = new AbortController();
  readonly #runs: Promise<void>[] = [];
  #asking: Promise<unknown> = Promise.resolve();
  #nextAsk: Promise<Attached> | undefined;

  constructor(options: ValkeyLogOptions) {
    const { address, prefix, grace, bytes, age, ids, retained } = options;
    const log = options.log.child({ component: "log" });
    const clock = options.clock ?? (() => performance.now());
    const keys = engineKeys(prefix);
    const knowledge = new Knowledge(options.time);
    const { stats } = this;
    const shared = { address, keys, knowledge, log, stats };
    this.#follower = new Follower({ ...shared, retention: { bytes, age }, grace, clock });
    this.#appender = new Appender({
      ...shared,
      ids,
      retained,
      hardBytes: 2 * bytes,
      keepFrom: (epoch) => this.#follower.keepFrom(epoch),
    });
  }

  get epoch(): string {
    return this.#follower.epoch;
  }

  /** Entries that exist and are not applied here yet. */
  get lag(): number {
    return this.#follower.lag;
  }

  /** False while the log was not heard for longer than its grace. */
  get isCurrent(): boolean {
    return this.#follower.current;
  }

  /** Bytes of messages that the engine keeps, as far as this node has read them. */
  get engineBytes(): number {
    return this.#follower.engineBytes;
  }

  append(batch: readonly Message[], options: AppendOptions): Promise<readonly Appended[]> {
    return this.#appender.append(batch, options);
  }

  note(
    batch: readonly Notice[],
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<readonly Noted[]> {
    return this.#appender.note(batch, signal);
  }

  sizeOf(table: SharedTable): Promise<number | undefined> {
    return this.#appender.sizeOf(table).catch(() => undefined);
  }

  /** @throws {EngineUnsuitableError} {EngineDeniedError} the engine cannot be used as it is set up */
  follow(reader: LogReader, signal?: AbortSignal): Promise<void> {
    const stopping = this.#stopping.signal;
    const until = signal ? AbortSignal.any([stopping, signal]) : stopping;
    return new Promise((resolve, reject) => {
      const following = this.#follower.run(reader, until, resolve);
      this.#runs.push(following, this.#appender.run(until));
      following.then(resolve, (error: unknown) => {
        this.#stopping.abort(error);
        reject(error);
      });
    });
  }

  /**
   * Calls that come while the engine is being asked share one further question: the one under way
   * may have been answered before what their pages have seen was appended.
   */
  async caughtUp(ms: number): Promise<boolean> {
    const deadline = performance.now() + ms;
    this.#nextAsk ??= this.#asking.then(() => {
      const ask = this.#appender.ask();
      this.#nextAsk = undefined;
      this.#asking = ask.catch(() => {});
      return ask;
    });
    const answered = this.#nextAsk.catch(() => undefined);
    const attached = await Promise.race([answered, after(ms)]);
    const result =
      attached !== undefined &&
      (await this.#follower.reached(attached, Math.max(0, deadline - performance.now())));
    this.stats.caughtUp[`${result}`]++;
    return result;
  }

  async close(): Promise<void> {
    this.#stopping.abort(new Error("the log is closed"));
    await Promise.allSettled(this.#runs);
  }
}

function after(ms: number): Promise<undefined> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(undefined), ms).unref();
  });
}
