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

/** Marks of a template of RTM_WATCH_SOURCE and what stands in for them. */
const TRIGGER_VALUES: Readonly<Record<string, string>> = {
  API: '"RTM"',
  TRIGGER: '"MY_APP"."RTM_W_SALES_RTM_12"',
  TABLE: '"MY_APP"."SALES"',
  DISABLE: "disable ",
  WATCH: "12",
  PART: "1",
  WHEN: "(:new.status <> 'DRAFT')",
  OLD: valueList("old"),
  NEW: valueList("new"),
};

function valueList(state: string): string {
  return `,
          p_numbers => "RTM".rtm_row.t_numbers(:${state}."ID", :${state}."AMOUNT"),
          p_texts => "RTM".rtm_row.t_texts(:${state}."NAME", to_char(:${state}."N, name"))`;
}

/** A trigger as RTM_WATCH generates it, from the templates in RTM_WATCH_SOURCE. */
export function generatedTrigger(): Unit {
  const body = readFileSync(join(SQL_ROOT, "api/public/rtm_watch_source.pkb"), "utf8");
  const template = (name: string) => {
    const found = new RegExp(`${name} constant varchar2\\(\\d+\\) := q'\\[([\\s\\S]*?)\\]'`).exec(
      body,
    );
    if (found === null) throw new Error(`rtm_watch_source.pkb has no template ${name}`);
    return found[1] as string;
  };
  const fill = (text: string, values: Readonly<Record<string, string>>) =>
    text.replace(/\{(\w+)\}/g, (mark, name: string) => {
      const value = values[name];
      if (value === undefined) throw new Error(`${mark} of rtm_watch_source.pkb is not known`);
      return value;
    });
  const parts = {
    BEFORE: fill(template("c_before"), TRIGGER_VALUES),
    AFTER: fill(template("c_after"), TRIGGER_VALUES),
    SKIP: fill(template("c_skip"), TRIGGER_VALUES),
  };
  const text = fill(template("c_template"), { ...TRIGGER_VALUES, ...parts });
  return { name: "generated trigger", text: `${text}\n/\n` };
}
