/** The size of the next batch, from what the last ones weighed. Pure. */

/**
 * How many messages to ask for. Before 23ai the driver decodes a large answer again from its start
 * whenever another packet arrives, so the cost grows with the square of the answer: below about
 * 64 KiB that does not show (measured: docs/performance.md, Worker). From 23ai on answers are framed.
 */
export class BatchSizer {
  readonly #most: number;
  readonly #answerBytes: number;
  #messageBytes = 0;

  /**
   * @param most the configured batch.
   * @param serverVersion e.g. 1903000000 for 19.3; 23.4 is the first with framed answers.
   */
  constructor(most: number, serverVersion: number) {
    this.#most = most;
    this.#answerBytes = serverVersion >= 2_304_000_000 ? 4 * 1024 * 1024 : 64 * 1024;
  }

  /** Messages to ask for next: 1 to `most`. */
  next(): number {
    if (this.#messageBytes === 0) return this.#most;
    // What a message takes in an answer besides its payload is about 100 bytes.
    const fit = Math.floor(this.#answerBytes / (this.#messageBytes + 100));
    return Math.min(this.#most, Math.max(1, fit));
  }

  /** Learns from a batch; a larger average counts at once, a smaller one slowly. */
  observe(count: number, payloadBytes: number): void {
    const average = payloadBytes / count;
    this.#messageBytes =
      average > this.#messageBytes ? average : this.#messageBytes * 0.9 + average * 0.1;
  }
}
