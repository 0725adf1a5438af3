/** Who looks on, and samples for all of them; nothing is sampled while nobody does. */
import type { Logger } from "../../common/logger.ts";
import { RateLimitedLog, recentWarnings } from "../../common/logger.ts";
import type { Hello, Point } from "./contract.ts";
import type { EventStream } from "./event-stream.ts";
import { type Sampler, warningRow } from "./sampler.ts";

const INTERVAL_MS = 1_000;
/** Points that a page is given when it opens, 10 minutes. */
const MOST_POINTS = 600;

/** What a stream begins with, without what is known here. */
export type Greeting = Omit<Hello, "points" | "warnings" | "bounds">;

interface Viewer {
  readonly stream: EventStream;
  /** False: it may not look on any more. */
  readonly mayView: () => boolean;
}

export class Viewers {
  readonly #sampler: Sampler;
  readonly #warnings: RateLimitedLog;
  readonly #viewers = new Set<Viewer>();
  #points: Point[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sampling = false;

  constructor(sampler: Sampler, log: Logger) {
    this.#sampler = sampler;
    this.#warnings = new RateLimitedLog(log, 60_000);
  }

  /** How many look on. */
  get count(): number {
    return this.#viewers.size;
  }

  /**
   * From now on `stream` gets a sample every second, beginning with what was lately.
   * @param mayView asked before each sample; false ends the stream
   */
  add(stream: EventStream, greeting: Greeting, mayView: () => boolean): void {
    const viewer = { stream, mayView };
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
    this.#viewers.add(viewer);
    stream.onEnd(() => this.#leave(viewer));
    void this.#sample();
  }

  #leave(viewer: Viewer): void {
    this.#viewers.delete(viewer);
    if (this.#viewers.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#sampler.reset();
  }

  async #sample(): Promise<void> {
    if (this.#sampling) return;
    this.#sampling = true;
    try {
      const sample = await this.#sampler.sample(this.count);
      this.#points.push(sample.point);
      if (this.#points.length >= 2 * MOST_POINTS) this.#points = this.#points.slice(-MOST_POINTS);
      const json = JSON.stringify(sample);
      for (const { stream, mayView } of this.#viewers) {
        if (mayView()) stream.send("sample", json);
        else stream.end();
      }
    } catch (error) {
      this.#warnings.warn("sample", { err: error }, "the console has no sample");
    } finally {
      this.#sampling = false;
    }
  }
}
