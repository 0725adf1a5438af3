/** Messages of one channel that leave in one turn of the event loop, joined once for all clients with a view. */
import { idLine } from "../wire/event.ts";
import { type Frames, joinFrames, NO_FRAMES } from "../wire/frame.ts";
import type { Entry } from "./channel-history.ts";
import { eventFrame, formatFrame } from "./encode.ts";
import { MESSAGE, PAYLOAD, UNFILTERED, type View, viewOf } from "./view.ts";

export class Bundle {
  readonly entries: readonly Entry[];
  #message: Frames | undefined;
  #payload: Frames | undefined;
  #others: Map<View, Frames> | undefined;

  /** @param entries at least one */
  constructor(entries: readonly Entry[]) {
    this.entries = entries;
  }

  /** What a client with the view gets; `NO_FRAMES` when nothing of it is wanted there. */
  frames(view: View): Frames {
    if (view === MESSAGE) {
      this.#message ??= joinFrames(this.entries.map((entry) => entry.frame));
      return this.#message;
    }
    if (view === PAYLOAD) {
      this.#payload ??= this.#encode(view, this.entries);
      return this.#payload;
    }
    const known = this.#others?.get(view);
    if (known) return known;
    this.#others ??= new Map();
    const made = this.#make(view);
    this.#others.set(view, made);
    return made;
  }

  #make(view: View): Frames {
    const { events, format, idOf, idWhenWritten } = view;
    const wanted = events
      ? this.entries.filter(({ eventName }) => events.has(eventName))
      : this.entries;
    if (wanted.length === 0) return NO_FRAMES;
    if (idWhenWritten) {
      const headOf = (index: number) => idLine(idWhenWritten((wanted[index] as Entry).seq));
      return { ...this.frames(viewOf(format, events)), headOf };
    }
    if (idOf) return joinFrames(wanted.map((entry) => eventFrame(entry, idLine(idOf(entry.seq)))));
    return wanted.length === this.entries.length && events
      ? this.frames(UNFILTERED[format])
      : this.#encode(view, wanted);
  }

  #encode({ format }: View, entries: readonly Entry[]): Frames {
    return joinFrames(entries.map((entry) => formatFrame(entry, format)));
  }
}
