/** A message's encoded form: built once, whatever the number of its subscribers. */

import type { Message } from "../contract/message.ts";
import { EVENT_BYTES, eventOf } from "../wire/event.ts";
import { type Allocate, frameText, textFrame, textFrameOf } from "../wire/frame.ts";
import type { Entry } from "./channel-history.ts";
import type { Format } from "./view.ts";

/** The start of every message of a channel; made once per channel. */
export function channelPrefix(channel: string): string {
  return `{"channel":${JSON.stringify(channel)},"eventName":`;
}

/**
 * Encodes a message whose names were checked and whose payload is JSON text.
 * @param prefix `channelPrefix` of its channel
 * @param at when it is accepted, ms of the monotonic clock
 * @param allocate makes the memory for the frame
 */
export function encodeMessage(
  message: Message,
  prefix: string,
  seq: number,
  at: number,
  allocate?: Allocate,
): Entry {
  const head = `${prefix}${JSON.stringify(message.eventName)},"payload":`;
  const tail = `,"id":${JSON.stringify(message.id)},"seq":${seq},"ts":${message.ts}}`;
  const frame = textFrame(head + message.payload + tail, allocate);
  const payloadEnd = frame.length - Buffer.byteLength(tail);
  return {
    seq,
    at,
    eventName: message.eventName,
    frame,
    payloadStart: payloadEnd - Buffer.byteLength(message.payload),
    payloadEnd,
  };
}

/** A message as an event with further lines. */
export function eventFrame(entry: Entry, head: string): Buffer {
  return eventOf(frameText(entry.frame), head);
}

/** What clients with `format` get of a message. */
export function formatFrame(entry: Entry, format: Format): Buffer {
  switch (format) {
    case "message":
      return entry.frame;
    case "payload":
      return textFrameOf(entry.frame.subarray(entry.payloadStart, entry.payloadEnd));
    case "sse":
      return eventOf(frameText(entry.frame));
  }
}

/** A control frame for a client whose messages have `format`. */
export function controlFrame(text: string, format: Format): Buffer {
  return format === "sse" ? eventOf(Buffer.from(text)) : textFrame(text);
}

/** Bytes that `formatFrame` makes of a message, or a few more. */
export function formatBytes(entry: Entry, format: Format): number {
  if (format === "payload") return entry.payloadEnd - entry.payloadStart + 10;
  return entry.frame.length + (format === "sse" ? EVENT_BYTES : 0);
}

/** The JSON text of a message. */
export function messageText({ frame }: Entry): string {
  return frameText(frame).toString();
}
