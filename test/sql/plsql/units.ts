/** The database files of this repository, as units of PL/SQL. */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { splitScript } from "../../../cli/db/script.ts";
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
      readdirSync(join(SQL_ROOT, folder), { recursive: true, encoding: "utf8" })
        .filter((name) => /\.(sql|pks|pkb)$/.test(name))
        .map((name) => join(SQL_ROOT, folder, name)),
    )
    .sort()
    .map((file) => ({ path: relative(SQL_ROOT, file), text: readFileSync(file, "utf8") }));
}

export interface Unit {
  /** `aq/rtm_aq.pkb@full23`: the path, and the first variant that compiles to this text. */
  readonly name: string;
  readonly text: string;
}

/** JSON_SERIALIZE (19c and later) is not in the grammar; JSON_QUERY has the same clauses. */
export function bridgeGrammarGap(text: string): string {
  return text.replace(
    /\bjson_serialize\((\w+) returning/g,
    (_, value) => `json_query(${value}, '$' returning`,
  );
}

/** Every distinct text that conditional compilation makes of the statements of the files. */
export function units(files: readonly SourceFile[]): Unit[] {
  return files.flatMap(({ path, text }) =>
    splitScript(text).flatMap((statement) => {
      const texts = new Map<string, string>();
      for (const [variant, flags] of Object.entries(VARIANTS)) {
        const selected = bridgeGrammarGap(select(statement.text, flags));
        if (!texts.has(selected)) texts.set(selected, `${path}@${variant}: ${statement.title}`);
      }
      return [...texts].map(([unit, name]) => ({ name, text: `${unit}\n/\n` }));
    }),
  );
}

/** A trigger as RTM_WATCH generates it, from the template in its body. */
export function generatedTrigger(): Unit {
  const body = readFileSync(join(SQL_ROOT, "api/public/rtm_watch.pkb"), "utf8");
  const template = /q'\[(create or replace trigger[\s\S]*?)\]'/.exec(body)?.[1];
  if (template === undefined) throw new Error("rtm_watch.pkb has no template");
  const put = (state: string) => `        "RTM".rtm_row.put(l_row, 'ID', :${state}."ID");\n`;
  const values: Record<string, string> = {
    OWNER: "APP",
    TRIGGER: "RTM_W_SALES",
    TABLE: "SALES",
    TABLE_TEXT: "'SALES'",
    DISABLE: "disable ",
    CHANNEL: "'sales'",
    PREFIX: "'sales'",
    MAX_ROWS: "500",
    WHEN: "(:new.status <> 'DRAFT')",
    OLD_PUTS: put("old"),
    NEW_PUTS: put("new"),
    API: '"RTM"',
  };
  const text = template.replace(/\{(\w+)\}/g, (mark, name: string) => values[name] ?? mark);
  if (/[{}]/.test(text)) throw new Error(`a mark of rtm_watch.pkb is not known: ${text}`);
  return { name: "generated trigger", text: `${text}\n/\n` };
}
