/** The triggers of RTM_WATCH, as far as their text says it: they are thin, they fit, they never raise. */
import { describe, expect, it } from "vitest";
import { file } from "./plsql/compiled.ts";
import { tokens } from "./plsql/lexer.ts";
import { generatedTrigger } from "./plsql/units.ts";

const source = file("api/public/rtm_watch_source.pkb");
const number = (name: string) =>
  Number(new RegExp(`${name}\\s+constant pls_integer := (\\d+);`).exec(source)![1]);
const { text } = generatedTrigger();

describe("a trigger of RTM_WATCH", () => {
  it("makes one call per row, one before the statement and one flush after it", () => {
    const calls = (name: string) => text.split(`rtm_row.${name}(`).length - 1;
    // One for a deleted row, one for the others; a row takes one of them.
    expect(calls("add")).toBe(2);
    expect(calls("begin_statement")).toBe(1);
    expect(calls("flush")).toBe(1);
  });

  it("knows neither channel, nor events, nor limits: they are in the table of watches", () => {
    expect(text).not.toMatch(/broadcast|channel|prefix|max_rows|json/i);
  });

  it("handles every error in each of its sections, and an error of the handler too", () => {
    const sections = [...text.matchAll(/^ {2}(before|after) (statement|each row) is$/gm)];
    expect(sections).toHaveLength(3);
    const handlers = text.split(/exception\n {4}when others then\n/).length - 1;
    expect(handlers).toBe(sections.length + 1);
  });

  it("of a wide table stays below the 32 K of a trigger, with the longest names", () => {
    const templates = ["c_template", "c_before", "c_after", "c_skip"].map(
      (name) =>
        new RegExp(`${name} constant varchar2\\(\\d+\\) := q'\\[([\\s\\S]*?)\\]'`).exec(
          source,
        )![1]!,
    );
    const longest = `"${"n".repeat(128)}"`;
    const marks = templates.join("").match(/\{\w+\}/g)!;
    const names = marks.filter((mark) => /API|TRIGGER|TABLE/.test(mark)).length;
    // Both lists of values: for each kind its parameter, the schema and the type.
    const kinds = [...source.matchAll(/add_kind\('\w+', '(\w+)', '(\w+)'\)/g)];
    expect(kinds).toHaveLength(9);
    const lists = kinds.reduce(
      (sum, [, parameter, type]) =>
        sum + `,\n          ${parameter} => ${longest}.rtm_row.${type}()`.length,
      0,
    );
    const most =
      templates.join("").length + names * 2 * longest.length + 2 * lists + number("c_text_bytes");
    expect(most).toBeLessThanOrEqual(32_767);
    expect(number("c_condition_bytes")).toBeLessThan(number("c_text_bytes"));
  });

  it("is filled in one pass, so braces in names, channels and conditions stay what they are", () => {
    const list = tokens(source);
    expect(
      list.filter(({ text: word }, i) => word === "replace" && list[i + 1]?.text === "("),
    ).toEqual([]);
    const fill = /function fill[\s\S]*?end fill;/.exec(source)![0];
    expect(fill).toContain("instr(p_template, '{', l_start)");
    // The templates know only marks that are given a value.
    const given = [...source.matchAll(/l_values\('(\w+)'\)/g)].map(([, name]) => name);
    const asked = [...source.matchAll(/\{([A-Z]+)\}/g)].map(([, name]) => name!);
    expect(asked.length).toBeGreaterThan(10);
    expect([...new Set(asked)].filter((name) => name !== "MARKS" && !given.includes(name))).toEqual(
      [],
    );
  });
});

