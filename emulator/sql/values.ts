/** Single values of binds and columns. */

import { ora } from "../errors.ts";
import type { Reader } from "../net/codec.ts";
import { decodeJson } from "../net/oson.ts";
import {
  decodeDate,
  decodeFloat,
  decodeNumber,
  encodeDate,
  encodeFloat,
  encodeNumber,
  TYPE,
} from "../net/values.ts";
import type { Lobs } from "./lobs.ts";

/** A value as statement handlers see it. NUMBER: a number when a double holds it exactly, else its text. */
export type SqlValue = string | number | bigint | boolean | Date | Buffer | null;

/** The data type of a bind or column as it is on the wire. */
export interface WireType {
  readonly type: number;
  /** National character set: UTF-16. */
  readonly nchar: boolean;
}

export function readValue(reader: Reader, bind: WireType, lobs: Lobs): SqlValue {
  switch (bind.type) {
    case TYPE.cursor:
      reader.skipInts(2);
      return null;
    case TYPE.clob:
    case TYPE.blob: {
      const locator = reader.sizedBytes();
      return locator === null ? null : lobs.get(locator);
    }
    case TYPE.json: {
      if (reader.int() === 0) return null;
      reader.bytes();
      const oson = reader.bytes();
      return oson ? (decodeJson(Buffer.from(oson)) as SqlValue) : null;
    }
    case TYPE.boolean: {
      // null is an escape: 0xFD 0x01.
      if (reader.peek() === 0xfd) {
        reader.skip(2);
        return null;
      }
      const value = reader.bytes();
      return value !== null && value.length === 2;
    }
  }
  const bytes = reader.bytes();
  if (bytes === null) return null;
  switch (bind.type) {
    case TYPE.varchar:
    case TYPE.char:
    case TYPE.long:
      return bind.nchar ? Buffer.from(bytes).swap16().toString("utf16le") : bytes.toString("utf8");
    case TYPE.number:
    case TYPE.binaryInteger: {
      const text = decodeNumber(bytes);
      const value = Number(text);
      return Number.isInteger(value) && !Number.isSafeInteger(value) ? text : value;
    }
    case TYPE.raw:
    case TYPE.longRaw:
      return Buffer.from(bytes);
    case TYPE.date:
    case TYPE.timestamp:
    case TYPE.timestampTz:
    case TYPE.timestampLtz:
      return decodeDate(bytes, bind.type);
    case TYPE.binaryDouble:
    case TYPE.binaryFloat:
      return decodeFloat(bytes);
    default:
      throw ora.unsupported(`binds of data type ${bind.type}`);
  }
}

/** The bytes of a value of any type but CLOB and BLOB; null for null. */
export function encodeValue(value: SqlValue, { type, nchar }: WireType): Buffer | null {
  if (value === null) return null;
  switch (type) {
    case TYPE.varchar:
    case TYPE.char:
    case TYPE.long:
      return nchar
        ? Buffer.from(String(value), "utf16le").swap16()
        : Buffer.from(
            value instanceof Uint8Array ? value.toString("hex").toUpperCase() : String(value),
          );
    case TYPE.number:
    case TYPE.binaryInteger:
      return encodeNumber(typeof value === "boolean" ? Number(value) : (value as number | string));
    case TYPE.raw:
    case TYPE.longRaw:
      return value instanceof Uint8Array ? Buffer.from(value) : Buffer.from(String(value), "hex");
    case TYPE.date:
    case TYPE.timestamp:
    case TYPE.timestampTz:
    case TYPE.timestampLtz:
      return encodeDate(value as Date, type);
    case TYPE.binaryDouble:
    case TYPE.binaryFloat:
      return encodeFloat(Number(value), type);
    case TYPE.boolean:
      return value ? Buffer.from([1, 1]) : Buffer.from([0]);
    default:
      throw ora.unsupported(`values of data type ${type}`);
  }
}
