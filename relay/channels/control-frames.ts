/** Control frames that many clients share. */
import { type Frames, joinFrames } from "../wire/frame.ts";
import { controlFrame } from "./encode.ts";
import type { Format } from "./view.ts";

/** Control frames, encoded once for each format in which they are wanted. */
export class SharedFrames {
  readonly #texts: readonly string[];
  readonly #encoded = new Map<Format, Frames>();

  constructor(texts: readonly string[]) {
    this.#texts = texts;
  }

  as(format: Format): Frames {
    const known = this.#encoded.get(format);
    if (known) return known;
    const made = joinFrames(this.#texts.map((text) => controlFrame(text, format)));
    this.#encoded.set(format, made);
    return made;
  }
}
