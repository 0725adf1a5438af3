/**
 * How far clients with a filter have got. They do not see the messages that are left out, so their own
 * positions would grow old until nothing could be recovered, though they have missed nothing.
 */
import type { Subscription } from "../channels/outlet.ts";
import type { ServerFrame } from "../contract/protocol.ts";

export class Positions {
  readonly #tell: (frame: ServerFrame) => void;
  /** What the client was told last, beside the messages that it got. */
  readonly #told = new Map<Subscription, number>();

  constructor(tell: (frame: ServerFrame) => void) {
    this.#tell = tell;
  }

  /** The client knows that it stands at `seq`. */
  start(subscription: Subscription, seq: number): void {
    this.#told.set(subscription, seq);
  }

  end(subscription: Subscription): void {
    this.#told.delete(subscription);
  }

  /** Tells all that are live and were moved by messages that they did not get. */
  beat(): void {
    for (const subscription of this.#told.keys()) {
      if (subscription.state === "live") this.moved(subscription);
    }
  }

  /** All that the live subscription wants of what was offered is written. */
  moved(subscription: Subscription): void {
    const { channel, view } = subscription;
    const seq = channel.offeredSeq;
    if (seq <= (this.#told.get(subscription) ?? seq)) return;
    this.#told.set(subscription, seq);
    // The newest message itself has told it.
    const newest = channel.history.get(seq);
    if (newest && view.events?.has(newest.eventName)) return;
    this.#tell({ op: "position", channel: channel.name, seq });
  }
}
