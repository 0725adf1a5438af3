/** Numbers for people, the same on the console's page and in a terminal. */
import type { Quantile } from "./model.ts";

/** Shown for what is not known. */
export const UNKNOWN = "-";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? UNKNOWN : whole.format(value);
}

/** Counted up to 10,000 only. */
export function countedUpTo(value: number | null | undefined, most = 10_000): string {
  return (value ?? 0) >= most ? `${whole.format(most)}+` : count(value);
}

/** Per second. */
export function perSecond(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN;
  return value > 0 && value < 10 ? value.toFixed(1) : whole.format(value);
}

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let [scaled, unit] = [value, 0];
  while (scaled >= 1024 && unit < units.length - 1) [scaled, unit] = [scaled / 1024, unit + 1];
  return `${unit > 0 && scaled < 10 ? scaled.toFixed(1) : Math.round(scaled)} ${units[unit]}`;
}

/** A length of time with one unit, or two where that says more. @param s seconds */
export function seconds(s: number | null | undefined): string {
  if (s === null || s === undefined) return UNKNOWN;
  if (s < 0.001) return s === 0 ? "0 ms" : `${(s * 1000).toFixed(1)} ms`;
  if (s < 0.01) return `${(s * 1000).toFixed(1)} ms`;
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 60) return `${Math.round(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.round(s % 60)} s`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

export function latency(value: Quantile | undefined): string {
  if (!value) return UNKNOWN;
  return `${value.above ? "> " : ""}${seconds(value.value)}`;
}

export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined) return UNKNOWN;
  return `${share < 0.1 ? (share * 100).toFixed(1) : Math.round(share * 100)} %`;
}

/** Bounds of a bucket, seconds: `5-10 ms`. */
export function bucketName(bounds: readonly number[], bucket: number): string {
  const upper = bounds[bucket];
  if (upper === undefined) return `over ${bound(bounds.at(-1) ?? 0)}`;
  return `up to ${bound(upper)}`;
}

/** A bound as it was chosen: without rounding. */
export function bound(s: number): string {
  if (s >= 60) return `${s / 60} min`;
  return s >= 1 ? `${s} s` : `${Number((s * 1000).toPrecision(3))} ms`;
}
