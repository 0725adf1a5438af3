/** Messages of one channel that leave in one turn of the event loop, joined once for all readers. */
import { payloadFrame } from "./encode.ts";
import type { Entry } from "./history.ts";

/** What a reader gets of a message: all of it, or the bare payload. */
export type Format = "message" | "payload";

/** Frames that are written together. */
export interface Frames {
  readonly frames: readonly Buffer[];
  /** The same, one after the other, in one buffer. */
  readonly joined: Buffer;
}

function join(frames: readonly Buffer[]): Frames {
  return { frames, joined: frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames) };
}

export function oneFrame(frame: Buffer): Frames {
  return { frames: [frame], joined: frame };
}

export class Batch {
  readonly entries: readonly Entry[];
  #message: Frames | undefined;
  #payload: Frames | undefined;

  /** @param entries at least one */
  constructor(entries: readonly Entry[]) {
    this.entries = entries;
  }

  frames(format: Format): Frames {
    if (format === "message") {
      this.#message ??= join(this.entries.map((entry) => entry.frame));
      return this.#message;
    }
    this.#payload ??= join(this.entries.map(payloadFrame));
    return this.#payload;
  }
}
