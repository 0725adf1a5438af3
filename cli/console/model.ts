/** What the console's page and `rtm top` make of samples: rates, quantiles, heat maps. Pure. */
import type { Hello, Point, Sample, WarningRow } from "./contract.ts";

/** How far the charts go back at most, and at least when they have just begun, ms. */
const SPAN_MS = 600_000;
const LEAST_SPAN_MS = 120_000;
/** A rate is taken over about so long, so that it does not flicker, ms. */
const RATE_MS = 5_000;
/** Points further apart have nobody looking between them, ms. */
const GAP_MS = 15_000;
/** Warnings that are kept. */
const MOST_WARNINGS = 200;
/** Width of a column of a heat map, ms. */
const COLUMN_MS = 10_000;

export type Leg = "dequeue" | "write";
export type Counter = "accepted" | "delivered" | "deliveredBytes";

/** A value between two bounds; `above`: beyond all of them, and `value` is the last. */
export interface Quantile {
  readonly value: number;
  readonly above: boolean;
}

/**
 * The quantile `q` (0 to 1) of values that are known by their buckets, interpolated inside of one as
 * Prometheus' histogram_quantile does; undefined without values.
 * @param counts one more than `bounds`
 */
export function quantile(
  bounds: readonly number[],
  counts: readonly number[],
  q: number,
): Quantile | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  let rest = q * total;
  for (const [index, count] of counts.entries()) {
    if (rest > count || count === 0) {
      rest -= count;
      continue;
    }
    const upper = bounds[index];
    if (upper === undefined) return { value: bounds.at(-1) ?? 0, above: true };
    const lower = index === 0 ? 0 : (bounds[index - 1] as number);
    return { value: lower + ((upper - lower) * rest) / count, above: false };
  }
  return { value: bounds.at(-1) ?? 0, above: true };
}

export interface Latency {
  readonly messages: number;
  readonly p50: Quantile | undefined;
  readonly p99: Quantile | undefined;
}

/** Columns of a heat map, oldest first. */
export interface Heat {
  /** When each column begins, ms since 1970. */
  readonly starts: readonly number[];
  /** Per column: messages per bucket. */
  readonly columns: readonly (readonly number[])[];
  readonly most: number;
}

interface QueueTotals {
  readonly at: number;
  readonly accepted: ReadonlyMap<string, number>;
}

export class ConsoleModel {
  hello: Hello | undefined;
  sample: Sample | undefined;
  points: Point[] = [];
  /** Newest first. */
  warnings: WarningRow[] = [];
  #queueTotals: QueueTotals[] = [];

  /** A stream begins, for the first time or again. */
  begin(hello: Hello): void {
    this.hello = hello;
    this.points = [...hello.points];
    this.warnings = [...hello.warnings].reverse();
    this.#queueTotals = [];
  }

