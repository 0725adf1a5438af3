/** One plug-in as an importable SQL script, in the syntax of an APEX component export. */
import { readFileSync } from "node:fs";
import { type Attribute, type Manifest, RELEASES, type Release } from "../shared/manifest.ts";
import { type Asset, assets } from "./assets.ts";
import { componentId, filesVersion, idOf } from "./ids.ts";
import { block, call, quoted, text } from "./literals.ts";

/** Bytes per row of an embedded file, as APEX writes them. */
const BYTES_PER_ROW = 100;
/** What `create_plugin` takes as PL/SQL code: a VARCHAR2. */
const MAX_CODE_BYTES = 32_767;

const FOLDERS = {
  "DYNAMIC ACTION": "dynamic_action",
  "PROCESS TYPE": "process_type",
  "REGION TYPE": "region_type",
} as const;

const boolean = (value: boolean) => String(value);

function code(manifest: Manifest): string {
  const source = manifest.plsql.map((file) => readFileSync(file, "utf8").trimEnd()).join("\n\n");
  const size = Buffer.byteLength(source);
  if (size > MAX_CODE_BYTES) {
    throw new Error(`${manifest.name}: ${size} bytes of PL/SQL, at most ${MAX_CODE_BYTES} fit`);
  }
  return source;
}

function scopeOf(attribute: Attribute): "COMPONENT" | "APPLICATION" {
  return attribute.scope ?? "COMPONENT";
}

function attributePath(manifest: Manifest, attribute: Pick<Attribute, "number" | "scope">) {
  return [manifest.name, attribute.scope ?? "COMPONENT", attribute.number] as const;
}

function createPlugin(
  manifest: Manifest,
  release: Release,
  version: string,
  files: readonly Asset[],
) {
  const { functions, file } = manifest;
  return call("wwv_flow_imp_shared.create_plugin", {
    p_id: idOf(manifest.name),
    p_plugin_type: quoted(manifest.type),
    p_name: quoted(manifest.name),
    p_display_name: quoted(manifest.displayName),
    p_category: manifest.category && quoted(manifest.category),
    p_supported_ui_types: release === "22.1" ? quoted("DESKTOP") : undefined,
    p_supported_component_types:
      manifest.componentTypes && quoted((manifest.componentTypes[release] ?? []).join(":")),
    p_javascript_file_urls: file && quoted(`#PLUGIN_FILES#js/${file.name}#MIN#.js`),
    p_css_file_urls: file?.style && quoted(`#PLUGIN_FILES#css/${file.name}#MIN#.css`),
    p_plsql_code: text(code(manifest)),
    p_api_version: "1",
    p_render_function: functions.render && quoted(functions.render),
    p_ajax_function: functions.ajax && quoted(functions.ajax),
    p_execution_function: functions.execution && quoted(functions.execution),
    p_standard_attributes:
      manifest.standardAttributes && quoted(manifest.standardAttributes.join(":")),
    // The plug-in substitutes by itself, entry by entry and unescaped.
    p_substitute_attributes: boolean(false),
    p_subscribe_plugin_settings: boolean(true),
    p_help_text: text(manifest.help),
    p_version_identifier: quoted(version),
    p_files_version: filesVersion(files.map(({ content }) => content)),
  });
}

function createAttribute(manifest: Manifest, attribute: Attribute, position: number): string[] {
  const path = attributePath(manifest, attribute);
  const { shownWhen } = attribute;
  const statement = call("wwv_flow_imp_shared.create_plugin_attribute", {
    p_id: idOf(...path),
    p_plugin_id: idOf(manifest.name),
    p_attribute_scope: quoted(scopeOf(attribute)),
    p_attribute_sequence: String(attribute.number),
    p_display_sequence: String(10 * (position + 1)),
    p_prompt: quoted(attribute.label),
    p_attribute_type: quoted(attribute.type),
    p_is_required: boolean(false),
    p_default_value: attribute.defaultValue && quoted(attribute.defaultValue),
    p_max_length: attribute.maxLength?.toString(),
    p_unit: attribute.unit && quoted(attribute.unit),
    p_is_translatable: boolean(attribute.translatable ?? false),
    p_depending_on_attribute_id:
      shownWhen &&
      idOf(...attributePath(manifest, { number: shownWhen.attribute, scope: attribute.scope })),
    p_depending_on_has_to_exist: shownWhen && boolean(true),
    p_depending_on_condition_type: shownWhen && quoted(shownWhen.is),
    p_depending_on_expression: shownWhen?.value && quoted(shownWhen.value),
    p_lov_type: attribute.values && quoted("STATIC"),
    p_examples: attribute.examples && text(attribute.examples),
    p_help_text: text(attribute.help),
  });
  const values = (attribute.values ?? []).map((value, index) =>
    call("wwv_flow_imp_shared.create_plugin_attr_value", {
      p_id: idOf(...path, value.value),
      p_plugin_attribute_id: idOf(...path),
      p_display_sequence: String(10 * (index + 1)),
      p_display_value: quoted(value.display),
      p_return_value: quoted(value.value),
      p_help_text: text(value.help),
    }),
  );
  return [statement, ...values];
}

