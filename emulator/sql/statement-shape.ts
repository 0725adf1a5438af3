/** What a statement's text tells about the values that travel with it. */

/** What the driver derives from a statement's text, and so must the server. */
export interface StatementShape {
  isPlSql: boolean;
  isQuery: boolean;
  /** One entry per value on the wire: PL/SQL sends a repeated name once, SQL each time. */
  bindNames: string[];
  /** Positions in `bindNames` that follow RETURNING ... INTO. */
  returning: Set<number>;
}

// Literals (q-quoted too) and comments first, so that nothing inside them counts.
const TOKEN =
  /(?<text>[qQ]'(?:\[[\s\S]*?\]|\{[\s\S]*?\}|\([\s\S]*?\)|<[\s\S]*?>|(?<quote>\S)[\s\S]*?\k<quote>)'|'(?:[^']|'')*')|(?<comment>--[^\n]*|\/\*[\s\S]*?\*\/)|:\s*(?<bind>"[^"]+"|[\p{L}\d][\p{L}\d_$#]*)|(?<word>"[^"]*"|[\p{L}][\p{L}\d_$#]*)|\S/gu;

export function shapeOf(sql: string): StatementShape {
  const shape: StatementShape = {
    isPlSql: false,
    isQuery: false,
    bindNames: [],
    returning: new Set(),
  };
  let first = true;
  let returning = false;
  let into = false;
  let afterText = false;
  for (const match of sql.matchAll(TOKEN)) {
    const { text, comment, bind, word } = match.groups!;
    if (comment !== undefined) continue;
    // 'key':value is JSON syntax, not a bind.
    if (bind !== undefined && !afterText) {
      const name = bind.startsWith('"') ? bind.slice(1, -1) : bind.toUpperCase();
      if (!shape.isPlSql || !shape.bindNames.includes(name)) {
        if (into) shape.returning.add(shape.bindNames.length);
        shape.bindNames.push(name);
      }
    }
    afterText = text !== undefined;
    if (word === undefined) continue;
    const keyword = word.toUpperCase();
    if (first) {
      shape.isPlSql = ["BEGIN", "DECLARE", "CALL"].includes(keyword);
      shape.isQuery = ["SELECT", "WITH"].includes(keyword);
      first = false;
    } else if (!shape.isPlSql && !shape.isQuery) {
      if (keyword === "RETURNING" || keyword === "RETURN") returning = true;
      else if (returning && keyword === "INTO") into = true;
    }
  }
  return shape;
}
