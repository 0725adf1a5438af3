/** Calls in PL/SQL text, with the parameters they name. Enough for our own, formatted sources. */

export interface PlsqlCall {
  readonly name: string;
  /** Parameters given by name. */
  readonly named: readonly string[];
  /** Arguments given by position. */
  readonly positional: number;
}

const CALL = /\b((?:sys\.)?(?:apex_\w+|websocket_api|dbms_\w+|htp)\.\w+)(\s*\()?/gi;

function withoutComments(source: string): string {
  return source.replace(/--[^\n]*/g, "");
}

/** Arguments between the parenthesis at `open` and its match, split at depth 1. */
function argumentsAt(source: string, open: number): string[] {
  const found: string[] = [];
  let depth = 0;
  let from = open + 1;
  let quoted = false;
  for (let at = open; at < source.length; at++) {
    const char = source[at];
    if (char === "'") quoted = !quoted;
    if (quoted) continue;
    if (char === "(") depth++;
    else if (char === ")" && --depth === 0) {
      found.push(source.slice(from, at));
      break;
    } else if (char === "," && depth === 1) {
      found.push(source.slice(from, at));
      from = at + 1;
    }
  }
  return found.map((argument) => argument.trim()).filter((argument) => argument !== "");
}

export function callsIn(text: string): PlsqlCall[] {
  const source = withoutComments(text);
  return [...source.matchAll(CALL)].map((match) => {
    const open = match[2] === undefined ? undefined : match.index + match[0].length - 1;
    const given = open === undefined ? [] : argumentsAt(source, open);
    const named = given.flatMap((argument) => /^(\w+)\s*=>/.exec(argument)?.[1] ?? []);
    return {
      name: match[1]!.toLowerCase(),
      named: named.map((name) => name.toLowerCase()),
      positional: given.length - named.length,
    };
  });
}

/** Functions and procedures of a package specification: the parameters of each overload. */
export function specification(text: string): Map<string, string[][]> {
  const source = withoutComments(text);
  const found = new Map<string, string[][]>();
  const packageName = /package\s+(\w+)/i.exec(source)?.[1]?.toLowerCase();
  for (const match of source.matchAll(/\b(?:function|procedure)\s+(\w+)\s*(\()?/gi)) {
    const open = match[2] === undefined ? undefined : match.index + match[0].length - 1;
    const parameters = open === undefined ? [] : argumentsAt(source, open);
    const name = `${packageName}.${match[1]!.toLowerCase()}`;
    const overloads = found.get(name) ?? [];
    overloads.push(parameters.map((parameter) => parameter.split(/\s+/)[0]!.toLowerCase()));
    found.set(name, overloads);
  }
  return found;
}

/** What does not resolve, as sentences. */
export function unresolved(
  calls: readonly PlsqlCall[],
  catalogue: ReadonlyMap<string, readonly (readonly string[])[]>,
): string[] {
  return calls.flatMap(({ name, named, positional }) => {
    const overloads = catalogue.get(name);
    if (!overloads) return [`${name} is not in the catalogue`];
    const fits = overloads.some(
      (parameters) =>
        named.every((parameter) => parameters.includes(parameter)) &&
        positional + named.length <= parameters.length,
    );
    return fits ? [] : [`${name} does not take (${named.join(", ")}) and ${positional} more`];
  });
}
