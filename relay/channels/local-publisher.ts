/** The publisher for a worker in the same process, and what REST publishes through. */

import type { Message } from "../contract/message.ts";
import type { Publisher, PublishResult, Source } from "../contract/publisher.ts";
import type { Serving } from "../serving.ts";
import type { Hub } from "./hub.ts";

/** The most that is published in one turn of the event loop, bytes. */
const MAX_QUANTUM_BYTES = 512 * 1024;

export class LocalPublisher implements Publisher {
  readonly #hub: Hub;
  readonly #serving: Serving;
  /** Clients take what was written only when the event loop gets a turn. */
  readonly #quantum: number;
  #turn = 0;
  #bytes = 0;

  /** @param historyBytes what is kept of one channel; a burst must not outrun it */
  constructor(hub: Hub, serving: Serving, historyBytes: number) {
    this.#hub = hub;
    this.#serving = serving;
    const cap = hub.limits.connectionBytes;
    this.#quantum = Math.min(MAX_QUANTUM_BYTES, cap / 4, Math.max(historyBytes / 4, cap / 64));
  }

  async publish(batch: readonly Message[], source: Source): Promise<readonly PublishResult[]> {
    const results: PublishResult[] = [];
    for (const message of batch) {
      if (this.full) await this.nextTurn();
      const result = this.publishOne(message, { source, ownId: false });
      // None after it is taken either: a later message must not overtake one that is tried again.
      if (result.status === "unavailable") {
        return [...results, ...batch.slice(results.length).map(() => result)];
      }
      results.push(result);
    }
    return results;
  }

  /** Whether this turn of the event loop had its share; wait for `nextTurn` then. */
  get full(): boolean {
    return this.#turn === this.#hub.turn && this.#bytes >= this.#quantum;
  }

  nextTurn(): Promise<void> {
    // The hub's immediate, which ends the turn, was set before this one and comes first.
    return new Promise((resolve) => setImmediate(resolve));
  }

  /** `ownId`: the id was made here and cannot have been seen before. */
  publishOne(message: Message, options: { source: Source; ownId: boolean }): PublishResult {
    const problem = this.#serving.problem;
    if (problem !== undefined) {
      return { status: "unavailable", code: "unavailable", message: problem };
    }
    if (this.#turn !== this.#hub.turn) {
      this.#turn = this.#hub.turn;
      this.#bytes = 0;
    }
    this.#bytes += message.payload.length;
    return this.#hub.publish(message, options);
  }
}
