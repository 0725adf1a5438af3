/** Function headers, piggybacks, status and error messages: what all calls share. */

import type { OraError } from "../errors.ts";
import { type Reader, WireError, Writer } from "./codec.ts";
import { SINCE } from "./profiles.ts";

export const MESSAGE = {
  protocol: 1,
  dataTypes: 2,
  function: 3,
  error: 4,
  rowData: 7,
  parameter: 8,
  status: 9,
  ioVector: 11,
  lobData: 14,
  describe: 16,
  piggyback: 17,
  fastAuth: 34,
} as const;

export const FUNCTION = {
  reexecute: 4,
  fetch: 5,
  logoff: 9,
  commit: 14,
  rollback: 15,
  reexecuteAndFetch: 78,
  execute: 94,
  lobOperation: 96,
  closeCursors: 105,
  authPhaseTwo: 115,
  authPhaseOne: 118,
  cancelCursors: 120,
  enqueue: 121,
  dequeue: 122,
  subscribe: 125,
  endToEnd: 135,
  aqArray: 145,
  ping: 147,
  setSchema: 152,
  appContext: 154,
  notify: 187,
  pipelineBegin: 199,
  pipelineEnd: 200,
} as const;

/** What the application says of itself, as V$SESSION shows it. */
export interface SessionAttributes {
  module: string;
  action: string;
  clientId: string;
  clientInfo: string;
  dbOp: string;
  ecid: string;
  currentSchema: string;
}

/** One request: piggybacks applied, the reader stands at the function's arguments. */
export interface Call {
  function: number;
  reader: Reader;
  attributes: Partial<SessionAttributes>;
  /** Locators of temporary LOBs that the client no longer needs, one after the other. */
  freedLobs: Buffer[];
}

export function readCall(reader: Reader, fieldVersion: number): Call {
  const attributes: Partial<SessionAttributes> = {};
  const freedLobs: Buffer[] = [];
  for (;;) {
    const type = reader.u8();
    if (type !== MESSAGE.function && type !== MESSAGE.piggyback) {
      throw new WireError(`message type ${type} is not known to the emulator`);
    }
    const code = reader.u8();
    reader.u8(); // sequence number
    if (fieldVersion >= SINCE.token) reader.int();
    if (type === MESSAGE.function) return { function: code, reader, attributes, freedLobs };
    readPiggyback(code, reader, attributes, freedLobs);
  }
}

/** Piggybacks carry no length: one that is not understood makes the rest unreadable. */
function readPiggyback(
  code: number,
  reader: Reader,
  attributes: Partial<SessionAttributes>,
  freedLobs: Buffer[],
): void {
  switch (code) {
    case FUNCTION.closeCursors:
    case FUNCTION.cancelCursors: {
      reader.u8();
      reader.skipInts(reader.int());
      return;
    }
    case FUNCTION.endToEnd:
      readEndToEnd(reader, attributes);
      return;
    case FUNCTION.setSchema:
      reader.u8();
      reader.int();
      attributes.currentSchema = reader.text();
      return;
    case FUNCTION.appContext: {
      if (reader.u8()) reader.int();
      reader.u8();
      const count = reader.int();
      reader.int();
      reader.u8();
      reader.bytes();
      for (let i = 0; i < count; i++) {
        reader.sizedBytes();
        reader.sizedBytes();
        reader.int();
      }
      return;
    }
    case FUNCTION.lobOperation:
      freedLobs.push(readFreeTemporaryLobs(reader));
      return;
    case FUNCTION.pipelineBegin:
      reader.int();
      reader.skip(2);
      return;
    default:
      throw new WireError(`piggyback ${code} is not known to the emulator`);
  }
}

function readEndToEnd(reader: Reader, attributes: Partial<SessionAttributes>): void {
  reader.skip(2);
  reader.int(); // flags: the pointers below say the same
  const pending: [keyof SessionAttributes, number][] = [];
  const announce = (name: keyof SessionAttributes) => {
    const changed = reader.u8();
    const length = reader.int();
    if (changed) pending.push([name, length]);
  };
  announce("clientId");
  announce("module");
  announce("action");
  announce("ecid");
  reader.u8();
  reader.int();
  announce("clientInfo");
  reader.u8();
  reader.int();
  reader.u8();
  reader.int();
  announce("dbOp");
  for (const [name, length] of pending) attributes[name] = length > 0 ? reader.text() : "";
}

function readFreeTemporaryLobs(reader: Reader): Buffer {
  reader.u8();
  const bytes = reader.int();
  reader.u8();
  reader.skipInts(3);
  reader.skip(3);
  reader.int();
  reader.u8();
  reader.skipInts(3);
  reader.u8();
  for (let i = 0; i < 3; i++) {
    reader.u8();
    reader.int();
  }
  return reader.raw(bytes);
}

const TRANSACTION_IN_PROGRESS = 0x2;

/** The driver decides by this bit whether `close()` rolls back first. */
function callStatus(inTransaction: boolean): number {
  return inTransaction ? TRANSACTION_IN_PROGRESS : 0;
}

export function writeStatus(writer: Writer, inTransaction: boolean): Writer {
  return writer.u8(MESSAGE.status).int(callStatus(inTransaction), 0);
}

export function statusAnswer(inTransaction: boolean): Buffer {
  return writeStatus(new Writer(), inTransaction).finish();
}

export interface ErrorInfo {
  inTransaction: boolean;
  rowCount?: number;
  cursorId?: number;
  /** Absent: the call succeeded, and this message carries its row count. */
  error?: OraError | undefined;
}

export function writeError(writer: Writer, fieldVersion: number, info: ErrorInfo): Writer {
  const { error, rowCount = 0, cursorId = 0 } = info;
  const number = error?.number ?? 0;
  writer
    .u8(MESSAGE.error)
    .int(callStatus(info.inTransaction), 0, rowCount, number % 65_536, 0, 0, cursorId, 0)
    .u8(0, 0, 0, 0, 0, 0)
    .int(0, 0)
    .u8(0)
    .int(0, 0) // rowid
    .int(0)
    .u8(0, 0)
    .int(0, 0, 0)
    .int(0, 0, 0) // batch errors
    .int(number, rowCount);
  if (fieldVersion >= SINCE.errorTail) writer.int(0, 0);
  if (error) writer.text(`${error.message}\n`);
  return writer;
}

export function errorAnswer(fieldVersion: number, info: ErrorInfo): Buffer {
  return writeError(new Writer(), fieldVersion, info).finish();
}
