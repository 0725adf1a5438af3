/**
 * Finds the raw text of members in JSON text that `JSON.parse` has accepted, so that a payload
 * travels as it was written: parsing and printing it again would round long numbers.
 */
import { MAX_DEPTH } from "../contract/message.ts";

const SPACE = /[ \t\n\r]*/y;
const SCALAR = /[^ \t\n\r,\]}]*/y;

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

function skipSpace(text: string, from: number): number {
  SPACE.lastIndex = from;
  SPACE.exec(text);
  return SPACE.lastIndex;
}

/** The position after the string that begins at `from`; 0 when it does not end. */
function skipString(text: string, from: number): number {
  for (let quote = text.indexOf('"', from + 1); ; quote = text.indexOf('"', quote + 1)) {
    if (quote < 0) return 0;
    let slashes = 0;
    while (text[quote - 1 - slashes] === "\\") slashes++;
    if (slashes % 2 === 0) return quote + 1;
  }
}

/** The position after the value that begins at `from`. */
function skipValue(text: string, from: number): number {
  const first = text[from];
  if (first === '"') return skipString(text, from);
  if (first !== "{" && first !== "[") {
    SCALAR.lastIndex = from;
    SCALAR.exec(text);
    return SCALAR.lastIndex;
  }
  let depth = 0;
  let at = from;
  do {
    const character = text.charCodeAt(at);
    if (character === QUOTE) {
      at = skipString(text, at);
      continue;
    }
    if (character === OPEN_OBJECT || character === OPEN_LIST) depth++;
    else if (character === CLOSE_OBJECT || character === CLOSE_LIST) depth--;
    at++;
  } while (depth > 0);
  return at;
}

/**
 * The text itself, or that of each element when it is a list, cut without parsing: each can be parsed
 * alone, and the whole is JSON when all of them are.
 * @param text anything
 * @returns undefined when it can be neither, or is nested deeper than `MAX_DEPTH`
 */
export function splitItems(text: string): string[] | undefined {
  const first = skipSpace(text, 0);
  const list = text.charCodeAt(first) === OPEN_LIST;
  const items: string[] = [];
  let from = first + 1;
  let depth = 0;
  for (let at = first; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === QUOTE) {
      const end = skipString(text, at);
      if (end === 0) return undefined;
      at = end - 1;
    } else if (character === OPEN_OBJECT || character === OPEN_LIST) {
      if (++depth > MAX_DEPTH) return undefined;
    } else if (character === CLOSE_OBJECT || character === CLOSE_LIST) {
      depth--;
      if (depth > 0 || !list) continue;
      if (character !== CLOSE_LIST || skipSpace(text, at + 1) !== text.length) return undefined;
      const last = text.slice(from, at);
      if (items.length > 0 || skipSpace(last, 0) < last.length) items.push(last);
      return items;
    } else if (character === COMMA && depth === 1 && list) {
      items.push(text.slice(from, at));
      from = at + 1;
    }
  }
  return list ? undefined : [text];
}

function keyOf(raw: string): string {
  return raw.includes("\\") ? (JSON.parse(raw) as string) : raw.slice(1, -1);
}

/** The raw text of `member` in the object that begins at `from`, and the position after it. */
function memberOfObject(
  text: string,
  from: number,
  member: string,
): { raw: string | undefined; end: number } {
  let raw: string | undefined;
  let at = skipSpace(text, from + 1);
  while (text[at] !== "}") {
    if (text[at] === ",") at = skipSpace(text, at + 1);
    const keyEnd = skipString(text, at);
    const key = keyOf(text.slice(at, keyEnd));
    const start = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const end = skipValue(text, start);
    // As with JSON.parse, the last of several members of one name counts.
    if (key === member) raw = text.slice(start, end);
    at = skipSpace(text, end);
  }
  return { raw, end: at + 1 };
}

/**
 * The raw text of `member` of the object, or of each object of the array, that `text` holds.
 * @param text JSON text of an object or of an array of objects, accepted by `JSON.parse`
 */
export function rawMember(text: string, member: string): (string | undefined)[] {
  let at = skipSpace(text, 0);
  if (text[at] === "{") return [memberOfObject(text, at, member).raw];
  const found: (string | undefined)[] = [];
  at = skipSpace(text, at + 1);
  while (text[at] !== "]") {
    if (text[at] === ",") at = skipSpace(text, at + 1);
    const { raw, end } = memberOfObject(text, at, member);
    found.push(raw);
    at = skipSpace(text, end);
  }
  return found;
}

/** The raw text of each element of the array that `text` holds. @param text accepted by `JSON.parse` */
export function rawElements(text: string): string[] {
  const found: string[] = [];
  let at = skipSpace(text, skipSpace(text, 0) + 1);
  while (text[at] !== "]") {
    if (text[at] === ",") at = skipSpace(text, at + 1);
    const end = skipValue(text, at);
    found.push(text.slice(at, end));
    at = skipSpace(text, end);
  }
  return found;
}
