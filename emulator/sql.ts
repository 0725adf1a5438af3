/** Execute (94) on the wire: binds in, rows and out values back. */
import { type Reader, WireError, Writer } from "./codec.ts";
import { OraError, ora } from "./errors.ts";
import { decodeJson } from "./json.ts";
import { SINCE } from "./profiles.ts";
import type { Session } from "./session.ts";
import {
  type SqlValue,
  type StatementHandler,
  type StatementResult,
  type StatementShape,
  shapeOf,
} from "./statements.ts";
import { MESSAGE, writeError } from "./ttc.ts";
import {
  decodeDate,
  decodeFloat,
  decodeNumber,
  encodeDate,
  encodeFloat,
  encodeNumber,
  TYPE,
} from "./values.ts";

const OPTION = { commit: 0x100, define: 0x10 } as const;
const BIND_ARRAY = 0x40;
const DIRECTION = { out: 16, in: 32, inOut: 48 } as const;
const CHARSET_AL32UTF8 = 873;
const CSFRM = { implicit: 1, nchar: 2 } as const;
const MAX_STRING_BYTES = 32_767;
const NO_DATA_FOUND = 1403;

interface Bind {
  name: string;
  type: number;
  isArray: boolean;
  maxSize: number;
  nchar: boolean;
  returning: boolean;
}

export interface ExecuteRequest {
  sql: string;
  shape: StatementShape;
  binds: Bind[];
  /** One per iteration: at least one. */
  rows: Record<string, SqlValue | SqlValue[]>[];
  commit: boolean;
}

export function readExecute(reader: Reader, fieldVersion: number): ExecuteRequest {
  const options = reader.int();
  const cursorId = reader.int();
  reader.u8();
  reader.int();
  reader.u8();
  reader.int();
  reader.skip(3);
  reader.skipInts(2);
  reader.u8();
  const bindCount = reader.int();
  reader.skip(6);
  reader.skipInts(2);
  reader.skip(3);
  reader.int();
  reader.u8();
  reader.skipInts(2);
  reader.u8();
  reader.int();
  reader.u8();
  if (fieldVersion >= SINCE.sqlSignature) {
    reader.u8();
    reader.int();
    reader.u8();
    reader.int();
    reader.u8();
  }
  if (fieldVersion >= SINCE.chunkIds) {
    reader.u8();
    reader.int();
  }
  if (cursorId !== 0 || options & OPTION.define) throw ora.unsupported("server-side cursors");
  const sql = reader.text();
  reader.int();
  const executions = reader.int();
  reader.skipInts(11);
  const shape = shapeOf(sql);
  if (bindCount > 0 && bindCount !== shape.bindNames.length) {
    throw new OraError(1008, "not all variables bound");
  }
  const binds = shape.bindNames
    .slice(0, bindCount)
    .map((name, i) => readBind(reader, fieldVersion, name, shape.returning.has(i)));
  const rows: ExecuteRequest["rows"] = [];
  while (reader.remaining > 0) {
    if (reader.u8() !== MESSAGE.rowData) throw new WireError("bind values without a row marker");
    rows.push(readRow(reader, binds, shape));
  }
  while (rows.length < Math.max(executions, 1)) {
    rows.push(Object.fromEntries(binds.map((bind) => [bind.name, bind.isArray ? [] : null])));
  }
  return { sql, shape, binds, rows, commit: (options & OPTION.commit) !== 0 };
}

function readBind(reader: Reader, fieldVersion: number, name: string, returning: boolean): Bind {
  const type = reader.u8();
  const flags = reader.u8();
  reader.skip(2);
  const maxSize = reader.int();
  reader.skipInts(2);
  reader.sizedBytes();
  reader.skipInts(2);
  const csfrm = reader.u8();
  reader.int();
  if (fieldVersion >= SINCE.sqlSignature) reader.int();
  const isArray = (flags & BIND_ARRAY) !== 0;
  return { name, type, isArray, maxSize, nchar: csfrm === CSFRM.nchar, returning };
}