describe("RTM_ROW", () => {
  it("raises nothing to a trigger: each entry logs what goes wrong", () => {
    const body = file("api/public/rtm_row.pkb");
    for (const entry of ["begin_statement", "add", "skip", "flush", "failed"]) {
      const text = new RegExp(`  procedure ${entry}\\b[\\s\\S]*?\\n  end ${entry};`).exec(body)![0];
      expect(text, entry).toMatch(/\n {2}exception\n {4}when others then\n/);
    }
  });

  it("keeps the calls of the triggers that came before the table of watches", () => {
    const spec = file("api/public/rtm_row.pks");
    for (const call of ["put", "change", "bulk", "log_error"]) {
      expect(spec).toMatch(new RegExp(`(procedure|function) ${call}\\(`));
    }
  });

  it("writes dates in the Gregorian calendar and numbers with a point, whatever the session says", () => {
    const body = file("api/public/rtm_row.pkb");
    const formatted = [
      ...body.matchAll(/to_char\([^;]*?('YYYY[^']*'|'TM9'|'9\.9+EEEE')([^;]*?)\)/g),
    ];
    expect(formatted.length).toBeGreaterThan(5);
    for (const [call, , rest] of formatted) expect(rest, call).toMatch(/c_gregorian|c_nls/);
  });

  it("needs no JSON_OBJECT_T.PUT with a CLOB, which 18c lacks", () => {
    const body = file("api/public/rtm_row.pkb");
    const clob = /procedure put\([^)]*in clob\)[\s\S]*?end put;/.exec(body)![0];
    expect(clob).toContain("json_object('value' value p_value returning clob)");
    expect(clob).not.toMatch(/p_row\.put\(p_name, p_value\)/);
  });
});

describe("RTM_WATCH", () => {
  it("leaves no invalid trigger on a table, whose every statement would fail (ORA-04098)", () => {
    const body = file("api/public/rtm_watch.pkb");
    const calls = [...body.matchAll(/create_trigger\(\s*p_row/g)];
    expect(calls).toHaveLength(2);
    // The trial: also where the caller cannot see the errors. The real one: dropped, and an error.
    expect(body).toContain("elsif l_errors is not null or not l_compiles then");
    expect(body).toMatch(
      /if not create_trigger\([^;]*p_trial => false\)\s+\) then\s+l_dropped := drop_trigger\(/,
    );
  });

  it("renames the watch of one table by its id, so that two tables can swap their names", () => {
    const body = file("api/public/rtm_watch_registry.pkb");
    expect(/procedure rename_table[\s\S]*?end rename_table;/.exec(body)![0]).toContain(
      "where id = p_id;",
    );
  });
});

describe("RTM_ROW_BUFFER", () => {
  const body = file("api/public/rtm_row_buffer.pkb");
  it("takes out only the statement that begins again, not one that runs above it", () => {
    const begin = /procedure begin_statement[\s\S]*?end begin_statement;/.exec(body)![0];
    expect(begin).toMatch(/forget_changes\(l_place\);\s+take_out\(l_place\);/);
    expect(begin).not.toMatch(/\.delete\b/);
  });

  it("takes columns for loaded only when all are", () => {
    const load = /procedure load_columns[\s\S]*?end load_columns;/.exec(body)![0];
    expect(load.indexOf("g_columns_of := null;")).toBeGreaterThan(0);
    expect(load.indexOf("g_columns_of := null;")).toBeLessThan(load.indexOf("g_columns.delete;"));
  });

  it("sends a bulk message for a row that is too long even without its texts", () => {
    const close = /procedure close_row[\s\S]*?end close_row;/.exec(body)![0];
    expect(close).toMatch(/payload is null then\s+g_statements\(p_place\)\.is_bulk := true;/);
  });
});

describe("an uninstallation", () => {
  const script = file("install/drop_objects.sql");
  it("refuses while a table of another schema is watched, and names it, before it drops anything", () => {
    const refuses = script.indexOf("check_no_watch;");
    expect(script).toContain("from rtm_watched_table");
    expect(script).toContain("table_owner || '.' || table_name");
    for (const drop of ["drop_jobs;", "drop_watches;", "drop_queue("]) {
      expect(script.lastIndexOf(`\n  ${drop}`)).toBeGreaterThan(refuses);
    }
  });
});
