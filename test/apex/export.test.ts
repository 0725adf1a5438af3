import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { quoted, text } from "../../apex-plugins/exporter/literals.ts";
import { MANIFESTS, outputs } from "../../apex-plugins/exporter/outputs.ts";
import { type Call, embeddedFiles, readExport } from "./reader.ts";

const DIST = "apex-plugins/dist";
const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
const exports = readdirSync(DIST).filter((name) => name.endsWith(".sql"));
const read = (name: string) => readFileSync(join(DIST, name), "utf8");

/** What APEX 22.1 prints and every later release takes. */
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  import_begin:
    "p_version_yyyy_mm_dd p_release p_default_workspace_id p_default_application_id p_default_id_offset p_default_owner".split(
      " ",
    ),
  import_end: ["p_auto_install_sup_obj"],
  create_plugin:
    "p_id p_plugin_type p_name p_display_name p_category p_supported_ui_types p_supported_component_types p_image_prefix p_javascript_file_urls p_css_file_urls p_plsql_code p_api_version p_render_function p_ajax_function p_execution_function p_standard_attributes p_substitute_attributes p_subscribe_plugin_settings p_help_text p_version_identifier p_about_url p_plugin_comment p_files_version".split(
      " ",
    ),
  create_plugin_attribute:
    "p_id p_plugin_id p_attribute_scope p_attribute_sequence p_display_sequence p_prompt p_attribute_type p_is_required p_is_common p_show_in_wizard p_default_value p_display_length p_max_length p_unit p_supported_component_types p_is_translatable p_depending_on_attribute_id p_depending_on_has_to_exist p_depending_on_condition_type p_depending_on_expression p_lov_type p_examples p_help_text p_attribute_comment".split(
      " ",
    ),
  create_plugin_attr_value:
    "p_id p_plugin_attribute_id p_display_sequence p_display_value p_return_value p_is_quick_pick p_help_text".split(
      " ",
    ),
  create_plugin_event: ["p_id", "p_plugin_id", "p_name", "p_display_name"],
  create_plugin_file:
    "p_id p_plugin_id p_file_name p_mime_type p_file_charset p_file_content".split(" "),
};

/** Longest values, characters. */
const LONGEST: Readonly<Record<string, number>> = {
  p_name: 45,
  p_display_name: 100,
  p_version_identifier: 30,
  p_help_text: 4000,
  p_examples: 4000,
  p_prompt: 255,
  p_default_value: 4000,
  p_unit: 30,
  p_display_value: 255,
  p_return_value: 255,
  p_file_name: 255,
  p_plsql_code: 32_767,
  p_render_function: 255,
  p_ajax_function: 255,
  p_execution_function: 255,
};

const TYPES = new Set([
  "TEXT",
  "TEXTAREA",
  "SELECT LIST",
  "CHECKBOX",
  "CHECKBOXES",
  "INTEGER",
  "PAGE ITEM",
  "PAGE ITEMS",
  "SQL",
  "PLSQL EXPRESSION",
]);

function named(calls: readonly Call[], procedure: string): Call[] {
  return calls.filter((call) => call.procedure.endsWith(`.${procedure}`));
}

describe("dist/", () => {
  it("is what the sources build", async () => {
    const built = await outputs(version);
    const found = readdirSync(DIST, { recursive: true, encoding: "utf8" });
    expect(found.filter((name) => /\.(sql|json)$/.test(name)).sort()).toEqual(
      [...built.keys()].sort(),
    );
    for (const [name, content] of built) {
      expect(read(name), `${name}: run npm run build:apex`).toBe(content);
    }
  });

  it("is the same in every build", async () => {
    expect(await outputs(version)).toEqual(await outputs(version));
  });

  it("has an export for every plug-in and release, under the published names", () => {
    expect(exports.sort()).toEqual([
      "dynamic_action_plugin_rtm_broadcast_da.sql",
      "dynamic_action_plugin_rtm_listener_da.sql",
      "process_type_plugin_rtm_broadcast_process.sql",
      "process_type_plugin_rtm_broadcast_process_apex_23_2.sql",
      "region_type_plugin_rtm_presence_region.sql",
    ]);
  });
});

const scriptName = (url: unknown) => /js\/([\w-]+)#MIN#/.exec(String(url))?.[1];