function createFile(manifest: Manifest, { fileName, mimeType, content }: Asset): string[] {
  const hex = Buffer.from(content).toString("hex").toUpperCase();
  const rows = hex.match(new RegExp(`.{1,${2 * BYTES_PER_ROW}}`, "g")) ?? [];
  return [
    block(
      "wwv_flow_imp.g_varchar2_table := wwv_flow_imp.empty_varchar2_table;",
      ...rows.map((row, index) => `wwv_flow_imp.g_varchar2_table(${index + 1}) := '${row}';`),
    ),
    block(
      call("wwv_flow_imp_shared.create_plugin_file", {
        p_id: idOf(manifest.name, "file", fileName),
        p_plugin_id: idOf(manifest.name),
        p_file_name: quoted(fileName),
        p_mime_type: quoted(mimeType),
        p_file_charset: quoted("utf-8"),
        p_file_content: "wwv_flow_imp.varchar2_to_blob(wwv_flow_imp.g_varchar2_table)",
      }),
    ),
  ];
}

/** The export's text. `version` is the plug-in's; the same input gives the same bytes. */
export async function exportSql(
  manifest: Manifest,
  release: Release,
  version: string,
): Promise<string> {
  const files = manifest.file ? await assets(manifest.file, version) : [];
  const folder = FOLDERS[manifest.type];
  const parts = [
    "prompt --application/set_environment",
    "set define off verify off feedback off",
    "whenever sqlerror exit sql.sqlcode rollback",
    `--
-- ${manifest.displayName} ${version}, a plug-in of apex-rtm (MIT license).
-- Generated by "npm run build:apex" from readable sources; edit those.
--
-- Import it with Shared Components > Plug-ins > Import, or with SQLcl or SQL*Plus as the parsing
-- schema after apex_application_install.set_workspace and set_application_id.
--`,
    block(
      call("wwv_flow_imp.import_begin", {
        p_version_yyyy_mm_dd: quoted(RELEASES[release]),
        p_release: quoted(`${release}.0`),
        p_default_workspace_id: "1",
        p_default_application_id: "100",
        p_default_id_offset: "0",
        p_default_owner: quoted("APEX_RTM"),
      }),
    ),
    `prompt APPLICATION 100 - apex-rtm
--
-- Application Export:
--   Application:     100
--   Name:            apex-rtm
--   Export Type:     Component Export
--   Manifest
--     PLUGIN: ${componentId(manifest.name)}
--   Manifest End
--   Version:         ${release}.0
--`,
    block("  -- replace components", "  wwv_flow_imp.g_mode := 'REPLACE';"),
    `prompt --application/shared_components/plugins/${folder}/${manifest.name.toLowerCase()}`,
    block(
      createPlugin(manifest, release, version, files),
      ...manifest.attributes.flatMap((attribute, index) =>
        createAttribute(manifest, attribute, index),
      ),
      ...(manifest.events ?? []).map((event) =>
        call("wwv_flow_imp_shared.create_plugin_event", {
          p_id: idOf(manifest.name, "event", event.name),
          p_plugin_id: idOf(manifest.name),
          p_name: quoted(event.name),
          p_display_name: quoted(event.displayName),
        }),
      ),
    ),
    ...files.flatMap((file) => createFile(manifest, file)),
    "prompt --application/end_environment",
    block(
      "wwv_flow_imp.import_end(p_auto_install_sup_obj => nvl(wwv_flow_application_install.get_auto_install_sup_obj, false));",
      "commit;",
    ),
    "set verify on feedback on define on",
    "prompt  ...done",
  ];
  return `${parts.join("\n")}\n`;
}
