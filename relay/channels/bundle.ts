/** Messages of one channel that leave in one turn of the event loop, joined once for all subscribers. */
import { type Frames, joinFrames } from "../wire/frame.ts";
import { payloadFrame } from "./encode.ts";
import type { Entry } from "./history.ts";

/** What a client gets of a message: all of it, or the bare payload. */
export type Format = "message" | "payload";

export class Bundle {
  readonly entries: readonly Entry[];
  #message: Frames | undefined;
  #payload: Frames | undefined;

  /** @param entries at least one */
  constructor(entries: readonly Entry[]) {
    this.entries = entries;
  }

  frames(format: Format): Frames {
    if (format === "message") {
      this.#message ??= joinFrames(this.entries.map((entry) => entry.frame));
      return this.#message;
    }
    this.#payload ??= joinFrames(this.entries.map(payloadFrame));
    return this.#payload;
  }
}