function readRow(reader: Reader, binds: Bind[], shape: StatementShape): ExecuteRequest["rows"][0] {
  const row: ExecuteRequest["rows"][0] = {};
  // In SQL (not PL/SQL) values longer than a VARCHAR2 come after the others.
  const isLate = (bind: Bind) => !shape.isPlSql && bind.maxSize > MAX_STRING_BYTES;
  const order = [...binds.filter((bind) => !isLate(bind)), ...binds.filter(isLate)];
  for (const bind of binds) if (bind.returning) row[bind.name] = null;
  for (const bind of order) {
    if (bind.returning) continue;
    if (!bind.isArray) {
      row[bind.name] = readValue(reader, bind);
      continue;
    }
    const values: SqlValue[] = [];
    const count = reader.int();
    for (let i = 0; i < count; i++) values.push(readValue(reader, bind));
    row[bind.name] = values;
  }
  return row;
}

function readValue(reader: Reader, bind: Bind): SqlValue {
  switch (bind.type) {
    case TYPE.cursor:
      reader.skipInts(2);
      return null;
    case TYPE.clob:
    case TYPE.blob:
      if (reader.sizedBytes() !== null) throw ora.unsupported("LOB binds");
      return null;
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

export interface ExecuteContext {
  session: Session;
  signal: AbortSignal;
  fieldVersion: number;
  /** For a statement executed with autoCommit. */
  commit: () => void;
}

/** Runs the handler once per iteration and encodes what the client waits for. */
export async function execute(
  request: ExecuteRequest,
  handler: StatementHandler,
  context: ExecuteContext,
): Promise<Buffer> {
  const { session, signal, fieldVersion } = context;
  const results: StatementResult[] = [];
  for (const binds of request.rows) {
    results.push((await handler({ sql: request.sql, session, binds, signal })) ?? {});
    signal.throwIfAborted();
  }
  const writer = new Writer();
  const { shape } = request;
  let error: OraError | undefined;
  let rowCount = results.reduce((sum, result) => sum + (result.rowsAffected ?? 0), 0);
  if (shape.isQuery) {
    rowCount = writeRows(writer, results[0]!, fieldVersion);
    error = new OraError(NO_DATA_FOUND, "no data found");
  } else if (shape.isPlSql) {
    writePlSqlOut(writer, request, results);
  } else if (shape.returning.size > 0) {
    writeReturning(writer, request, results);
  }
  if (request.commit) context.commit();
  const inTransaction = session.transaction.active;
  return writeError(writer, fieldVersion, { inTransaction, rowCount, error }).finish();
}

function outValue(
  result: StatementResult,
  name: string,
): SqlValue | undefined | (SqlValue | undefined)[] {
  if (!result.out) return undefined;
  const key = Object.keys(result.out).find((other) => other.toUpperCase() === name.toUpperCase());
  return key === undefined ? undefined : (result.out[key] ?? null);
}

function writePlSqlOut(writer: Writer, request: ExecuteRequest, results: StatementResult[]): void {
  const { binds } = request;
  if (binds.length === 0) return;
  const isOut = binds.map((bind) =>
    results.some((result) => outValue(result, bind.name) !== undefined),
  );
  writer.u8(MESSAGE.ioVector, 0).int(binds.length, 0, 1, 0, 0, 0);
  for (const [i, bind] of binds.entries()) {
    const sent = request.rows[0]![bind.name];
    const empty = sent === null || (Array.isArray(sent) && sent.length === 0);
    writer.u8(!isOut[i] ? DIRECTION.in : empty ? DIRECTION.out : DIRECTION.inOut);
  }
  const outs = binds.filter((_, i) => isOut[i]);
  if (outs.length === 0) return;
  for (const result of results) {
    writer.u8(MESSAGE.rowData);
    for (const bind of outs) {
      const value = outValue(result, bind.name) ?? null;
      if (bind.isArray) writeOutArray(writer, bind, Array.isArray(value) ? value : []);
      else writeOutValue(writer, bind, Array.isArray(value) ? null : value);
    }
  }
}

function writeReturning(writer: Writer, request: ExecuteRequest, results: StatementResult[]): void {
  for (const result of results) {
    writer.u8(MESSAGE.rowData);
    for (const bind of request.binds.filter((other) => other.returning)) {
      const value = outValue(result, bind.name);
      writeOutArray(
        writer,
        bind,
        Array.isArray(value) ? value : value === undefined ? [] : [value],
      );
    }
  }
}

function writeOutArray(
  writer: Writer,
  bind: Bind,
  values: readonly (SqlValue | undefined)[],
): void {
  writer.int(values.length);
  for (const value of values) writeOutValue(writer, bind, value ?? null);
}

/** An out value is followed by its length before truncation; 0: it fits. */
function writeOutValue(writer: Writer, bind: Bind, value: SqlValue): void {
  const bytes = encodeValue(value, bind.type, bind.nchar);
  const isText = bind.type === TYPE.varchar || bind.type === TYPE.char;
  if (bytes && (isText || bind.type === TYPE.raw) && bytes.length > bind.maxSize) {
    throw new OraError(
      6502,
      `PL/SQL: value or conversion error: character string buffer too small (bind :${bind.name} holds ${bind.maxSize} bytes)`,
    );
  }
  writer.bytes(bytes).int(0);
}

function encodeValue(value: SqlValue, type: number, nchar = false): Buffer | null {
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

/** All rows at once and "no more rows": so the client never has to fetch or to close a cursor. */
function writeRows(writer: Writer, result: StatementResult, fieldVersion: number): number {
  const rows = result.rows ?? [];
  const first = rows[0];
  const columns =
    result.columns ?? (first && !Array.isArray(first) ? Object.keys(first) : undefined);
  if (!columns) throw new TypeError("a query's handler must return rows as objects, or columns");
  const cells = rows.map((row) =>
    Array.isArray(row)
      ? (row as readonly SqlValue[])
      : columns.map((name) => (row as Record<string, SqlValue>)[name] ?? null),
  );
  const types = columns.map((_, i) => columnType(cells.map((row) => row[i] ?? null)));
  const encoded = cells.map((row) => types.map((type, i) => encodeValue(row[i] ?? null, type)));
  writer.u8(MESSAGE.describe, 0).int(0, columns.length);
  if (columns.length > 0) writer.u8(0);
  for (const [i, name] of columns.entries()) {
    const size = encoded.reduce((max, row) => Math.max(max, row[i]?.length ?? 0), 1);
    if (size > MAX_STRING_BYTES) throw ora.unsupported("column values above 32,767 bytes");
    writeColumn(writer, name.toUpperCase(), types[i]!, size, i + 1, fieldVersion);
  }
  writer.int(0, 0, 0, 0, 0, 0);
  for (const row of encoded) {
    writer.u8(MESSAGE.rowData);
    for (const cell of row) writer.bytes(cell);
  }
  return rows.length;
}

function columnType(values: SqlValue[]): number {
  const value = values.find((other) => other !== null);
  if (typeof value === "number" || typeof value === "bigint") return TYPE.number;
  if (value instanceof Date) return TYPE.timestamp;
  if (value instanceof Uint8Array) return TYPE.raw;
  return TYPE.varchar;
}

function writeColumn(
  writer: Writer,
  name: string,
  type: number,
  size: number,
  position: number,
  fieldVersion: number,
): void {
  const isText = type === TYPE.varchar;
  writer
    .u8(type, 0, 0, type === TYPE.timestamp ? 6 : 0)
    .int(size, 0, 0) // maximum size, array elements, flags
    .int(0, 0, isText ? CHARSET_AL32UTF8 : 0) // object id, version, character set
    .u8(isText ? CSFRM.implicit : 0)
    .int(size);
  if (fieldVersion >= SINCE.sqlSignature) writer.int(0);
  writer.u8(1, 0).sizedText(name).int(0, 0).int(position, 0);
  if (fieldVersion >= SINCE.domain) writer.int(0, 0);
  if (fieldVersion >= SINCE.annotations) writer.int(0);
  if (fieldVersion >= SINCE.vector) writer.int(0).u8(0, 0);
}
