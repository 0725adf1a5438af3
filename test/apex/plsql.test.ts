import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { MANIFESTS } from "../../apex-plugins/exporter/outputs.ts";
import { parse } from "../sql/plsql/parse.ts";
import { callsIn, specification, unresolved } from "./calls.ts";

const code = (files: readonly string[]) =>
  files.map((file) => readFileSync(file, "utf8")).join("\n");

/** APEX runs a plug-in's code as the declarations of an anonymous block. */
const units = MANIFESTS.map(({ name, plsql }) => ({
  name,
  text: `declare\n${code(plsql)}\nbegin\n  null;\nend;\n/\n`,
}));

const PLACEHOLDERS = ["p_message", ...Array.from({ length: 10 }, (_, n) => `p${n}`)];
const COLUMN = ["p_context", "p_column_idx"];
const VALUE: string[] = [];

/**
 * What Oracle's API references (APEX 22.1 to 24.2, Database 19c) give as signatures, for the calls
 * that the plug-ins make. An empty list is a constant, a variable, a type, or takes nothing.
 */
const ORACLE: Readonly<Record<string, readonly string[]>> = {
  "apex_application.g_f01": ["index"],
  "apex_application.g_user": VALUE,
  "apex_debug.error": PLACEHOLDERS,
  "apex_debug.info": PLACEHOLDERS,
  "apex_debug.warn": PLACEHOLDERS,
  "apex_exec.c_data_type_clob": VALUE,
  "apex_exec.c_data_type_date": VALUE,
  "apex_exec.c_data_type_number": VALUE,
  "apex_exec.c_data_type_timestamp": VALUE,
  "apex_exec.c_data_type_timestamp_ltz": VALUE,
  "apex_exec.c_data_type_timestamp_tz": VALUE,
  "apex_exec.c_location_local_db": VALUE,
  "apex_exec.close": ["p_context"],
  "apex_exec.get_clob": COLUMN,
  "apex_exec.get_column": COLUMN,
  "apex_exec.get_column_count": ["p_context"],
  "apex_exec.get_date": COLUMN,
  "apex_exec.get_number": COLUMN,
  "apex_exec.get_timestamp": COLUMN,
  "apex_exec.get_timestamp_ltz": COLUMN,
  "apex_exec.get_timestamp_tz": COLUMN,
  "apex_exec.get_varchar2": COLUMN,
  "apex_exec.next_row": ["p_context"],
  "apex_exec.open_query_context": ["p_location", "p_sql_query", "p_max_rows"],
  "apex_exec.t_column": VALUE,
  "apex_exec.t_context": VALUE,
  "apex_plugin.get_ajax_identifier": VALUE,
  "apex_plugin.t_dynamic_action": VALUE,
  "apex_plugin.t_dynamic_action_ajax_result": VALUE,
  "apex_plugin.t_dynamic_action_render_result": VALUE,
  "apex_plugin.t_plugin": VALUE,
  "apex_plugin.t_process": VALUE,
  "apex_plugin.t_process_exec_result": VALUE,
  "apex_plugin_util.get_plsql_expression_result": ["p_plsql_expression"],
  "apex_plugin_util.print_json_http_header": VALUE,
  "apex_plugin_util.replace_substitutions": ["p_value", "p_escape"],
  // Called by name, because it is younger than APEX 22.1.
  "apex_session_state.get_clob": ["p_item"],
  "apex_string.split": ["p_str", "p_sep", "p_limit"],
  "apex_util.get_session_state": ["p_item"],
  "sys.dbms_assert.qualified_sql_name": ["str"],
  "sys.dbms_utility.format_error_backtrace": VALUE,
  "sys.htp.prn": ["cbuf"],
};

const catalogue = new Map<string, readonly (readonly string[])[]>([
  ...Object.entries(ORACLE).map(([name, parameters]) => [name, [parameters]] as const),
  ...specification(readFileSync("sql/api/websocket_api.pks", "utf8")),
  ["websocket_api.t_channels", [[]]] as const,
]);

