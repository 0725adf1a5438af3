/** The small charts of the tiles, drawn by uPlot; their text alternative is their label. */
import "../../page/language.ts";
import uPlot from "uplot";
import { element, setLabel } from "./elements.ts";

const HEIGHT = 84;

export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function clock(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString("en-GB", {
    hour: "2-digit",
    minute: "2-digit",
  });
}

export interface SparkOptions {
  readonly id: string;
  /** What it shows, for who does not see it. */
  readonly label: string;
  readonly text: (value: number | null | undefined) => string;
  /** The largest value of the scale is not below it. */
  readonly atLeast: number;
}

export class Spark {
  readonly #options: SparkOptions;
  readonly #host: HTMLElement;
  #plot: uPlot | undefined;
  #data: uPlot.AlignedData = [[], []];
  #end = 0;
  #span = 1;

  constructor(options: SparkOptions) {
    this.#options = options;
    this.#host = element(options.id);
    this.#host.setAttribute("role", "img");
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(this.#host);
    this.redraw();
  }

  #size(): { width: number; height: number } {
    return { width: Math.max(60, this.#host.clientWidth), height: HEIGHT };
  }

  /** With the colours of the moment. */
  redraw(): void {
    this.#plot?.destroy();
    const axis = {
      stroke: colour("--muted"),
      font: "11px system-ui, sans-serif",
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false },
    };
    const { text, atLeast } = this.#options;
    this.#plot = new uPlot(
      {
        ...this.#size(),
        legend: { show: false },
        cursor: { show: false },
        padding: [6, 18, 0, 0],
        scales: {
          x: { range: () => [this.#end - this.#span, this.#end] },
          y: { range: (_self, _min, max) => [0, Math.max(atLeast, (max ?? 0) * 1.15)] },
        },
        axes: [
          {
            ...axis,
            size: 18,
            gap: 2,
            space: 70,
            grid: { show: false },
            // None so near the left edge that it meets the scale's zero.
            values: (plot, ticks) =>
              ticks.map((tick) => (plot.valToPos(tick, "x") < 20 ? "" : clock(tick))),
          },
          {
            ...axis,
            size: 44,
            gap: 4,
            space: 28,
            values: (_self, ticks) => ticks.map((tick) => text(tick)),
          },
        ],
        series: [
          {},
          {
            stroke: colour("--accent"),
            // Of six hexadecimal digits, with little opacity.
            fill: `${colour("--accent")}22`,
            width: 1.5,
            points: { show: false },
            spanGaps: false,
          },
        ],
      },
      this.#data,
      this.#host,
    );
  }

  /** @param spanMs how far it goes back from the last of the times (s since 1970) */
  show([times, values]: readonly [number[], (number | null)[]], spanMs: number): void {
    this.#data = [times, values];
    this.#end = times.at(-1) ?? 0;
    this.#span = spanMs / 1000;
    this.#plot?.setData(this.#data);
    const known = values.filter((value) => value !== null);
    const { label, text } = this.#options;
    const described =
      known.length === 0
        ? `${label}: nothing yet`
        : `${label} over the last ${spanMs / 60_000} minutes: now ${text(known.at(-1))}, highest ${text(Math.max(...known))}, lowest ${text(Math.min(...known))}`;
    setLabel(this.#host, described);
  }
}
