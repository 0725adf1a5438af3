/** The database files of this repository, as units of PL/SQL. */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { select, VARIANTS } from "./conditional.ts";

export const SQL_ROOT = join(import.meta.dirname, "../../../sql");

export interface SourceFile {
  /** Relative to `sql/`. */
  readonly path: string;
  readonly text: string;
}

/** Files below `sql/` with PL/SQL or SQL, in the order of their paths; `folders` narrows. */
export function sourceFiles(folders: readonly string[] = ["aq", "api", "install"]): SourceFile[] {
  return folders
    .flatMap((folder) =>
      readdirSync(join(SQL_ROOT, folder))
        .filter((name) => /\.(sql|pks|pkb)$/.test(name))
        .map((name) => join(SQL_ROOT, folder, name)),
    )
    .sort()
    .map((file) => ({ path: relative(SQL_ROOT, file), text: readFileSync(file, "utf8") }));
}

export interface Unit {
  /** `api/rtm_aq.pkb@full23`: the path, and the first variant that compiles to this text. */
  readonly name: string;
  readonly text: string;
}

/** JSON_SERIALIZE (19c and later) is not in the grammar; JSON_QUERY has the same clauses. */
function bridgeGrammarGap(text: string): string {
  return text.replace(
    /\bjson_serialize\((\w+) returning/g,
    (_, value) => `json_query(${value}, '$' returning`,
  );
}

/** Every distinct text that conditional compilation makes of the files. */
export function units(files: readonly SourceFile[]): Unit[] {
  return files.flatMap(({ path, text }) => {
    const texts = new Map<string, string>();
    for (const [variant, flags] of Object.entries(VARIANTS)) {
      const selected = bridgeGrammarGap(select(text, flags));
      if (!texts.has(selected)) texts.set(selected, `${path}@${variant}`);
    }
    return [...texts].map(([unit, name]) => ({ name, text: unit }));
  });
}