describe("the plug-ins' PL/SQL", () => {
  // A grammar in JavaScript: half a minute per unit when nothing is cached.
  it("parses", { timeout: 15 * 60_000 }, async () => {
    expect(MANIFESTS).toHaveLength(3);
    const { failures } = await parse(units);
    expect(failures).toEqual([]);
  });

  it.each(MANIFESTS)("$name declares the functions it names", ({ plsql, functions }) => {
    for (const name of Object.values(functions)) {
      expect(code(plsql)).toMatch(new RegExp(`^function ${name}\\(`, "m"));
    }
  });

  it.each(MANIFESTS)("$name calls only what there is, by the names it has", ({ plsql }) => {
    const calls = callsIn(code(plsql));
    expect(calls.length).toBeGreaterThan(20);
    expect(unresolved(calls, catalogue)).toEqual([]);
  });

  it.each(MANIFESTS)("P6: $name writes no log row of its own", ({ plsql }) => {
    expect(code(plsql)).not.toMatch(/rtm_log/);
  });

  it("P1: texts become JSON as CLOB, never as VARCHAR2", () => {
    for (const { plsql } of MANIFESTS) {
      for (const [call] of code(plsql).matchAll(/json_object\([^;]*?\)\s+into/g)) {
        expect(call).toContain("returning clob");
      }
    }
  });

  it("B7: nothing is sent or granted before the installation was asked", () => {
    const [listener, ...senders] = MANIFESTS.map(({ plsql }) => code(plsql));
    for (const sender of senders) {
      expect(sender.indexOf("if not is_allowed(")).toBeGreaterThan(0);
      expect(sender.indexOf("if not is_allowed(")).toBeLessThan(sender.indexOf(".broadcast_item("));
      expect(sender.match(/broadcast_item\(/g)).toHaveLength(1);
    }
    expect(listener).toMatch(/if is_allowed\([^;]*then\s+p_granted\(/);
    expect(listener?.match(/p_granted\(p_granted/g)).toHaveLength(1);
  });

  it("B8: answers are JSON with its header, and hold nothing of the request", () => {
    for (const { plsql, functions } of MANIFESTS) {
      if (functions.ajax === undefined) continue;
      expect(code(plsql)).toMatch(/print_json_http_header;\s+sys\.htp\.prn\(l_answer\.to_string\)/);
      const members = [...code(plsql).matchAll(/l_answer\.put\('(\w+)'/g)].map(([, name]) => name);
      expect(["channels", "code", "error", "status", "token"]).toEqual(
        expect.arrayContaining(members),
      );
    }
  });

  it("P4: the process keeps its success message and says when it sent nothing", () => {
    const source = code(MANIFESTS.at(-1)!.plsql);
    expect(source).toContain("l_result.success_message := p_process.success_message;");
    expect(source).toContain("l_result.execution_skipped := true;");
  });

  it.each(MANIFESTS)("P5: $name neither commits nor calls out", ({ plsql }) => {
    expect(code(plsql)).not.toMatch(/\b(commit|rollback)\s*;|apex_web_service|utl_http/);
  });

  it("the page's configuration has the members that listener.sql writes", () => {
    const written = [
      ...readFileSync("apex-plugins/listener/listener.sql", "utf8").matchAll(
        /configuration\.put\('(\w+)'/g,
      ),
    ].map(([, name]) => name);
    const read = [
      ...readFileSync("apex-plugins/listener/page/config.ts", "utf8").matchAll(
        /^ {2}readonly (\w+)\??:/gm,
      ),
    ].map(([, name]) => name);
    expect([...new Set(written)].sort()).toEqual(read.sort());
  });
});

describe("the check of calls notices", () => {
  it.each([
    ["a parameter that does not exist", "websocket_api.user_channel(p_name => x)"],
    ["a function that does not exist", "websocket_api.send_all(x)"],
    ["too many arguments", "apex_plugin_util.print_json_http_header(1)"],
    ["a package that is not catalogued", "apex_mail.send(p_to => x)"],
  ])("%s", (_what, source) => {
    expect(unresolved(callsIn(`begin ${source}; end;`), catalogue)).toHaveLength(1);
  });

  it("and understands overloads, nesting and text", () => {
    const source =
      "l := websocket_api.client_token(p_channel => f(a, b), p_ttl_s => 60) || 'apex_mail (';";
    expect(unresolved(callsIn(source), catalogue)).toEqual([]);
  });
});
