/** Refreshes regions: once per burst, never twice at a time, and only in a page that is seen. */

/** A burst that does not end is cut after so many times the quiet period. */
const MOST_PERIODS = 10;
/** Regions that never say they are done are taken for done after this time, ms. */
const DONE_MS = 10_000;

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

class Region {
  readonly #id: string;
  #running = false;
  #again = false;

  constructor(id: string) {
    this.#id = id;
  }

  refresh(): void {
    if (this.#running) {
      this.#again = true;
      return;
    }
    const region = apex.region(this.#id);
    if (!region) {
      apex.debug.warn("rtm: the page has no region with the static id", this.#id);
      return;
    }
    this.#running = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const done = () => {
      if (!this.#running) return;
      clearTimeout(timer);
      this.#running = false;
      if (!this.#again) return;
      this.#again = false;
      this.refresh();
    };
    timer = setTimeout(done, DONE_MS);
    region.element.one("apexafterrefresh", done);
    region.refresh();
  }
}

export class Regions {
  readonly #regions: readonly Region[];
  readonly #throttle: Throttle;
  #hidden = false;

  constructor(ids: readonly string[], quietMs: number) {
    this.#regions = ids.map((id) => new Region(id));
    this.#throttle = new Throttle(quietMs, () => this.#refresh());
  }

  /** Something changed: refresh soon. */
  ask(): void {
    if (this.#regions.length > 0) this.#throttle.ask();
  }

  #refresh(): void {
    if (document.visibilityState === "visible") {
      for (const region of this.#regions) region.refresh();
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
