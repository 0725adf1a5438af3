/** A way out that ends with one answer: what is written is kept until the answer is due. */
import { type Frames, frameText } from "./frame.ts";
import { closeReason, type Wire } from "./wire.ts";

/** An answer is closed when it has so many bytes; what comes then is asked for again. */
export const ANSWER_BYTES = 256 * 1024;
/** From here on there may be more to come at once, bytes. */
const MORE_BYTES = ANSWER_BYTES / 2;

/** Whether a client has to hear of the frame now; else it can wait with it for something to happen. */
function isNews(text: string): boolean {
  if (!text.startsWith('{"op":')) return true;
  const { op, recovered } = JSON.parse(text) as { op: string; recovered?: boolean };
  if (op === "connected" || op === "refreshed" || op === "ping" || op === "position") return false;
  return op !== "subscribed" || recovered !== true;
}

export class CollectingWire implements Wire {
  pending = 0;
  open = true;
  readonly #texts: string[] = [];
  readonly #onNews: () => void;
  readonly #onDestroy: () => void;
  #full = false;

  /**
   * @param onNews the answer is due at the end of this turn
   * @param onDestroy nobody is to be answered
   */
  constructor(onNews: () => void, onDestroy: () => void) {
    this.#onNews = onNews;
    this.#onDestroy = onDestroy;
  }

  /** The answer: JSON text. */
  answer(): string {
    const more = this.#full || this.pending >= MORE_BYTES;
    return `{"frames":[${this.#texts.join(",")}],"more":${more}}`;
  }

  write({ frames }: Frames): void {
    for (const frame of frames) {
      if (!this.open || this.#full) return;
      this.#add(frameText(frame).toString());
    }
  }

  #add(text: string): void {
    this.#texts.push(text);
    this.pending += Buffer.byteLength(text);
    this.#full = this.pending >= ANSWER_BYTES;
    if (isNews(text)) this.#onNews();
  }

  cork(): void {}
  uncork(): void {}
  ping(): void {}
  pong(): void {}

  close(code: number, reason: string): void {
    if (!this.open) return;
    this.#add(JSON.stringify({ op: "close", code, reason: closeReason(reason) }));
    this.open = false;
  }

  destroy(): void {
    this.open = false;
    this.#onDestroy();
  }

  /** Nothing drains before the answer, and then the client asks again. */
  onDrain(): void {}
}
