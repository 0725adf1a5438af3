/**
 * Events of a text/event-stream (WHATWG HTML, "Server-sent events"). A line break would end the data of
 * an event, so each begins a further data line; in JSON text they stand outside of strings only, where
 * they change no value.
 */

const EVENT_START = Buffer.from("data: ");
const EVENT_END = Buffer.from("\n\n");
const CR = 0x0d;
const LF = 0x0a;

/** Bytes of an event beside its text, when the text has no line break. */
export const EVENT_BYTES = EVENT_START.length + EVENT_END.length;

/** What a stream says when there is nothing to say. */
export const COMMENT = Buffer.from(":\n\n");

/** @param head further lines of the event, each with its end */
export function eventOf(text: Buffer, head = ""): Buffer {
  const start = head === "" ? EVENT_START : Buffer.from(`${head}data: `);
  if (!text.includes(LF) && !text.includes(CR)) return Buffer.concat([start, text, EVENT_END]);
  const lines = text.toString().replace(/\r\n|\r|\n/g, "\ndata: ");
  return Buffer.concat([start, Buffer.from(`${lines}\n\n`)]);
}

/** The line that makes `id` what an EventSource sends as Last-Event-ID when it comes back. */
export function idLine(id: string): string {
  return `id: ${id}\n`;
}
