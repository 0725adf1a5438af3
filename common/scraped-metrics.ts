/** Prometheus metrics that cost nothing until they are scraped: plain numbers, read then. */
import { Counter, Gauge, type Registry } from "prom-client";

/** Makers of metrics in `registry`; a name may be used once. */
export function scrapedMetrics(registry: Registry) {
  const registers = [registry];
  return {
    counter(name: string, help: string, read: () => number): void {
      new Counter({
        name,
        help,
        registers,
        collect() {
          this.reset();
          this.inc(read());
        },
      });
    },

    /** A counter per value of `label`. */
    tally(
      name: string,
      help: string,
      label: string,
      read: () => Iterable<readonly [value: string, total: number]>,
    ): void {
      new Counter({
        name,
        help,
        labelNames: [label],
        registers,
        collect() {
          this.reset();
          for (const [value, total] of read()) this.inc({ [label]: value }, total);
        },
      });
    },

    /** A gauge per value of `label`. */
    gauges(
      name: string,
      help: string,
      label: string,
      read: () => Iterable<readonly [value: string, now: number]>,
    ): void {
      new Gauge({
        name,
        help,
        labelNames: [label],
        registers,
        collect() {
          this.reset();
          for (const [value, now] of read()) this.set({ [label]: value }, now);
        },
      });
    },

    gauge(name: string, help: string, read: () => number): void {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read());
        },
      });
    },
  };
}
