import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { MANIFESTS } from "../../apex-plugins/exporter/outputs.ts";
import { type Catalogue, problemsOf } from "../sql/plsql/catalogue.ts";
import { select, VARIANTS } from "../sql/plsql/conditional.ts";
import { tokens } from "../sql/plsql/lexer.ts";
import { packageModel } from "../sql/plsql/model.ts";
import { parse } from "../sql/plsql/parse.ts";
import { APEX_PACKAGES } from "./apex-packages.ts";

const code = (files: readonly string[]) =>
  files.map((file) => readFileSync(file, "utf8")).join("\n");

/** APEX runs a plug-in's code as the declarations of an anonymous block. */
const unit = (name: string, files: readonly string[]) => ({
  name,
  text: `declare\n${code(files)}\nbegin\n  null;\nend;\n/\n`,
});
const units = MANIFESTS.map(({ name, plsql }) => unit(name, plsql));
const files = [...new Set(MANIFESTS.flatMap(({ plsql }) => plsql))];

function specification(name: string, text: string) {
  return [name, packageModel(tokens(text))] as const;
}

const catalogue: Catalogue = {
  packages: new Map([
    ...Object.entries(APEX_PACKAGES).map(([name, text]) =>
      specification(name, `package ${name} as ${text} end;`),
    ),
    specification(
      "websocket_api",
      select(readFileSync("sql/api/public/websocket_api.pks", "utf8"), VARIANTS.aq19!),
    ),
  ]),
  // Views of APEX.
  tables: new Map([
    [
      "apex_collections",
      new Set(["collection_name", "seq_id", "c001", "c002", "c003", "c004", "c005"]),
    ],
    [
      "apex_workspace_sessions",
      new Set(["apex_session_id", "session_idle_timeout_on", "session_life_timeout_on"]),
    ],
  ]),
};

