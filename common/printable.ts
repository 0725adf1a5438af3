/** Text of others on a terminal or in a log. */

/**
 * What a terminal obeys instead of showing it: C0 but line feed and tab, DEL, C1 (ECMA-48), and what
 * turns the direction of text around (UAX #9) or breaks lines.
 */
const OBEYED =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** The text with each such character written as `\uXXXX`, which means the same in a JSON string. */
export function printable(text: string): string {
  return text.replace(OBEYED, escaped);
}

/** The same on one line: line feeds and tabs are written so, too. */
export function printableLine(text: string): string {
  return printable(text).replace(/[\t\n]/g, escaped);
}
