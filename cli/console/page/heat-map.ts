/** Latency over time: a column each ten seconds, a row per bucket, stronger where more messages are. */
import { bound, bucketName, count } from "../format.ts";
import type { Heat } from "../model.ts";
import { colour } from "./charts.ts";
import { element, setLabel } from "./elements.ts";

const LABELS = 62;
const FOOT = 20;
const ROW = 19;

export class HeatMap {
  readonly #host = element("heat");
  readonly #canvas = element<HTMLCanvasElement>("heatCanvas");
  readonly #onPoint: (text: string | undefined) => void;
  #heat: Heat | undefined;
  #bounds: readonly number[] = [];

  /** @param onPoint told what is under the pointer, or that there is nothing any more */
  constructor(onPoint: (text: string | undefined) => void) {
    this.#onPoint = onPoint;
    new ResizeObserver(() => this.redraw()).observe(this.#host);
    this.#canvas.addEventListener("pointermove", (event) => this.#point(event));
    this.#canvas.addEventListener("pointerleave", () => onPoint(undefined));
  }

  /** @param summary the same in words */
  show(heat: Heat, bounds: readonly number[], summary: string): void {
    this.#heat = heat;
    this.#bounds = bounds;
    setLabel(this.#canvas, summary);
    this.redraw();
  }

  redraw(): void {
    const heat = this.#heat;
    if (!heat) return;
    const rows = this.#bounds.length + 1;
    const width = Math.max(200, this.#host.clientWidth);
    const height = rows * ROW + FOOT;
    const scale = devicePixelRatio;
    const canvas = this.#canvas;
    if (
      canvas.width !== Math.round(width * scale) ||
      canvas.height !== Math.round(height * scale)
    ) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    const context = canvas.getContext("2d");
    if (!context) return;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    const [muted, line, accent] = [colour("--muted"), colour("--line"), colour("--accent")];
    const cell = (width - LABELS) / heat.columns.length;
    for (let bucket = 0; bucket < rows; bucket++) {
      const y = (rows - 1 - bucket) * ROW;
      const name = bucket < this.#bounds.length ? bound(this.#bounds[bucket] as number) : "more";
      context.fillStyle = muted;
      context.textAlign = "right";
      // A bound belongs to the upper edge of its row; what is above the last one stands clear of it.
      context.fillText(name, LABELS - 8, y + (bucket < this.#bounds.length ? 4 : 6));
      context.fillStyle = line;
      context.globalAlpha = 0.5;
      context.fillRect(LABELS, y + ROW - 1, width - LABELS, 1);
      context.globalAlpha = 1;
    }
    context.fillStyle = accent;
    for (const [index, column] of heat.columns.entries()) {
      for (const [bucket, messages] of column.entries()) {
        if (messages === 0) continue;
        // The root, so that few messages beside many are seen.
        context.globalAlpha = 0.15 + 0.85 * Math.sqrt(messages / heat.most);
        context.fillRect(
          LABELS + index * cell + 0.5,
          (rows - 1 - bucket) * ROW + 0.5,
          Math.max(1, cell - 1),
          ROW - 1.5,
        );
      }
    }
    context.globalAlpha = 1;
    context.fillStyle = muted;
    context.textAlign = "center";
    // Labels at least 70 pixels apart, at whole minutes.
    const minute = 6 * cell;
    const every = 6 * Math.max(1, Math.ceil(70 / minute));
    for (const [index, start] of heat.starts.entries()) {
      if ((start / 10_000) % every !== 0) continue;
      const x = LABELS + index * cell;
      if (x > LABELS + 14 && x < width - 18)
        context.fillText(clock(start), x, height - FOOT / 2 + 2);
    }
  }

  #point({ offsetX, offsetY }: PointerEvent): void {
    const heat = this.#heat;
    if (!heat) return;
    const cell = (this.#canvas.clientWidth - LABELS) / heat.columns.length;
    const index = Math.floor((offsetX - LABELS) / cell);
    const bucket = this.#bounds.length - Math.floor(offsetY / ROW);
    const messages = heat.columns[index]?.[bucket];
    this.#onPoint(
      messages === undefined
        ? undefined
        : `${clock(heat.starts[index] as number, true)}, ${bucketName(this.#bounds, bucket)}: ${count(messages)} messages`,
    );
  }
}

function clock(ms: number, withSeconds = false): string {
  return new Date(ms).toLocaleTimeString("en-GB", {
    hour: "2-digit",
    minute: "2-digit",
    ...(withSeconds ? { second: "2-digit" } : {}),
  });
}
