/** The AQ calls on the wire: enqueue one (121), dequeue one (122), array (145). */

import { ora } from "../errors.ts";
import { type Reader, WireError, Writer } from "../net/codec.ts";
import { SINCE } from "../net/profiles.ts";
import { MESSAGE, writeStatus } from "../net/ttc.ts";
import { encodeDate, TYPE } from "../net/values.ts";
import type { DequeuedMessage, MessageProperties, PayloadKind } from "./message.ts";
import type { DequeueOptions } from "./options.ts";

const MESSAGE_ID_BYTES = 16;
const TOID = { RAW: 0x17, JSON: 0x47 } as const;
const VISIBILITY_IMMEDIATE = 1;
const FLAG_BUFFERED = 0x02;
const ARRAY = { enqueue: 1, dequeue: 2 } as const;
const ARRAY_ROW = 7;
const JSON_LOCATOR_BYTES = 40;

export interface EnqueueRequest {
  queue: string;
  immediate: boolean;
  messages: { payload: Buffer; kind: PayloadKind; properties: MessageProperties }[];
}

export interface DequeueRequest {
  queue: string;
  kind: PayloadKind;
  options: DequeueOptions;
}

function readProperties(reader: Reader, fieldVersion: number): MessageProperties {
  const priority = reader.int();
  const delay = reader.int();
  const expiration = reader.int();
  const correlation = reader.sizedText();
  reader.int(); // attempts
  const exceptionQueue = reader.sizedText();
  reader.int(); // state
  reader.int(); // enqueue time
  reader.sizedBytes(); // transaction id
  const extensions = reader.int();
  if (extensions > 0) reader.u8();
  for (let i = 0; i < extensions; i++) {
    reader.sizedBytes();
    reader.sizedBytes();
    reader.int();
  }
  reader.skipInts(4); // user properties, csn, dsn, flags
  if (fieldVersion >= SINCE.shard) reader.int();
  return { priority, delay, expiration, correlation, exceptionQueue };
}

function writeProperties(writer: Writer, message: DequeuedMessage, fieldVersion: number): void {
  const enqueueTime = encodeDate(message.enqueueTime, TYPE.date);
  writer
    .int(message.priority, message.delay, message.expiration)
    .sizedText(message.correlation)
    .int(message.attempts)
    .sizedText(message.exceptionQueue)
    .int(message.state)
    .sizedBytes(enqueueTime)
    .int(0) // transaction id
    .int(0) // extensions
    .int(message.userProperties ? 1 : 0)
    .int(0, 0, 0);
  if (fieldVersion >= SINCE.shard) writer.int(0);
}

function refuseRecipients(count: number): void {
  if (count > 0) throw ora.unsupported("recipient lists");
}

function readToid(toid: Buffer): PayloadKind {
  if (toid.subarray(0, 15).every((byte) => byte === 0)) {
    if (toid[15] === TOID.RAW) return "RAW";
    if (toid[15] === TOID.JSON) return "JSON";
  }
  throw ora.unsupported("object payloads in queues");
}

/** @param length of a RAW payload, which was announced earlier. */
function readPayload(reader: Reader, kind: PayloadKind, length: number): Buffer {
  // Copied: the request's buffer is large and the message may live long.
  if (kind === "RAW") return Buffer.from(reader.raw(length));
  if (reader.int() !== JSON_LOCATOR_BYTES)
    throw new WireError("a JSON payload without its locator");
  reader.raw(JSON_LOCATOR_BYTES);
  return Buffer.from(reader.bytes() ?? []);
}

function refuseBuffered(flags: number): void {
  if (flags & FLAG_BUFFERED) throw ora.unsupported("buffered messages");
}

export function readEnqueue(reader: Reader, fieldVersion: number): EnqueueRequest {
  reader.u8();
  reader.int();
  const properties = readProperties(reader, fieldVersion);
  reader.u8();
  const recipients = reader.int();
  const visibility = reader.int();
  reader.u8();
  reader.skipInts(2); // relative message id, sequence deviation
  reader.u8();
  reader.skipInts(2);
  reader.skip(2);
  const length = reader.int();
  reader.u8();
  reader.int();
  const flags = reader.int();
  for (let i = 0; i < 4; i++) {
    reader.u8();
    reader.int();
  }
  reader.u8();
  for (let i = 0; i < 3; i++) {
    reader.u8();
    reader.int();
  }
  reader.skip(2);
  if (fieldVersion >= SINCE.jsonPayload) reader.u8();
  const queue = reader.text();
  refuseRecipients(recipients);
  const kind = readToid(reader.raw(16));
  const payload = readPayload(reader, kind, length);
  refuseBuffered(flags);
  return {
    queue,
    immediate: visibility === VISIBILITY_IMMEDIATE,
    messages: [{ payload, kind, properties }],
  };
}

