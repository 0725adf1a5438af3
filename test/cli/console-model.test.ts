/** Rates, quantiles and heat maps of the console, without a console. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Hello, Point, Sample } from "../../cli/console/contract.ts";
import {
  bound,
  bucketName,
  bytes,
  countedUpTo,
  latency,
  perSecond,
  seconds,
} from "../../cli/console/format.ts";
import { ConsoleModel, quantile } from "../../cli/console/model.ts";

const BOUNDS = [0.01, 0.1, 1];
const START = 1_795_000_000_000;

const hello = (points: Point[] = []): Hello => ({
  version: "1",
  node: "20",
  host: "h",
  role: "serve",
  pid: 1,
  startedAt: START,
  access: "full",
  payloads: false,
  database: true,
  bounds: { dequeue: BOUNDS, write: BOUNDS },
  limits: { connections: 10, heldBytes: 10 },
  points,
  warnings: [],
});

function point(s: number, accepted: number, dequeue: number[] = [0, 0, 0, 0]): Point {
  return {
    at: START + s * 1000,
    cpu: 0,
    rss: 0,
    loop: 0,
    accepted,
    delivered: 0,
    deliveredBytes: 0,
    connections: 0,
    backlog: null,
    dequeue,
    write: null,
  };
}

const sample = (at: Point, queues: { queue: string; accepted: number }[] = []): Sample =>
  ({ point: at, queues, warnings: [] }) as unknown as Sample;

function seen(points: readonly Point[]): ConsoleModel {
  const model = new ConsoleModel();
  model.begin(hello());
  for (const each of points) model.take(sample(each));
  return model;
}

describe("a rate", () => {
  it("is taken over some seconds, and unknown before two samples", () => {
    expect(seen([point(0, 5)]).rate("accepted")).toBeUndefined();
    expect(seen([point(0, 0), point(1, 10)]).rate("accepted")).toBe(10);
    const steady = Array.from({ length: 20 }, (_unused, s) => point(s, s * 7));
    expect(seen(steady).rate("accepted")).toBe(7);
    // One burst does not make the figure jump up and down within a second.
    const burst = Array.from({ length: 20 }, (_unused, s) => point(s, s < 19 ? 0 : 100));
    expect(seen(burst).rate("accepted")).toBe(20);
  });

  it("a gauge's line breaks where nobody looked", () => {
    const points = [0, 1, 60, 61].map((at) => ({ ...point(at, 0), connections: at + 1 }));
    const [times, values] = seen(points).gauges("connections");
    expect(times.map((time) => time - START / 1000)).toEqual([0, 1, 8.5, 60, 61]);
    expect(values).toEqual([1, 2, null, 61, 62]);
  });

  it("is unknown over a pause in which nobody looked, and over a restart", () => {
    expect(seen([point(0, 0), point(100, 1000)]).rate("accepted")).toBeUndefined();
    expect(seen([point(0, 900), point(1, 3)]).rate("accepted")).toBeUndefined();
    const [times, values] = seen([point(0, 0), point(1, 5), point(60, 10), point(61, 11)]).rates(
      "accepted",
    );
    expect(times).toHaveLength(4);
    expect(values).toEqual([null, 5, null, 1]);
  });

  it("of a queue counts what was settled of it", () => {
    const model = new ConsoleModel();
    model.begin(hello());
    for (let s = 0; s < 10; s++) {
      model.take(
        sample(point(s, 0), [
          { queue: "A", accepted: 3 * s },
          { queue: "B", accepted: 1 },
        ]),
      );
    }
    expect(model.queueRate("A")).toBeCloseTo(3);
    expect(model.queueRate("B")).toBe(0);
    expect(model.queueRate("C")).toBeUndefined();
  });
});

describe("a quantile", () => {
  it("lies in its bucket, interpolated", () => {
    expect(quantile(BOUNDS, [0, 0, 0, 0], 0.5)).toBeUndefined();
    expect(quantile(BOUNDS, [10, 0, 0, 0], 0.5)).toEqual({ value: 0.005, above: false });
    expect(quantile(BOUNDS, [50, 49, 1, 0], 0.99)?.value).toBeCloseTo(0.1);
    expect(quantile(BOUNDS, [1, 0, 0, 9], 0.99)).toEqual({ value: 1, above: true });
    expect(quantile([], [], 0.5)).toBeUndefined();
  });

  it("never leaves the bucket that holds it, and rises with q", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(50), { minLength: 4, maxLength: 4 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (counts, a, b) => {
          const [low, high] = [Math.min(a, b), Math.max(a, b)];
          const total = counts.reduce((sum, count) => sum + count, 0);
          const lower = quantile(BOUNDS, counts, low);
          const upper = quantile(BOUNDS, counts, high);
          if (total === 0) return lower === undefined;
          const last = counts.findLastIndex((count) => count > 0);
          const most = BOUNDS[last] ?? (BOUNDS.at(-1) as number);
          return lower!.value <= upper!.value && upper!.value <= most && lower!.value >= 0;
        },
      ),
    );
  });

  it("of the last minute does not know what was before", () => {
    const old = [1000, 0, 0, 0];
    const model = seen([
      point(0, 0, old),
      point(30, 0, old),
      point(80, 0, old),
      point(90, 0, [1000, 0, 4, 0]),
    ]);
    expect(model.latency("dequeue")).toMatchObject({
      messages: 4,
      p50: { value: 0.55, above: false },
    });
    expect(model.latency("write").messages).toBe(0);
  });
});

it("a heat map has each message once, in its column and row", () => {
  const points = [0, 4, 9, 12, 31].map((s, n) => point(s, 0, [n * 2, 0, n, 0]));
  const model = seen(points);
  const heat = model.heat("dequeue", points.at(-1)!.at);
  expect(heat.columns.length).toBe(12);
  expect(heat.columns.flat().reduce((sum, count) => sum + count, 0)).toBe(12 - 3);
  // The pause between 12 and 31 s: nobody knows when its messages came.
  const [from] = heat.starts;
  expect(heat.starts.every((start, index) => start === from! + index * 10_000)).toBe(true);
  expect(heat.most).toBe(4);
});

it("a stream that begins anew replaces what was seen before", () => {
  const model = seen([point(0, 100), point(1, 200)]);
  model.begin(hello([point(50, 1), point(51, 2)]));
  model.take(sample(point(52, 3)));
  expect(model.points.map(({ accepted }) => accepted)).toEqual([1, 2, 3]);
  expect(model.rate("accepted")).toBe(1);
});

it("warnings come once, newest first, and not without end", () => {
  const model = new ConsoleModel();
  model.begin(hello());
  const row = (number: number) => ({
    number,
    time: "",
    level: "warn",
    component: null,
    message: "",
    details: "",
  });
  for (let n = 1; n <= 500; n++) {
    model.take({ ...sample(point(n, 0)), warnings: [row(n), row(Math.max(1, n - 1))] } as Sample);
  }
  expect(model.warnings).toHaveLength(200);
  expect(model.warnings[0]!.number).toBe(500);
  expect(new Set(model.warnings.map(({ number }) => number)).size).toBe(200);
});

it.each([
  [seconds(undefined), "-"],
  [seconds(0), "0 ms"],
  [seconds(0.0004), "0.4 ms"],
  [seconds(0.25), "250 ms"],
  [seconds(3.21), "3.2 s"],
  [seconds(59.9), "60 s"],
  [seconds(150), "2 min 30 s"],
  [seconds(7260), "2 h 1 min"],
  [seconds(200_000), "2 d 7 h"],
  [bytes(0), "0 B"],
  [bytes(1536), "1.5 KiB"],
  [bytes(300 * 1024 * 1024), "300 MiB"],
  [perSecond(0), "0"],
  [perSecond(0.25), "0.3"],
  [perSecond(1234.5), "1,235"],
  [countedUpTo(10_000), "10,000+"],
  [countedUpTo(null), "-"],
  [latency({ value: 300, above: true }), "> 5 min 0 s"],
  [bucketName(BOUNDS, 1), "up to 100 ms"],
  [bucketName(BOUNDS, 3), "over 1 s"],
  [bound(0.0025), "2.5 ms"],
])("%s is %s", (shown, expected) => {
  expect(shown).toBe(expected);
});
