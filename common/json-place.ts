/** Where a text stops being JSON. `JSON.parse` of Node 20 does not tell, and quotes the text around. */

const SPACE = /[ \t\r\n]*/y;
const STRING = /"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy;
const OTHER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

class Unexpected extends Error {}

/** Line and column of the first thing that cannot be there, counted from 1, and what it is. */
export function jsonProblem(text: string): string {
  let at = 0;
  const match = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at += found[0].length;
    return found !== null;
  };
  const peek = (): string | undefined => {
    match(SPACE);
    return text[at];
  };
  const take = (wanted: string): void => {
    if (peek() !== wanted) throw new Unexpected();
    at++;
  };
  const list = (end: string, item: () => void): void => {
    at++;
    if (peek() !== end) {
      item();
      while (peek() === ",") {
        at++;
        item();
      }
    }
    take(end);
  };
  const name = (): void => {
    peek();
    if (!match(STRING)) throw new Unexpected();
    take(":");
    value();
  };
  const value = (): void => {
    const next = peek();
    if (next === "{") list("}", name);
    else if (next === "[") list("]", value);
    else if (!match(STRING) && !match(OTHER)) throw new Unexpected();
  };
  try {
    value();
    peek();
  } catch (error) {
    if (!(error instanceof Unexpected)) throw error;
  }
  const lines = text.slice(0, at).split("\n");
  const found = text[at];
  const what = found === undefined ? "the text ends here" : `unexpected ${JSON.stringify(found)}`;
  return `line ${lines.length}, column ${lines.at(-1)!.length + 1}: ${what}`;
}
