/**
 * OSON, Oracle's binary JSON. Between two clients the bytes pass through untouched; only handlers
 * and tests that look at a payload, or make one, need the driver's own encoder. It is not part of
 * the driver's public API, so it is loaded when first needed.
 */
import { createRequire } from "node:module";

interface Oson {
  OsonEncoder: new () => { encode(value: unknown, maxFieldNameSize: number): Buffer };
  OsonDecoder: new (bytes: Buffer) => { decode(): unknown };
}

interface Transformer {
  transformJsonValue(value: unknown): unknown;
}

const require = createRequire(import.meta.url);
const MAX_FIELD_NAME_BYTES = 255;

export function encodeJson(value: unknown): Buffer {
  const { OsonEncoder } = require("oracledb/lib/impl/datahandlers/oson.js") as Oson;
  const { transformJsonValue } = require("oracledb/lib/transformer.js") as Transformer;
  return Buffer.from(new OsonEncoder().encode(transformJsonValue(value), MAX_FIELD_NAME_BYTES));
}

export function decodeJson(bytes: Buffer): unknown {
  const { OsonDecoder } = require("oracledb/lib/impl/datahandlers/oson.js") as Oson;
  return new OsonDecoder(Buffer.from(bytes)).decode();
}
