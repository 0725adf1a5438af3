/** Samples for everybody who looks on; nothing runs while nobody does. */

import type { Logger } from "../../common/logger.ts";
import { RateLimitedLog, recentWarnings } from "../../common/logger.ts";
import type { Hello, Point } from "./contract.ts";
import type { EventStream } from "./event-stream.ts";
import { type Sampler, warningRow } from "./sampler.ts";

const INTERVAL_MS = 1_000;
/** Points that a page is given when it opens, 10 minutes. */
const MOST_POINTS = 600;

/** What a stream begins with, without what the feed knows itself. */
export type Greeting = Omit<Hello, "points" | "warnings" | "bounds">;

interface Watcher {
  readonly stream: EventStream;
  /** Whether the reader may still look on. */
  readonly mayWatch: () => boolean;
}

export class Feed {
  readonly #sampler: Sampler;
  readonly #warnings: RateLimitedLog;
  readonly #watchers = new Set<Watcher>();
  #points: Point[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sampling = false;

  constructor(sampler: Sampler, log: Logger) {
    this.#sampler = sampler;
    this.#warnings = new RateLimitedLog(log, 60_000);
  }

  get watching(): number {
    return this.#watchers.size;
  }

  watch(stream: EventStream, greeting: Greeting, mayWatch: () => boolean): void {
    const watcher = { stream, mayWatch };
    const hello: Hello = {
      ...greeting,
      bounds: this.#sampler.bounds(),
      points: this.#points,
      warnings: recentWarnings().since(0).map(warningRow),
    };
    stream.send("hello", JSON.stringify(hello));
    if (this.#timer === undefined) {
      this.#sampler.reset();
      this.#timer = setInterval(() => void this.#sample(), INTERVAL_MS).unref();
    }
    this.#watchers.add(watcher);
    stream.onEnd(() => this.#leave(watcher));
    void this.#sample();
  }

  #leave(watcher: Watcher): void {
    this.#watchers.delete(watcher);
    if (this.#watchers.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#sampler.reset();
  }

  async #sample(): Promise<void> {
    if (this.#sampling) return;
    this.#sampling = true;
    try {
      const sample = await this.#sampler.sample(this.watching);
      this.#points.push(sample.point);
      if (this.#points.length >= 2 * MOST_POINTS) this.#points = this.#points.slice(-MOST_POINTS);
      const json = JSON.stringify(sample);
      for (const { stream, mayWatch } of this.#watchers) {
        if (mayWatch()) stream.send("sample", json);
        else stream.end();
      }
    } catch (error) {
      this.#warnings.warn("sample", { err: error }, "the console has no sample");
    } finally {
      this.#sampling = false;
    }
  }

  /** Ends all streams. */
  close(): void {
    for (const { stream } of this.#watchers) stream.end();
  }
}
