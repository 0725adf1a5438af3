/** Values as PL/SQL text. Exports are ASCII, so that no client's character set can change them. */

/** Longest line written, well below the 2,499 characters that SQL*Plus takes. */
const MAX_LINE = 250;

function checkAscii(text: string): void {
  const found = /[^\n\x20-\x7e]/.exec(text);
  if (found) {
    throw new Error(`exports are ASCII, but there is ${JSON.stringify(found[0])} in: ${text}`);
  }
}

/** One line of text. */
export function quoted(text: string): string {
  checkAscii(text);
  const inner = text.replaceAll("'", "''");
  if (inner.length <= MAX_LINE) return `'${inner}'`;
  const pieces = text.match(new RegExp(`.{1,${MAX_LINE / 2}}`, "g")) ?? [];
  return pieces.map((piece) => `'${piece.replaceAll("'", "''")}'`).join("||\n");
}

/** Text of any number of lines: a literal, or the lines joined by a line feed. */
export function text(value: string): string {
  const lines = value.split("\n");
  if (lines.length === 1) return quoted(value);
  return `wwv_flow_string.join(wwv_flow_t_varchar2(\n${lines.map(quoted).join(",\n")}))`;
}

/** `begin package.procedure( … ); end;` without the block: named arguments, one a line. */
export function call(
  procedure: string,
  args: Readonly<Record<string, string | undefined>>,
): string {
  const given = Object.entries(args).filter(([, value]) => value !== undefined);
  const lines = given.map(([name, value]) => `${name}=>${value}`);
  return `${procedure}(\n ${lines.join("\n,")}\n);`;
}

export function block(...statements: string[]): string {
  return `begin\n${statements.join("\n")}\nend;\n/`;
}
