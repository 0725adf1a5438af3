/** A message's encoded form: built once, whatever the number of its subscribers. */

import type { Message } from "../contract/message.ts";
import { type Allocate, textFrame, textFrameOf } from "../wire/frame.ts";
import type { Entry } from "./history.ts";

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

/** The frame of a `format=payload` subscription: the bare payload. */
export function payloadFrame(entry: Entry): Buffer {
  return textFrameOf(entry.frame.subarray(entry.payloadStart, entry.payloadEnd));
}
