/** The rows of a query. */
import type { Writer } from "../net/codec.ts";
import { SINCE } from "../net/profiles.ts";
import { MESSAGE } from "../net/ttc.ts";
import { TYPE } from "../net/values.ts";
import { type Lobs, writeLob } from "./lobs.ts";
import { encodeValue, type SqlValue } from "./values.ts";

const CHARSET_AL32UTF8 = 873;
const CSFRM_IMPLICIT = 1;
const MAX_STRING_BYTES = 32_767;

/** A query's answer as a table. */
export interface Cells {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly SqlValue[])[];
}

/**
 * Describes the columns and sends all rows at once, so that the client never has to fetch or to
 * close a cursor. Returns false when there is a CLOB or BLOB column: then, as Oracle does, no row
 * is sent until the client has said by a second call how it wants them.
 */
export function writeQuery(
  writer: Writer,
  { columns, rows }: Cells,
  fieldVersion: number,
): boolean {
  const types = columns.map((_, i) => columnType(rows.map((row) => row[i]!)));
  const hasLobs = types.some((type) => type === TYPE.clob || type === TYPE.blob);
  const encoded = hasLobs
    ? []
    : rows.map((row) => types.map((type, i) => encodeValue(row[i]!, { type, nchar: false })));
  writer.u8(MESSAGE.describe, 0).int(0, columns.length);
  if (columns.length > 0) writer.u8(0);
  for (const [i, name] of columns.entries()) {
    const size = encoded.reduce((max, row) => Math.max(max, row[i]?.length ?? 0), 1);
    writeColumn(
      writer,
      name.toUpperCase(),
      types[i]!,
      hasLobs ? MAX_STRING_BYTES : size,
      i + 1,
      fieldVersion,
    );
  }
  writer.int(0, 0, 0, 0, 0, 0);
  for (const row of encoded) {
    writer.u8(MESSAGE.rowData);
    for (const cell of row) writer.bytes(cell);
  }
  return !hasLobs;
}

/** The rows of a query with CLOB or BLOB columns, in the types that the client has asked for. */
export function writeDefinedRows(
  writer: Writer,
  { rows }: Cells,
  types: readonly number[],
  lobs: Lobs,
): boolean {
  for (const row of rows) {
    writer.u8(MESSAGE.rowData);
    for (const [i, type] of types.entries()) {
      const value = row[i] ?? null;
      if (type === TYPE.clob || type === TYPE.blob) {
        writeLob(writer, value === null || Buffer.isBuffer(value) ? value : String(value), lobs);
        continue;
      }
      writer.bytes(encodeValue(value, { type, nchar: false }));
      // LONG and LONG RAW are followed by indicator and return code.
      if (type === TYPE.long || type === TYPE.longRaw) writer.int(0, 0);
    }
  }
  return true;
}

function columnType(values: SqlValue[]): number {
  const value = values.find((other) => other !== null);
  if (typeof value === "number" || typeof value === "bigint") return TYPE.number;
  if (value instanceof Date) return TYPE.timestamp;
  const tooLong = values.some(
    (other) =>
      (typeof other === "string" || Buffer.isBuffer(other)) &&
      Buffer.byteLength(other) > MAX_STRING_BYTES,
  );
  if (Buffer.isBuffer(value)) return tooLong ? TYPE.blob : TYPE.raw;
  return tooLong ? TYPE.clob : TYPE.varchar;
}

function writeColumn(
  writer: Writer,
  name: string,
  type: number,
  size: number,
  position: number,
  fieldVersion: number,
): void {
  const isText = type === TYPE.varchar || type === TYPE.clob;
  writer
    .u8(type, 0, 0, type === TYPE.timestamp ? 6 : 0)
    .int(size, 0, 0) // maximum size, array elements, flags
    .int(0, 0, isText ? CHARSET_AL32UTF8 : 0) // object id, version, character set
    .u8(isText ? CSFRM_IMPLICIT : 0)
    .int(size);
  if (fieldVersion >= SINCE.sqlSignature) writer.int(0);
  writer.u8(1, 0).sizedText(name).int(0, 0).int(position, 0);
  if (fieldVersion >= SINCE.domain) writer.int(0, 0);
  if (fieldVersion >= SINCE.annotations) writer.int(0);
  if (fieldVersion >= SINCE.vector) writer.int(0).u8(0, 0);
}
