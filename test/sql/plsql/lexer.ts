/** Tokens of PL/SQL: enough to find calls, declarations and SQL statements. */

export interface Token {
  readonly kind: "name" | "string" | "number" | "symbol";
  /** Names in lower case (quoted ones too), strings without their quotes. */
  readonly text: string;
  readonly line: number;
}

const CLOSERS: Readonly<Record<string, string>> = { "[": "]", "(": ")", "{": "}", "<": ">" };

const PATTERN =
  /(?<space>\s+)|(?<comment>--[^\n]*|\/\*[\s\S]*?\*\/)|(?<quoted>n?q'(?<open>\S))|(?<text>'(?:[^']|'')*')|(?<name>[a-z][\w$#]*|"[^"]+")|(?<number>\d+(?:\.\d+)?)|(?<symbol>=>|:=|\|\||<>|<=|>=|\.\.|.)/giy;

export function tokens(source: string): Token[] {
  const found: Token[] = [];
  const pattern = new RegExp(PATTERN);
  let line = 1;
  const add = (kind: Token["kind"], text: string) => found.push({ kind, text, line });
  while (pattern.lastIndex < source.length) {
    const start = pattern.lastIndex;
    const groups = pattern.exec(source)?.groups;
    if (groups === undefined) throw new Error(`line ${line}: not understood`);
    if (groups.quoted !== undefined) {
      const open = groups.open as string;
      const end = source.indexOf(`${CLOSERS[open] ?? open}'`, pattern.lastIndex);
      if (end < 0) throw new Error(`line ${line}: q-quote without an end`);
      add("string", source.slice(pattern.lastIndex, end));
      pattern.lastIndex = end + 2;
    } else if (groups.text !== undefined) {
      add("string", groups.text.slice(1, -1).replaceAll("''", "'"));
    } else if (groups.name !== undefined) {
      add("name", groups.name.replaceAll('"', "").toLowerCase());
    } else if (groups.number !== undefined) {
      add("number", groups.number);
    } else if (groups.symbol !== undefined) {
      add("symbol", groups.symbol);
    }
    line += source.slice(start, pattern.lastIndex).split("\n").length - 1;
  }
  return found;
}

/** Index of the parenthesis that closes the one at `open`. */
export function closing(list: readonly Token[], open: number): number {
  let depth = 0;
  for (let i = open; i < list.length; i++) {
    if (list[i]?.kind !== "symbol") continue;
    if (list[i]?.text === "(") depth++;
    if (list[i]?.text === ")" && --depth === 0) return i;
  }
  throw new Error(`line ${list[open]?.line}: parenthesis without an end`);
}

/** What stands between two parentheses, cut at its commas. */
export function parts(list: readonly Token[], open: number, close: number): Token[][] {
  if (close === open + 1) return [];
  const found: Token[][] = [[]];
  for (let i = open + 1; i < close; i++) {
    const token = list[i] as Token;
    if (token.kind === "symbol" && token.text === "(") {
      const end = closing(list, i);
      found.at(-1)?.push(...list.slice(i, end + 1));
      i = end;
    } else if (token.kind === "symbol" && token.text === ",") {
      found.push([]);
    } else {
      found.at(-1)?.push(token);
    }
  }
  return found;
}