describe.each(exports)("%s", (name) => {
  const source = read(name);
  const { calls, commands, comments, variables, longestLine } = readExport(source);
  const [plugin] = named(calls, "create_plugin");
  const attributes = named(calls, "create_plugin_attribute");

  it("has the skeleton of a component export", () => {
    expect(commands.slice(0, 3)).toEqual([
      "prompt --application/set_environment",
      "set define off verify off feedback off",
      "whenever sqlerror exit sql.sqlcode rollback",
    ]);
    expect(commands.slice(-3)).toEqual([
      "prompt --application/end_environment",
      "set verify on feedback on define on",
      "prompt  ...done",
    ]);
    expect(calls.at(0)?.procedure).toBe("wwv_flow_imp.import_begin");
    expect(calls.at(-1)?.procedure).toBe("wwv_flow_imp.import_end");
    expect(variables.get("wwv_flow_imp.g_mode")).toBe("REPLACE");
    expect(comments.join("\n")).toContain("Export Type:     Component Export");
    expect(comments.join("\n")).toContain(`PLUGIN: ${plugin?.args.p_id}`);
    expect(source.endsWith("\n")).toBe(true);
    expect(source).not.toMatch(/[^\n\x20-\x7e]/);
    expect(longestLine).toBeLessThan(2_499);
  });

  it("calls only what its release knows, with arguments it knows", () => {
    for (const { procedure, args } of calls) {
      const [owner, short = ""] = procedure.split(".");
      const importing = short.startsWith("import_");
      expect(owner).toBe(importing ? "wwv_flow_imp" : "wwv_flow_imp_shared");
      expect(KNOWN[short], procedure).toBeDefined();
      expect(KNOWN[short]).toEqual(expect.arrayContaining(Object.keys(args)));
    }
    const flavour = name.includes("23_2") ? "2023.10.31" : "2022.04.12";
    expect(calls[0]?.args.p_version_yyyy_mm_dd).toBe(flavour);
    expect(plugin?.args.p_supported_ui_types).toBe(
      flavour === "2022.04.12" ? "DESKTOP" : undefined,
    );
  });

  it("keeps the limits of the tables", () => {
    for (const { args } of calls) {
      for (const [argument, longest] of Object.entries(LONGEST)) {
        const value = args[argument];
        if (typeof value === "string") expect(value.length).toBeLessThanOrEqual(longest);
      }
    }
    expect(plugin?.args.p_name).toBe(String(plugin?.args.p_name).toUpperCase());
    for (const { args } of named(calls, "create_plugin_event")) {
      expect(args.p_name).toMatch(/^[a-z_]{1,45}$/);
    }
    for (const { args } of attributes) expect(TYPES).toContain(args.p_attribute_type);
  });

  it("has ids that are unique, stable in length and refer to something", () => {
    const ids = calls.flatMap(({ args }) => (args.p_id === undefined ? [] : [String(args.p_id)]));
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[1-9]\d{17}$/);
    for (const { args } of calls) {
      for (const [argument, value] of Object.entries(args)) {
        if (/_id$/.test(argument) && argument !== "p_id" && !argument.startsWith("p_default_")) {
          expect(ids).toContain(value);
        }
      }
    }
    const numbers = attributes.map(
      ({ args }) => `${args.p_attribute_scope} ${args.p_attribute_sequence}`,
    );
    expect(new Set(numbers).size).toBe(numbers.length);
  });

  it("explains the plug-in, every attribute and every choice", () => {
    const explained = [plugin!, ...attributes, ...named(calls, "create_plugin_attr_value")];
    for (const { args } of explained) expect(String(args.p_help_text).length).toBeGreaterThan(10);
  });

  it("has no default that points to somebody's server, and no key", () => {
    for (const { args } of attributes) {
      expect(String(args.p_default_value ?? "")).not.toMatch(/:\/\/|\d{6}/);
    }
  });

  it("substitutes by itself, once, unescaped", () => {
    expect(plugin?.args.p_substitute_attributes).toBe(false);
    const code = String(plugin?.args.p_plsql_code);
    const substitutions = [...code.matchAll(/replace_substitutions\(([^;]*?)\)/g)];
    expect(substitutions.length).toBeGreaterThan(0);
    for (const [, given] of substitutions) expect(given).toContain("p_escape => false");
  });

  it("embeds a readable and a minified script, free of what a strict policy forbids", () => {
    const files = embeddedFiles(source);
    const url = plugin?.args.p_javascript_file_urls;
    if (url === undefined) {
      expect(files.size).toBe(0);
      return;
    }
    const urls = [url, plugin?.args.p_css_file_urls].filter((given) => given !== undefined);
    // Fetched by the script, where it has rtm-client in it.
    if (String(files.get(`js/${scriptName(url)}.js`)).includes("rtm-more")) {
      urls.push("#PLUGIN_FILES#js/rtm-more#MIN#.js");
    }
    for (const min of ["", ".min"]) {
      for (const given of urls) {
        const file = String(given).replace("#PLUGIN_FILES#", "").replace("#MIN#", min);
        const text = files.get(file)?.toString("utf8") ?? "";
        expect(text).toContain(`${version} of apex-rtm`);
        expect(text).not.toMatch(/\r|\beval\(|new Function|innerHTML|console\.|document\.write/);
        expect(text).not.toMatch(/url\(|@import/);
      }
    }
    expect(files.size).toBe(2 * urls.length);
  });
});

describe("compatibility with the published predecessor", () => {
  const published = {
    "dynamic_action_plugin_rtm_listener_da.sql": [
      "RTM_LISTENER_DA",
      "Base WebSocket URL",
      "Channel",
      "Event Name",
      "APEX Event Name",
    ],
    "dynamic_action_plugin_rtm_broadcast_da.sql": [
      "RTM_BROADCAST_DA",
      "API Key",
      "Base URL",
      "Channel",
      "Event Name",
      "Payload Item",
      "On Error",
    ],
    "process_type_plugin_rtm_broadcast_process.sql": [
      "RTM_BROADCAST_PROCESS",
      "API Key",
      "Base URL",
      "Channel",
      "Event Name",
      "Source Item (Payload)",
      "On Error",
    ],
  };

  it.each(Object.entries(published))("%s keeps its names and numbers", (file, names) => {
    const { calls } = readExport(read(file));
    expect(named(calls, "create_plugin")[0]?.args.p_name).toBe(names[0]);
    const labels = named(calls, "create_plugin_attribute")
      .filter(({ args }) => args.p_attribute_scope === "COMPONENT")
      .sort((a, b) => Number(a.args.p_attribute_sequence) - Number(b.args.p_attribute_sequence))
      .map(({ args }) => args.p_prompt);
    expect(labels.slice(0, names.length - 1)).toEqual(names.slice(1));
  });

  it("the Listener may fire on load and has events of its own", () => {
    const { calls } = readExport(read("dynamic_action_plugin_rtm_listener_da.sql"));
    expect(named(calls, "create_plugin")[0]?.args.p_standard_attributes).toContain("ONLOAD");
    expect(named(calls, "create_plugin_event").map(({ args }) => args.p_name)).toEqual([
      "rtm_listener_message",
      "rtm_listener_status",
      "rtm_listener_members",
      "rtm_listener_event",
    ]);
  });

  it("the region has no category, is called to render and to answer, and has its four events", () => {
    const { calls, commands } = readExport(read("region_type_plugin_rtm_presence_region.sql"));
    const [plugin] = named(calls, "create_plugin");
    expect(plugin?.args).not.toHaveProperty("p_category");
    expect(plugin?.args).toMatchObject({
      p_plugin_type: "REGION TYPE",
      p_render_function: "rtm_presence_render",
      p_ajax_function: "rtm_presence_ajax",
      p_standard_attributes: "AJAX_ITEMS_TO_SUBMIT",
      p_api_version: 1,
    });
    expect(commands).toContain(
      "prompt --application/shared_components/plugins/region_type/rtm_presence_region",
    );
    expect(named(calls, "create_plugin_event").map(({ args }) => args.p_name)).toEqual(
      ["joined", "left", "locked", "unlocked"].map((event) => `rtm_presence_${event}`),
    );
  });

  it("On Error of the process is a list, and the process has no category", () => {
    const { calls } = readExport(read("process_type_plugin_rtm_broadcast_process.sql"));
    expect(named(calls, "create_plugin")[0]?.args).not.toHaveProperty("p_category");
    const onError = named(calls, "create_plugin_attribute").find(
      ({ args }) => args.p_prompt === "On Error",
    );
    expect(onError?.args.p_attribute_type).toBe("SELECT LIST");
  });

  it("workflow activities are offered only where there are workflows", () => {
    const types = (file: string) =>
      String(
        named(readExport(read(file)).calls, "create_plugin")[0]?.args.p_supported_component_types,
      ).split(":");
    const plain = types("process_type_plugin_rtm_broadcast_process.sql");
    expect(plain).not.toContain("APEX_APPL_WORKFLOW_ACTIVITIES");
    expect(types("process_type_plugin_rtm_broadcast_process_apex_23_2.sql")).toEqual([
      ...plain,
      "APEX_APPL_WORKFLOW_ACTIVITIES",
    ]);
  });

  it("apexplugin.json names the plug-in by its internal name", () => {
    for (const { name } of MANIFESTS) {
      const folder = name.toLowerCase().replaceAll("_", "-");
      const described = JSON.parse(read(`${folder}/apexplugin.json`));
      expect(described.oracle.apex.plugin.internalName).toBe(name);
      expect(described.version).toBe(version);
    }
  });
});

describe("literals", () => {
  it("doubles quotes, joins lines, wraps what is long", () => {
    expect(quoted("it's")).toBe("'it''s'");
    expect(text("a\nb")).toBe("wwv_flow_string.join(wwv_flow_t_varchar2(\n'a',\n'b'))");
    const long = "x'".repeat(400);
    for (const line of quoted(long).split("\n")) expect(line.length).toBeLessThan(300);
    const { variables } = readExport(`begin\nv := ${quoted(long)};\nend;\n/\n`);
    expect(variables.get("v")).toBe(long);
  });

  it("refuses what is not ASCII", () => {
    expect(() => quoted("\u2013")).toThrow(/ASCII/);
  });
});

describe("the reader", () => {
  it.each([
    ["begin\nx(\n p_a=>1\n,p_a=>2\n);\nend;\n/\n", /twice/],
    ["begin\nx(p_a=>1);\n", /does not end/],
    ["begin\nwwv_flow_imp.g_varchar2_table(2) := 'AA';\nend;\n/\n", /out of order/],
    ["begin\nx(p_a=>other(1));\nend;\n/\n", /unknown function/],
  ])("notices a planted mistake in %j", (source, message) => {
    expect(() => readExport(source)).toThrow(message);
  });
});
