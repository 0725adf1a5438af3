/** Counts what arrives in a process of the benchmark, and how long it took. */
import { type Report, sharedClock } from "./protocol.ts";

/** What has come by then is the answer: without a guarantee some may never come. */
const DEADLINE_MS = 30_000;

export class Receipts {
  #count = 0;
  #latencies: number[] = [];
  #waiting: (() => void) | undefined;

  /** @param text holds the payload, which says when it was published */
  got(text: string): void {
    this.#count++;
    const at = text.indexOf('"at":');
    if (at > 0)
      this.#latencies.push(sharedClock() - Number.parseFloat(text.slice(at + 5, at + 30)));
    this.#waiting?.();
  }

  /** Resolves once so many have arrived since the last report. */
  async report(deliveries: number): Promise<Report> {
    await new Promise<void>((resolve) => {
      const deadline = setTimeout(resolve, DEADLINE_MS);
      this.#waiting = () => {
        if (this.#count < deliveries) return;
        clearTimeout(deadline);
        resolve();
      };
      this.#waiting();
    });
    this.#waiting = undefined;
    const sorted = this.#latencies.sort((a, b) => a - b);
    const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
    const report = { is: "received", messages: this.#count, p50: at(0.5), p99: at(0.99) } as const;
    this.#count = 0;
    this.#latencies = [];
    return report;
  }
}
