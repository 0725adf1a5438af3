/** Revenue per second of each region, as lines. */
import uPlot from "uplot";
import { element } from "./dom.ts";
import { clock, money } from "./format.ts";

const COLORS = ["#1f6feb", "#12a594", "#e5793a", "#8e4ec6"];

type Lines = [number[], ...number[][]];

/**
 * Draws the chart of the regions in the page; returns what draws it anew.
 * @param look the seconds, then one line for each region
 */
export function drawChart(regions: readonly string[], look: () => Lines): () => void {
  const host = element("chart");
  const size = () => ({ width: host.clientWidth, height: 260 });
  const style = getComputedStyle(document.documentElement);
  const axis = {
    stroke: style.getPropertyValue("--muted"),
    grid: { stroke: style.getPropertyValue("--line"), width: 1 },
    ticks: { show: false },
  };
  const plot = new uPlot(
    {
      ...size(),
      legend: { show: false },
      cursor: { y: false },
      // Half of a time, which may stand below the last second.
      padding: [null, 32, null, null],
      scales: { y: { range: (_self, _min, max) => [0, Math.max(100, max * 1.1)] } },
      axes: [
        {
          ...axis,
          size: 30,
          space: 90,
          values: (_self, ticks) => ticks.map((tick) => clock(tick * 1000)),
        },
        { ...axis, size: 64, values: (_self, ticks) => ticks.map((tick) => money.format(tick)) },
      ],
      series: [
        {},
        ...regions.map((label, index) => ({
          label,
          stroke: COLORS[index] as string,
          width: 2,
          points: { show: false },
        })),
      ],
    },
    look(),
    host,
  );
  for (const [index, region] of regions.entries()) {
    const entry = document.createElement("span");
    const swatch = document.createElement("i");
    swatch.style.background = COLORS[index] as string;
    entry.append(swatch, region);
    element("legend").append(entry);
  }
  addEventListener("resize", () => plot.setSize(size()));
  return () => {
    const data = look();
    plot.setData(data);
    host.setAttribute("aria-label", describe(regions, data));
  };
}

/** The chart in words, for who cannot see it. */
function describe(regions: readonly string[], [, ...lines]: Lines): string {
  const sums = lines.map((line) => line.reduce((sum, value) => sum + value, 0));
  const shown = regions.map((region, index) => `${region} ${money.format(sums[index] ?? 0)}`);
  return `Line chart, revenue per second of each region; in the last minute ${shown.join(", ")}`;
}
