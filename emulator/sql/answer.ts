/** Runs a statement's handler and encodes what the client waits for. */

import { OraError } from "../errors.ts";
import { Writer } from "../net/codec.ts";
import { MESSAGE, writeError } from "../net/ttc.ts";
import { TYPE } from "../net/values.ts";
import type { Session } from "../session.ts";
import type { Bind, ExecuteRequest } from "./execute.ts";
import { type Lobs, writeLob } from "./lobs.ts";
import { type Cells, writeDefinedRows, writeQuery } from "./rows.ts";
import type { StatementHandler, StatementResult } from "./statements.ts";
import { encodeValue, type SqlValue } from "./values.ts";

const DIRECTION = { out: 16, in: 32, inOut: 48 } as const;
const NO_DATA_FOUND = 1403;

export interface ExecuteContext {
  session: Session;
  signal: AbortSignal;
  fieldVersion: number;
  /** For a statement executed with autoCommit. */
  commit: () => void;
}

/** Runs the handler once per iteration. @throws whatever the handler throws */
export async function execute(
  request: ExecuteRequest,
  findHandler: () => StatementHandler,
  context: ExecuteContext,
): Promise<Buffer> {
  const { session, fieldVersion } = context;
  const writer = new Writer();
  const { shape } = request;
  let rowCount = 0;
  let error: OraError | undefined;
  if (shape.isQuery) {
    const cells = request.defines
      ? session.takeUndefinedRows(request.sql)
      : cellsOf((await run(request, findHandler(), context))[0]!);
    const complete = request.defines
      ? writeDefinedRows(writer, cells, request.defines, session.lobs)
      : writeQuery(writer, cells, fieldVersion);
    // Without this error the client would fetch on.
    if (complete) error = new OraError(NO_DATA_FOUND, "no data found");
    else session.keepUndefinedRows(request.sql, cells);
    rowCount = complete ? cells.rows.length : 0;
  } else {
    const results = await run(request, findHandler(), context);
    rowCount = results.reduce((sum, result) => sum + (result.rowsAffected ?? 0), 0);
    if (shape.isPlSql) writePlSqlOut(writer, request, results, session.lobs);
    else if (shape.returning.size > 0) writeReturning(writer, request, results, session.lobs);
  }
  if (request.commit) context.commit();
  const inTransaction = session.transaction.active;
  return writeError(writer, fieldVersion, { inTransaction, rowCount, error }).finish();
}

async function run(
  request: ExecuteRequest,
  handler: StatementHandler,
  { session, signal }: ExecuteContext,
): Promise<StatementResult[]> {
  const results: StatementResult[] = [];
  for (const binds of request.rows) {
    results.push((await handler({ sql: request.sql, session, binds, signal })) ?? {});
    signal.throwIfAborted();
  }
  return results;
}

function cellsOf(result: StatementResult): Cells {
  const given = result.rows ?? [];
  const first = given[0];
  const columns =
    result.columns ?? (first && !Array.isArray(first) ? Object.keys(first) : undefined);
  if (!columns) throw new TypeError("a query's handler must return rows as objects, or columns");
  const rows = given.map((row) =>
    columns.map((name, i) =>
      Array.isArray(row) ? (row[i] ?? null) : ((row as Record<string, SqlValue>)[name] ?? null),
    ),
  );
  return { columns, rows };
}

function outValue(
  result: StatementResult,
  name: string,
): SqlValue | undefined | (SqlValue | undefined)[] {
  if (!result.out) return undefined;
  const key = Object.keys(result.out).find((other) => other.toUpperCase() === name.toUpperCase());
  return key === undefined ? undefined : (result.out[key] ?? null);
}

function writePlSqlOut(
  writer: Writer,
  request: ExecuteRequest,
  results: StatementResult[],
  lobs: Lobs,
): void {
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
      if (bind.isArray) writeOutArray(writer, bind, Array.isArray(value) ? value : [], lobs);
      else writeOutValue(writer, bind, Array.isArray(value) ? null : value, lobs);
    }
  }
}

function writeReturning(
  writer: Writer,
  request: ExecuteRequest,
  results: StatementResult[],
  lobs: Lobs,
): void {
  for (const result of results) {
    writer.u8(MESSAGE.rowData);
    for (const bind of request.binds.filter((other) => other.returning)) {
      const value = outValue(result, bind.name);
      writeOutArray(
        writer,
        bind,
        Array.isArray(value) ? value : value === undefined ? [] : [value],
        lobs,
      );
    }
  }
}

function writeOutArray(
  writer: Writer,
  bind: Bind,
  values: readonly (SqlValue | undefined)[],
  lobs: Lobs,
): void {
  writer.int(values.length);
  for (const value of values) writeOutValue(writer, bind, value ?? null, lobs);
}

/** An out value is followed by its length before truncation; 0: it fits. */
function writeOutValue(writer: Writer, bind: Bind, value: SqlValue, lobs: Lobs): void {
  if (bind.type === TYPE.clob || bind.type === TYPE.blob) {
    writeLob(writer, value === null || Buffer.isBuffer(value) ? value : String(value), lobs);
    writer.int(0);
    return;
  }
  const bytes = encodeValue(value, bind);
  const isText = bind.type === TYPE.varchar || bind.type === TYPE.char;
  if (bytes && (isText || bind.type === TYPE.raw) && bytes.length > bind.maxSize) {
    throw new OraError(
      6502,
      `PL/SQL: value or conversion error: character string buffer too small (bind :${bind.name} holds ${bind.maxSize} bytes)`,
    );
  }
  writer.bytes(bytes).int(0);
}