export function readDequeue(reader: Reader, fieldVersion: number): DequeueRequest {
  reader.u8();
  reader.int();
  reader.skip(4);
  const hasConsumer = reader.u8();
  reader.int();
  const mode = reader.int();
  const navigation = reader.int();
  const visibility = reader.int();
  const wait = reader.int();
  const hasMessageId = reader.u8();
  reader.int();
  const hasCorrelation = reader.u8();
  reader.int();
  reader.u8();
  reader.skipInts(2);
  reader.skip(2);
  reader.int();
  const flags = reader.int();
  const hasCondition = reader.u8();
  reader.int();
  reader.u8();
  reader.int();
  if (fieldVersion >= SINCE.jsonPayload) reader.u8();
  if (fieldVersion >= SINCE.shard) reader.int();
  const queue = reader.text();
  const consumer = hasConsumer ? reader.text() : undefined;
  const messageId = hasMessageId ? Buffer.from(reader.raw(MESSAGE_ID_BYTES)) : undefined;
  const correlation = hasCorrelation ? reader.text() : "";
  const kind = readToid(reader.raw(16));
  if (hasCondition) reader.bytes();
  refuseOptions(hasCondition !== 0, flags);
  return {
    queue,
    kind,
    options: {
      consumer,
      mode,
      navigation,
      immediate: visibility === VISIBILITY_IMMEDIATE,
      wait,
      correlation,
      ...(messageId && { messageId }),
    },
  };
}

function refuseOptions(condition: boolean, flags: number): void {
  if (condition) throw ora.unsupported("dequeue conditions");
  refuseBuffered(flags);
}

/** An array call is an enqueue or a dequeue. */
export function readArray(
  reader: Reader,
  fieldVersion: number,
): { enqueue: EnqueueRequest } | { dequeue: DequeueRequest } {
  reader.u8();
  const slots = reader.int();
  reader.int();
  reader.skip(2);
  const operation = reader.int();
  reader.u8();
  if (fieldVersion >= SINCE.shard) reader.int();
  if (operation === ARRAY.enqueue) return { enqueue: readArrayEnqueue(reader, fieldVersion) };
  if (operation !== ARRAY.dequeue) throw new WireError(`AQ array operation ${operation}`);
  return { dequeue: readArrayDequeue(reader, fieldVersion, slots) };
}

function readArrayEnqueue(reader: Reader, fieldVersion: number): EnqueueRequest {
  const count = reader.int();
  reader.int();
  reader.u8();
  const queue = reader.sizedText();
  const kind = readToid(reader.raw(16));
  reader.int();
  refuseBuffered(reader.int());
  const messages: EnqueueRequest["messages"] = [];
  let visibility = 0;
  for (let i = 0; i < count; i++) {
    if (reader.u8() !== ARRAY_ROW) throw new WireError("an AQ array without its row marker");
    reader.int();
    const properties = readProperties(reader, fieldVersion);
    refuseRecipients(reader.int());
    visibility = reader.int();
    reader.skipInts(2);
    const length = kind === "RAW" ? reader.int() : 0;
    messages.push({ payload: readPayload(reader, kind, length), kind, properties });
  }
  return { queue, immediate: visibility === VISIBILITY_IMMEDIATE, messages };
}

/** The driver repeats the options for each slot; the first block says it all. */
function readArrayDequeue(reader: Reader, fieldVersion: number, slots: number): DequeueRequest {
  const queue = reader.sizedText();
  readProperties(reader, fieldVersion);
  reader.int();
  const consumer = reader.sizedText();
  const mode = reader.int();
  const navigation = reader.int();
  const visibility = reader.int();
  // Here the driver writes a signed value: WAIT_FOREVER arrives as 4 bytes of ones all the same.
  const wait = reader.int();
  reader.sizedBytes(); // message id: the driver never sends it
  const correlation = reader.sizedText();
  const condition = reader.sizedBytes();
  reader.skipInts(3);
  const kind = readToid(reader.sizedBytes() ?? Buffer.alloc(16, 0xff));
  reader.skipInts(4);
  refuseOptions(condition !== null, reader.int());
  return {
    queue,
    kind,
    options: {
      max: slots,
      consumer: consumer || undefined,
      mode,
      navigation,
      immediate: visibility === VISIBILITY_IMMEDIATE,
      wait,
      correlation,
    },
  };
}

function writePayload(writer: Writer, message: DequeuedMessage): void {
  const toid = Buffer.alloc(16);
  toid[15] = TOID[message.kind];
  // The driver throws the first four bytes away, of OSON too.
  const packed =
    message.payload.length > 0 ? Buffer.concat([Buffer.alloc(4), message.payload]) : null;
  writer
    .sizedBytes(toid)
    .int(0, 0, 0)
    .int(packed?.length ?? 0)
    .int(0);
  if (packed) writer.bytes(packed);
}

export function enqueueAnswer(ids: Buffer[], array: boolean, inTransaction: boolean): Buffer {
  const writer = new Writer().u8(MESSAGE.parameter);
  if (array) {
    writer.int(1, 0, 0, 0).sizedBytes(Buffer.concat(ids)).int(0, 0, ids.length);
  } else {
    writer.raw(ids[0]!).int(0);
  }
  return writeStatus(writer, inTransaction).finish();
}

/** @param messages at least one: an empty result is the error ORA-25228. */
export function dequeueAnswer(
  messages: DequeuedMessage[],
  array: boolean,
  fieldVersion: number,
  inTransaction: boolean,
): Buffer {
  const writer = new Writer().u8(MESSAGE.parameter);
  if (array) {
    writer.int(messages.length);
    for (const message of messages) {
      writer.int(1).u8(1);
      writeProperties(writer, message, fieldVersion);
      writer.int(0, 1);
      writePayload(writer, message);
      writer.sizedBytes(message.id).int(0, 0);
    }
  } else {
    const message = messages[0]!;
    writer.int(1);
    writeProperties(writer, message, fieldVersion);
    writer.int(0);
    writePayload(writer, message);
    writer.raw(message.id);
  }
  return writeStatus(writer, inTransaction).finish();
}