  take(sample: Sample): void {
    this.sample = sample;
    const { at } = sample.point;
    this.points.push(sample.point);
    this.points = this.points.filter((point) => point.at >= at - SPAN_MS - RATE_MS);
    const known = this.warnings[0]?.number ?? 0;
    const fresh = sample.warnings.filter(({ number }) => number > known).reverse();
    if (fresh.length > 0) this.warnings = [...fresh, ...this.warnings].slice(0, MOST_WARNINGS);
    const accepted = new Map(sample.queues.map((row) => [row.queue, row.accepted]));
    this.#queueTotals = [
      ...this.#queueTotals.filter((totals) => totals.at >= at - RATE_MS - 1_500),
      { at, accepted },
    ];
  }

  /** Messages or bytes per second now; undefined while there is one sample only. */
  rate(counter: Counter): number | undefined {
    return this.#rateAt(this.points.length - 1, counter);
  }

  #rateAt(index: number, counter: Counter): number | undefined {
    const now = this.points[index];
    if (!now) return undefined;
    let from = index - 1;
    for (; from > 0; from--) {
      const [one, older] = [this.points[from] as Point, this.points[from - 1] as Point];
      if (now.at - one.at > RATE_MS - 500 || one.at - older.at > GAP_MS) break;
    }
    const before = this.points[from];
    if (!before || now.at - before.at > GAP_MS) return undefined;
    // A restart begins at zero.
    if (now[counter] < before[counter]) return undefined;
    return ((now[counter] - before[counter]) * 1000) / Math.max(1, now.at - before.at);
  }

  /** Times (s since 1970) and rates for a chart. */
  rates(counter: Counter): [times: number[], values: (number | null)[]] {
    const values = this.points.map((_point, index) => this.#rateAt(index, counter) ?? null);
    return [this.#times(), values];
  }

  /** The same of a gauge. Where nobody looked there is a time without a value, so that no line crosses it. */
  gauges(gauge: "connections" | "backlog" | "cpu"): [number[], (number | null)[]] {
    const times: number[] = [];
    const values: (number | null)[] = [];
    for (const [index, point] of this.points.entries()) {
      const before = this.points[index - 1];
      if (before && point.at - before.at > GAP_MS) {
        times.push((before.at + GAP_MS / 2) / 1000);
        values.push(null);
      }
      times.push(point.at / 1000);
      values.push(point[gauge]);
    }
    return [times, values];
  }

  #times(): number[] {
    return this.points.map(({ at }) => at / 1000);
  }

  /** Settled messages per second of a queue. */
  queueRate(queue: string): number | undefined {
    const [first] = this.#queueTotals;
    const last = this.#queueTotals.at(-1);
    if (!first || !last || first === last) return undefined;
    const [before, now] = [first.accepted.get(queue), last.accepted.get(queue)];
    if (before === undefined || now === undefined || now < before) return undefined;
    return ((now - before) * 1000) / (last.at - first.at);
  }

  /** How far the charts go back now, ms: as far as there is something, in whole minutes. */
  get span(): number {
    const [first] = this.points;
    const age = first ? (this.points.at(-1) as Point).at - first.at : 0;
    return Math.min(SPAN_MS, Math.max(LEAST_SPAN_MS, Math.ceil(age / 60_000) * 60_000));
  }

  bounds(leg: Leg): readonly number[] {
    return this.hello?.bounds[leg] ?? [];
  }

  /** Of the messages of the last `ms`. */
  latency(leg: Leg, ms = 60_000): Latency {
    const last = this.points.at(-1);
    const first = last && this.points.find(({ at }) => at >= last.at - ms);
    const counts = first && last ? difference(first[leg], last[leg]) : [];
    const bounds = this.bounds(leg);
    return {
      messages: counts.reduce((sum, count) => sum + count, 0),
      p50: quantile(bounds, counts, 0.5),
      p99: quantile(bounds, counts, 0.99),
    };
  }

  /** Messages by time and latency, over the whole span until `now` (ms since 1970). */
  heat(leg: Leg, now: number): Heat {
    const end = Math.ceil(now / COLUMN_MS);
    const size = this.span / COLUMN_MS;
    const buckets = this.bounds(leg).length + 1;
    const columns = Array.from({ length: size }, () => new Array<number>(buckets).fill(0));
    for (const [index, point] of this.points.entries()) {
      const before = this.points[index - 1];
      const column = columns[Math.floor(point.at / COLUMN_MS) - end + size];
      if (!before || !column || point.at - before.at > GAP_MS) continue;
      for (const [bucket, count] of difference(before[leg], point[leg]).entries()) {
        column[bucket] = (column[bucket] ?? 0) + count;
      }
    }
    return {
      starts: columns.map((_column, index) => (end - size + index) * COLUMN_MS),
      columns,
      most: Math.max(0, ...columns.flat()),
    };
  }
}

/** What came between two totals; nothing over a restart. */
function difference(before: readonly number[] | null, now: readonly number[] | null): number[] {
  if (!before || !now || before.length !== now.length) return [];
  const counts = now.map((count, index) => count - (before[index] as number));
  return counts.some((count) => count < 0) ? [] : counts;
}
