/** The execute call (94) on the wire. */

import { OraError, ora } from "../errors.ts";
import { type Reader, WireError } from "../net/codec.ts";
import { SINCE } from "../net/profiles.ts";
import { MESSAGE } from "../net/ttc.ts";
import type { Lobs } from "./lobs.ts";
import { type StatementShape, shapeOf } from "./statement-shape.ts";
import { readValue, type SqlValue, type WireType } from "./values.ts";

const OPTION = { commit: 0x100, define: 0x10 } as const;
const BIND_ARRAY = 0x40;
const CSFRM_NCHAR = 2;
const MAX_STRING_BYTES = 32_767;

export interface Bind extends WireType {
  readonly name: string;
  readonly isArray: boolean;
  /** Bytes. */
  readonly maxSize: number;
  readonly returning: boolean;
}

export interface ExecuteRequest {
  sql: string;
  shape: StatementShape;
  binds: Bind[];
  /** One per iteration: at least one. */
  rows: Record<string, SqlValue | SqlValue[]>[];
  commit: boolean;
  /** The second call of a query with LOB columns: the data types the client wants. */
  defines?: number[];
}

export function readExecute(reader: Reader, fieldVersion: number, lobs: Lobs): ExecuteRequest {
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
  const defineCount = reader.int();
  reader.int();
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
  if (cursorId !== 0) throw ora.unsupported("server-side cursors");
  const sql = reader.text();
  reader.int();
  const executions = reader.int();
  reader.skipInts(11);
  const shape = shapeOf(sql);
  if (options & OPTION.define) {
    const defines = Array.from(
      { length: defineCount },
      () => readBind(reader, fieldVersion, "", false).type,
    );
    return { sql, shape, binds: [], rows: [], commit: false, defines };
  }
  if (bindCount > 0 && bindCount !== shape.bindNames.length) {
    throw new OraError(1008, "not all variables bound");
  }
  const binds = shape.bindNames
    .slice(0, bindCount)
    .map((name, i) => readBind(reader, fieldVersion, name, shape.returning.has(i)));
  const rows: ExecuteRequest["rows"] = [];
  while (reader.remaining > 0) {
    if (reader.u8() !== MESSAGE.rowData) throw new WireError("bind values without a row marker");
    rows.push(readRow(reader, binds, shape, lobs));
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
  return { name, type, isArray, maxSize, nchar: csfrm === CSFRM_NCHAR, returning };
}

function readRow(
  reader: Reader,
  binds: Bind[],
  shape: StatementShape,
  lobs: Lobs,
): ExecuteRequest["rows"][0] {
  const row: ExecuteRequest["rows"][0] = {};
  // In SQL (not PL/SQL) values longer than a VARCHAR2 come after the others.
  const isLate = (bind: Bind) => !shape.isPlSql && bind.maxSize > MAX_STRING_BYTES;
  const order = [...binds.filter((bind) => !isLate(bind)), ...binds.filter(isLate)];
  for (const bind of binds) if (bind.returning) row[bind.name] = null;
  for (const bind of order) {
    if (bind.returning) continue;
    if (!bind.isArray) {
      row[bind.name] = readValue(reader, bind, lobs);
      continue;
    }
    const values: SqlValue[] = [];
    const count = reader.int();
    for (let i = 0; i < count; i++) values.push(readValue(reader, bind, lobs));
    row[bind.name] = values;
  }
  return row;
}