describe("the plug-ins' PL/SQL", () => {
  // A grammar in JavaScript: half a minute per unit when nothing is cached.
  it("parses", { timeout: 15 * 60_000 }, async () => {
    expect(files.length).toBeGreaterThan(5);
    const { failures } = await parse(files.map((file) => unit(file, [file])));
    expect(failures).toEqual([]);
  });

  it.each(MANIFESTS)("$name declares the functions it names", ({ plsql, functions }) => {
    for (const name of Object.values(functions)) {
      expect(code(plsql)).toMatch(new RegExp(`^function ${name}\\(`, "m"));
    }
  });

  it.each(units)("$name names only what there is in APEX 22.1 and WEBSOCKET_API", ({ text }) => {
    expect(problemsOf(text, catalogue)).toEqual([]);
  });

  it.each(MANIFESTS)("$name writes no log row of its own", ({ plsql }) => {
    expect(code(plsql)).not.toMatch(/rtm_log/);
  });

  it("texts become JSON as CLOB, never as VARCHAR2", () => {
    for (const { plsql } of MANIFESTS) {
      for (const [call] of code(plsql).matchAll(/json_object\([^;]*?\)\s+into/g)) {
        expect(call).toContain("returning clob");
      }
    }
  });

  it("a null column is written one way: as the JSON null", () => {
    for (const { plsql } of MANIFESTS) {
      const [column] = /procedure put_column[\s\S]*?end put_column;/.exec(code(plsql)) ?? [];
      // What may be null goes through put_text; the CLOB's JSON_TEXT makes the JSON null itself.
      const direct = [...(column ?? "").matchAll(/p_row\.put\(\s*l_column\.name,\s*(\w+)/g)];
      expect(direct.map(([, value]) => value)).toEqual(
        column ? ["p_text", "l_number", "json_text"] : [],
      );
    }
  });

  it("nothing is sent or granted before the installation was asked", () => {
    const codeOf = (name: string) => code(MANIFESTS.find((each) => each.name === name)!.plsql);
    const listener = codeOf("RTM_LISTENER_DA");
    const presence = codeOf("RTM_PRESENCE_REGION");
    const senders = ["RTM_BROADCAST_DA", "RTM_BROADCAST_PROCESS"].map(codeOf);
    for (const sender of senders) {
      expect(sender.indexOf("if not is_allowed(")).toBeGreaterThan(0);
      expect(sender.indexOf("if not is_allowed(")).toBeLessThan(sender.indexOf(".broadcast_item("));
      expect(sender.match(/broadcast_item\(/g)).toHaveLength(1);
    }
    expect(listener).toMatch(/if is_allowed\([^;]*then\s+p_granted\(/);
    expect(listener.match(/p_granted\(p_granted/g)).toHaveLength(1);
    // Its only token is made of what is noted, after the question.
    expect(presence.match(/client_token\(/g)).toHaveLength(1);
    expect(presence).toMatch(/check_access\(visit\.c001[^;]*;[\s\S]*client_token\(/);
    expect(presence).toMatch(
      /p_function is null and nvl\(p_access, 'FUNCTION'\) <> 'PAGE' then\s+raise/,
    );
  });

  it("answers are JSON with its header, and hold nothing of the request", () => {
    for (const { plsql, functions } of MANIFESTS) {
      if (functions.ajax === undefined) continue;
      expect(code(plsql)).toMatch(/print_json_http_header;\s+sys\.htp\.prn\(l_answer\.to_string\)/);
      const members = [...code(plsql).matchAll(/l_answer\.put\('(\w+)'/g)].map(([, name]) => name);
      expect(["channels", "code", "configuration", "error", "status", "token"]).toEqual(
        expect.arrayContaining(members),
      );
    }
  });

  it.each([
    ["RTM_BROADCAST_DA", "p_dynamic_action"],
    ["RTM_BROADCAST_PROCESS", "p_process"],
  ])("%s hands on its attribute Retain, as seconds of a week at most", (name, record) => {
    const { plsql, attributes } = MANIFESTS.find((each) => each.name === name)!;
    const { number } = attributes.find(({ label }) => label === "Retain")!;
    const text = code(plsql);
    expect(text).toMatch(new RegExp(`p_retain\\s+=> ${record}\\.attribute_${number},`));
    expect(text).toMatch(/p_retain_s\s+=> retain_seconds\(p_retain\)/);
    expect(text).toContain("whole_number(p_retain, 'Retain', 1, 604800)");
  });

  it("the process keeps its success message and says when it sent nothing", () => {
    const source = code(MANIFESTS.find(({ name }) => name === "RTM_BROADCAST_PROCESS")!.plsql);
    expect(source).toContain("l_result.success_message := p_process.success_message;");
    expect(source).toContain("l_result.execution_skipped := true;");
  });

  it.each(MANIFESTS)("$name neither commits nor calls out", ({ plsql }) => {
    expect(code(plsql)).not.toMatch(/\b(commit|rollback)\s*;|apex_web_service|utl_http/);
  });

  it.each([
    ["listener/listener.sql", "listener/page/config.ts"],
    ["presence-region/presence-region.sql", "presence-region/page/config.ts"],
  ])("the page's configuration has the members that %s writes", (sql, script) => {
    const written = [
      ...readFileSync(`apex-plugins/${sql}`, "utf8").matchAll(/p_configuration\.put\('(\w+)'/g),
    ].map(([, name]) => name);
    const [, body = ""] =
      /interface \w+Config \{([\s\S]*?)\n\}/.exec(readFileSync(`apex-plugins/${script}`, "utf8")) ??
      [];
    const read = [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, name]) => name);
    const error = readFileSync(`apex-plugins/${sql}`, "utf8").includes("configuration.put('error'");
    expect([...new Set([...written, ...(error ? ["error"] : [])])].sort()).toEqual(read.sort());
  });

  it("the texts of the presence region are those that its page knows", () => {
    const sql = readFileSync("apex-plugins/presence-region/presence-region.sql", "utf8");
    const [, list = ""] = /p_region\.attribute_12,\s+('[\s\S]*?)\s+\)\);/.exec(sql) ?? [];
    const known = [...list.matchAll(/\w+/g)].map(([name]) => name);
    const script = readFileSync("apex-plugins/presence-region/page/config.ts", "utf8");
    const [, body = ""] = /interface Texts \{([\s\S]*?)\n\}/.exec(script) ?? [];
    const texts = [...body.matchAll(/readonly (\w+):/g)].map(([, name]) => name);
    expect(known.sort()).toEqual([...texts, "awaySeconds"].sort());
  });
});

describe("the check of names notices", () => {
  it.each([
    ["a parameter", "p_source     => ", "p_origin     => ", "p_origin"],
    [
      "a missing parameter",
      "p_event_name => substituted(p_event, 'Event Name'),",
      "",
      "p_event_name",
    ],
    [
      "a function",
      "websocket_api.broadcast_item(",
      "websocket_api.broadcast_all(",
      "broadcast_all",
    ],
    [
      "an attribute beyond the last",
      "p_process.attribute_09",
      "p_process.attribute_16",
      "attribute_16",
    ],
    [
      "a field of a later release",
      "l_result.execution_skipped",
      "l_result.wait_for_completion",
      "wait_for_completion",
    ],
    ["a variable", "p_skip    := p_payload is null;", "l_skip_it := true;", "l_skip_it"],
    [
      "a call of our own",
      "is_allowed(p_function, l_channel, 'SEND')",
      "is_allowed(l_channel)",
      "is_allowed",
    ],
  ])("%s", (_what, right, wrong, told) => {
    const { text } = units.find(({ name }) => name === "RTM_BROADCAST_PROCESS")!;
    expect(text).toContain(right);
    expect(problemsOf(text.replace(right, wrong), catalogue).join("\n")).toContain(told);
  });
});
