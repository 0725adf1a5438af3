/**
 * What a client gets of each message: in which form, and of which events. There is one object for each
 * view, so that all clients with a view share what is encoded and joined for it.
 */

/** `message`: all of a message, as a frame; `payload`: the bare payload; `sse`: all of it, as an event. */
export type Format = "message" | "payload" | "sse";

export interface View {
  readonly format: Format;
  /** The names of the events that are wanted; undefined: all. */
  readonly events: ReadonlySet<string> | undefined;
  /** `sse`: the id of an event, the same for all clients with the view. */
  readonly idOf?: (seq: number) => string;
  /**
   * `sse`: the id of an event of one client of many channels, asked when the event is written, because
   * it says what of the other channels was written before.
   */
  readonly idWhenWritten?: (seq: number) => string;
}

const view = (format: Format): View => ({ format, events: undefined });

/** The views without a filter. */
export const MESSAGE = view("message");
export const PAYLOAD = view("payload");
export const SSE = view("sse");

export const UNFILTERED: Readonly<Record<Format, View>> = {
  message: MESSAGE,
  payload: PAYLOAD,
  sse: SSE,
};

/** Clients choose filters, so what no client uses any more must not stay here. */
const filtered = new Map<string, WeakRef<View>>();
const forgotten = new FinalizationRegistry<string>((key) => {
  if (!filtered.get(key)?.deref()) filtered.delete(key);
});

/**
 * The view of that format and those events, always the same object.
 * @param events names of events, in any order; undefined: all
 */
export function viewOf(format: Format, events?: Iterable<string>): View {
  if (events === undefined) return UNFILTERED[format];
  const names = [...new Set(events)].sort();
  // Names hold no control characters, so no two sets have one key.
  const key = [format, ...names].join("\n");
  const known = filtered.get(key)?.deref();
  if (known) return known;
  const made: View = { format, events: new Set(names) };
  filtered.set(key, new WeakRef(made));
  forgotten.register(made, key);
  return made;
}
