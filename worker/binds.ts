/** How numbers, texts and lists of them are bound to a PL/SQL call. Long text travels in pieces. */
import oracledb from "oracledb";

/** Pieces per array of text; each holds at most 8,000 characters (docs/worker-api.md). */
const MAX_PIECES = 32;
const PIECE_CHARS = 8000;
/** The most bytes of one piece, the largest VARCHAR2 of PL/SQL. */
export const PIECE_BYTES = 32_767;

const { BIND_IN, BIND_OUT, NUMBER, STRING } = oracledb;
export const outNumber = { dir: BIND_OUT, type: NUMBER };
/** A text of at most `maxSize` bytes; a longer one is an error of the driver. */
export const outText = (maxSize: number) => ({ dir: BIND_OUT, type: STRING, maxSize });
/** At most `maxArraySize` texts of at most `maxSize` bytes each. */
export const outTexts = (maxSize: number, maxArraySize: number) => ({
  dir: BIND_OUT,
  type: STRING,
  maxSize,
  maxArraySize,
});
export const outPieces = outTexts(PIECE_BYTES, MAX_PIECES);

export const inTexts = (val: readonly (string | null)[], maxSize: number) => ({
  dir: BIND_IN,
  type: STRING,
  maxSize,
  val: [...val],
});

export const inNumbers = (val: readonly number[]) => ({
  dir: BIND_IN,
  type: NUMBER,
  val: [...val],
});

/** Cuts text into pieces of at most 8,000 characters, never inside a surrogate pair. */
export function toPieces(text: string): string[] {
  const pieces: string[] = [];
  for (let start = 0; start < text.length; ) {
    let end = Math.min(start + PIECE_CHARS, text.length);
    const last = text.charCodeAt(end - 1);
    if (end < text.length && last >= 0xd800 && last <= 0xdbff) end--;
    pieces.push(text.slice(start, end));
    start = end;
  }
  return pieces;
}
