/** What our own scripts define: packages with their subprograms, and tables with their columns. */
import { splitScript } from "../../../cli/db/script.ts";
import { closing, parts, type Token, tokens } from "./lexer.ts";
import type { SourceFile } from "./units.ts";

export interface Parameter {
  readonly name: string;
  readonly optional: boolean;
}

export interface Subprogram {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  /** The header up to `is` or the semicolon, as one line of tokens. */
  readonly header: string;
  readonly line: number;
}

export interface PackageModel {
  readonly subprograms: readonly Subprogram[];
  /** Constants, variables, types and exceptions. */
  readonly names: ReadonlySet<string>;
  /** Record types to fields. */
  readonly records: ReadonlyMap<string, ReadonlySet<string>>;
}

const is = (token: Token | undefined, text: string) =>
  token !== undefined && token.kind !== "string" && token.text === text;

/** Every procedure and function that a unit declares or defines, nested ones too. */
export function subprograms(list: readonly Token[]): Subprogram[] {
  const found: Subprogram[] = [];
  for (let i = 0; i < list.length; i++) {
    const name = list[i + 1];
    if (!is(list[i], "procedure") && !is(list[i], "function")) continue;
    if (name?.kind !== "name") continue;
    // "end procedure", "drop function x" and the like do not occur outside of strings.
    const open = i + 2;
    const hasParameters = is(list[open], "(");
    const close = hasParameters ? closing(list, open) : open - 1;
    let end = close + 1;
    while (
      end < list.length &&
      !is(list[end], ";") &&
      !is(list[end], "is") &&
      !is(list[end], "as")
    ) {
      end++;
    }
    const parameters = hasParameters
      ? parts(list, open, close).map((part) => ({
          name: part[0]?.text ?? "",
          optional: part.some((token) => is(token, "default") || is(token, ":=")),
        }))
      : [];
    const header = list
      .slice(i, end)
      .map((token) => token.text)
      .join(" ");
    found.push({ name: name.text, parameters, header, line: list[i]?.line ?? 0 });
  }
  return found;
}

/** The model of a package specification. */
export function packageModel(spec: readonly Token[]): PackageModel {
  const names = new Set<string>();
  const records = new Map<string, ReadonlySet<string>>();
  spec.forEach((token, i) => {
    if (token.kind !== "name") return;
    if (is(spec[i + 1], "constant") || is(spec[i + 1], "exception")) names.add(token.text);
    if (/^g_/.test(token.text)) names.add(token.text);
    if (!is(token, "type")) return;
    const type = spec[i + 1]?.text ?? "";
    names.add(type);
    if (!is(spec[i + 3], "record")) return;
    const close = closing(spec, i + 4);
    records.set(type, new Set(parts(spec, i + 4, close).map((field) => field[0]?.text ?? "")));
  });
  return { subprograms: subprograms(spec), names, records };
}

/** Tables with their columns, from every `create table` and `add_column` of the scripts. */
export function tables(files: readonly SourceFile[]): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const { text } of files) {
    const literals = tokens(text).flatMap((token) => (token.kind === "string" ? [token.text] : []));
    const statements = splitScript(text).map((statement) =>
      statement.text.replace(/^--.*\n/gm, ""),
    );
    for (const candidate of [...literals, ...statements]) {
      const create = /^\s*create (?:global temporary )?table\b/.exec(candidate);
      if (create === null) continue;
      const ddl = tokens(candidate.replace(create[0], "create table"));
      // The beginning of a statement whose name is put in at run time.
      if (!is(ddl[3], "(")) continue;
      const columns = parts(ddl, 3, closing(ddl, 3))
        .map((part) => part[0]?.text ?? "")
        .filter((word) => word !== "constraint");
      found.set(ddl[2]?.text ?? "", new Set(columns));
    }
  }
  for (const { text } of files) {
    for (const [, column] of text.matchAll(/^ {2}add_column\('(\w+)'/gm)) {
      found.get("rtm_log")?.add((column as string).toLowerCase());
    }
  }
  return found;
}

/** The constants of the generated package RTM_FEATURES, from the script that generates it. */
export function featuresModel(script: string): PackageModel {
  const constants = [...script.matchAll(/add_constant\(\s*'(\w+)'/g)].map(
    ([, name]) => name as string,
  );
  return {
    subprograms: [],
    names: new Set([...constants, "c_schema_version"]),
    records: new Map(),
  };
}
