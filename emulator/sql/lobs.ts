/** Temporary LOBs: how long texts and bytes travel as binds, and CLOB columns as Lob objects. */

import { OraError, ora } from "../errors.ts";
import { type Reader, WireError, Writer } from "../net/codec.ts";
import { MESSAGE, writeStatus } from "../net/ttc.ts";
import { TYPE } from "../net/values.ts";

const OPERATION = {
  getLength: 0x0001,
  read: 0x0002,
  trim: 0x0020,
  write: 0x0040,
  createTemporary: 0x0110,
  getChunkSize: 0x4000,
  open: 0x8000,
  close: 0x10000,
} as const;
const LOCATOR_BYTES = 40;
const TEMPORARY_FLAG_OFFSET = 7;
const CHARSET_AL32UTF8 = 873;
const CHUNK_BYTES = 8132;

/** CLOB: text, counted in UTF-16 units as the driver counts; BLOB: bytes. */
export type LobValue = string | Buffer;

/** The LOBs of one session. They end with it, or when the client frees them. */
export class Lobs {
  readonly #lobs = new Map<string, LobValue>();
  #last = 0;

  /** Returns the locator under which the client asks for it. */
  create(value: LobValue): Buffer {
    const locator = Buffer.alloc(LOCATOR_BYTES);
    locator.writeUInt16BE(LOCATOR_BYTES - 2, 0);
    locator[TEMPORARY_FLAG_OFFSET] = 0x01;
    locator.writeUInt32BE(++this.#last, LOCATOR_BYTES - 4);
    this.#lobs.set(locator.toString("hex"), value);
    return locator;
  }

  /** @throws OraError 22922 */
  get(locator: Buffer): LobValue {
    const value = this.#lobs.get(locator.toString("hex"));
    if (value === undefined) throw new OraError(22922, "nonexistent LOB value");
    return value;
  }

  set(locator: Buffer, value: LobValue): void {
    this.get(locator);
    this.#lobs.set(locator.toString("hex"), value);
  }

  /** Frees all the locators that `bytes` consists of. */
  free(bytes: Buffer): void {
    for (let start = 0; start < bytes.length; start += LOCATOR_BYTES) {
      this.#lobs.delete(bytes.subarray(start, start + LOCATOR_BYTES).toString("hex"));
    }
  }

  get count(): number {
    return this.#lobs.size;
  }
}

/** Runs a LOB call and returns its answer. */
export function lobOperation(reader: Reader, lobs: Lobs, inTransaction: boolean): Buffer {
  reader.u8();
  const locatorLength = reader.int();
  reader.u8();
  reader.skipInts(3);
  reader.skip(3);
  const operation = reader.int();
  reader.skip(2);
  const sourceOffset = reader.int();
  const destOffset = reader.int();
  const hasAmount = reader.u8() !== 0;
  reader.skip(6);
  let locator: Buffer = Buffer.from(reader.raw(locatorLength));
  let data: Buffer | null = null;
  if (operation === OPERATION.createTemporary) reader.int();
  if (operation === OPERATION.write) {
    if (reader.u8() !== MESSAGE.lobData) throw new WireError("a LOB write without data");
    data = reader.bytes();
  }
  let amount = hasAmount ? reader.int() : 0;
  const writer = new Writer();
  switch (operation) {
    case OPERATION.createTemporary:
      // The type of the new LOB stands where the destination's offset is otherwise.
      locator = lobs.create(destOffset === TYPE.blob ? Buffer.alloc(0) : "");
      break;
    case OPERATION.write:
      lobs.set(locator, overwritten(lobs.get(locator), sourceOffset - 1, data));
      break;
    case OPERATION.read: {
      const part = slice(lobs.get(locator), sourceOffset - 1, sourceOffset - 1 + amount);
      amount = part.length;
      writer.u8(MESSAGE.lobData).bytes(Buffer.from(part as string));
      break;
    }
    case OPERATION.trim:
      lobs.set(locator, slice(lobs.get(locator), 0, amount));
      break;
    case OPERATION.getLength:
      amount = lobs.get(locator).length;
      break;
    case OPERATION.getChunkSize:
      amount = CHUNK_BYTES;
      break;
    case OPERATION.open:
    case OPERATION.close:
      break;
    default:
      throw ora.unsupported(`LOB operation ${operation}`);
  }
  writer.u8(MESSAGE.parameter).raw(locator);
  if (operation === OPERATION.createTemporary) writer.int(CHARSET_AL32UTF8).u8(0);
  else if (hasAmount) writer.int(amount);
  return writeStatus(writer, inTransaction).finish();
}

function slice(value: LobValue, start: number, end: number): LobValue {
  return typeof value === "string" ? value.slice(start, end) : value.subarray(start, end);
}

function overwritten(value: LobValue, offset: number, data: Buffer | null): LobValue {
  const bytes = data ?? Buffer.alloc(0);
  if (typeof value === "string") {
    const text = bytes.toString("utf8");
    return value.padEnd(offset).slice(0, offset) + text + value.slice(offset + text.length);
  }
  const result = Buffer.alloc(Math.max(value.length, offset + bytes.length));
  value.copy(result);
  bytes.copy(result, offset);
  return result;
}

/** A LOB is its size and a locator; the client reads it by LOB calls. */
export function writeLob(writer: Writer, value: LobValue | null, lobs: Lobs): void {
  if (value === null) {
    writer.int(0);
    return;
  }
  const locator = lobs.create(value);
  writer.int(locator.length, value.length, CHUNK_BYTES).bytes(locator);
}
