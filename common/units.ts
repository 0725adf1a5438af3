/** Durations (`"5s"`) and sizes (`"64KiB"`) as people write them in a configuration. */

const DURATION_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const SIZE_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

function parseUnit(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(text.trim());
  const factor = match?.[2] === undefined ? undefined : units[match[2]];
  return match?.[1] === undefined || factor === undefined
    ? undefined
    : Math.round(Number(match[1]) * factor);
}

function formatUnit(value: number, units: Readonly<Record<string, number>>): string {
  const [name, factor] = Object.entries(units)
    .filter(([, size]) => value !== 0 && value % size === 0)
    .at(-1) ?? [Object.keys(units)[0], 1];
  return `${value / (factor as number)}${name}`;
}

/** Milliseconds of `"250ms"`, `"5s"`, `"1.5m"`, `"1h"`, `"7d"`; `undefined` when the text is none. */
export function parseDuration(text: string): number | undefined {
  return parseUnit(text, DURATION_MS);
}

/** The shortest exact spelling of a number of milliseconds, e.g. `90000` is `"90s"`. */
export function formatDuration(ms: number): string {
  return formatUnit(ms, DURATION_MS);
}

/** Bytes of `"512B"`, `"64KiB"`, `"1MiB"`, `"2GiB"`; `undefined` when the text is none. */
export function parseSize(text: string): number | undefined {
  return parseUnit(text, SIZE_BYTES);
}

/** The shortest exact spelling of a number of bytes, e.g. `65536` is `"64KiB"`. */
export function formatSize(bytes: number): string {
  return formatUnit(bytes, SIZE_BYTES);
}
