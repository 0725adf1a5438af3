/** The publisher for a worker in the same process. */
import type { Hub } from "./hub.ts";
import type { Message } from "./message.ts";
import type { Publisher, PublishResult } from "./publisher.ts";
import type { Serving } from "./serving.ts";

/** After this much the event loop gets a turn, so that readers can take what was written, bytes. */
const QUANTUM_BYTES = 512 * 1024;

export class LocalPublisher implements Publisher {
  readonly #hub: Hub;
  readonly #serving: Serving;

  constructor(hub: Hub, serving: Serving) {
    this.#hub = hub;
    this.#serving = serving;
  }

  async publish(
    batch: readonly Message[],
    signal?: AbortSignal,
  ): Promise<readonly PublishResult[]> {
    const results: PublishResult[] = [];
    let bytes = 0;
    for (const message of batch) {
      if (bytes >= QUANTUM_BYTES) {
        bytes = 0;
        await nextTurn();
      }
      results.push(this.publishOne(message, false, signal));
      bytes += message.payload.length;
    }
    return results;
  }

  /** @param ownId the id was made here and cannot have been seen before */
  publishOne(message: Message, ownId: boolean, signal?: AbortSignal): PublishResult {
    const problem = this.#serving.problem ?? (signal?.aborted ? "the caller gave up" : undefined);
    if (problem !== undefined)
      return { status: "unavailable", code: "unavailable", message: problem };
    return this.#hub.publish(message, { ownId });
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
