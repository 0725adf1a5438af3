/** Refreshes regions: once per burst, never twice at a time, and only in a page that is seen. */
import { Region, type RegionOptions, type Row } from "./region.ts";
import type { Tell } from "./status.ts";

/** A burst that does not end is cut after so many times the quiet period. */
const MOST_PERIODS = 10;

export class Throttle {
  readonly #run: () => void;
  readonly #quietMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #since = 0;

  /** Runs `run` when nothing was asked for during `quietMs`. */
  constructor(quietMs: number, run: () => void) {
    this.#quietMs = quietMs;
    this.#run = run;
  }

  ask(): void {
    const now = performance.now();
    if (this.#timer === undefined) this.#since = now;
    const left = this.#since + MOST_PERIODS * this.#quietMs - now;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#run();
      },
      Math.max(0, Math.min(this.#quietMs, left)),
    );
  }
}

export interface RegionsOptions extends RegionOptions {
  /** Quiet time before a refresh, ms. */
  readonly quietMs: number;
}

export class Regions {
  readonly #regions: readonly Region[];
  readonly #throttle: Throttle;
  #whole = false;
  #rows: Row[] = [];
  #hidden = false;

  constructor(ids: readonly string[], options: RegionsOptions, tell: Tell) {
    this.#regions = ids.map((id) => new Region(id, options, tell));
    this.#throttle = new Throttle(options.quietMs, () => this.#refresh());
  }

  /** Something changed: refresh soon. */
  ask(): void {
    this.#whole = true;
    if (this.#regions.length > 0) this.#throttle.ask();
  }

  /** These rows changed; without any it can be all. */
  askRows(rows: readonly Row[]): void {
    if (rows.length === 0) this.#whole = true;
    else if (!this.#whole) this.#rows.push(...rows);
    if (this.#regions.length > 0) this.#throttle.ask();
  }

  #refresh(): void {
    if (document.visibilityState === "visible") {
      const rows = this.#rows;
      const whole = this.#whole;
      this.#rows = [];
      this.#whole = false;
      for (const region of this.#regions) {
        if (whole) region.refresh();
        else region.refreshRows(rows);
      }
    } else if (!this.#hidden) {
      this.#hidden = true;
      const shown = () => {
        if (document.visibilityState !== "visible") return;
        document.removeEventListener("visibilitychange", shown);
        this.#hidden = false;
        this.#refresh();
      };
      document.addEventListener("visibilitychange", shown);
    }
  }
}
