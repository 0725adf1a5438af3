/** The files that are built from `sql/`, as text. Paths are relative to the package. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expandScript, SQL_FOLDER } from "../cli/db/script.ts";
import { PACKAGE_ROOT } from "../cli/version.ts";

const read = (path: string) => readFileSync(join(PACKAGE_ROOT, path), "utf8");

const MLE_SCRIPT = "sql/api/http/websocket_sender.sql";
const MLE_MODULE = "sql/api/http/websocket_sender_module.js";
/** Every specification, by the name of its package. */
const SPECS = new Map(
  readdirSync(join(SQL_FOLDER, "api"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".pks"))
    .map((path) => [basename(path, ".pks"), `sql/api/${path}`]),
);
const API_PAGE = "docs/sql-api.md";

/** The script with the module's source in the literal that creates it. */
function mleScript(): string {
  const module = read(MLE_MODULE).trimEnd();
  return read(MLE_SCRIPT).replace(
    /(language javascript as\n)[\s\S]*?(~';\n)/,
    (_, before: string, after: string) => before + module + after,
  );
}

/** What SQL*Plus, SQLcl and SQL Developer need, and APEX SQL Scripts passes over. */
const CLIENT_COMMANDS = [
  "set define off",
  "set sqlblanklines on",
  "set serveroutput on size unlimited format wrapped",
  "whenever sqlerror exit failure rollback",
];

function flatScript(name: string, purpose: string): string {
  const header = [
    `-- ${purpose} One file for SQL*Plus, SQLcl, SQL Developer and APEX SQL Scripts:`,
    "-- no includes, no substitution variables. Built by npm run build:sql from",
    `-- sql/${name}.sql; change it there. Run it as the schema that owns, or will own, the objects.`,
    "-- It stops at the first error and shows what it found, except in APEX SQL Scripts, which passes over",
    "-- the commands below and goes on: read the results there.",
    ...CLIENT_COMMANDS,
  ];
  const body = expandScript(join(SQL_FOLDER, `${name}.sql`)).replace(/^(?:--[^\n]*\n)+/, "");
  return `${header.join("\n")}\n${body.trim()}\nexit success\n`;
}

/** The page with each `<!-- spec:PACKAGE -->` block replaced by that package's specification. */
function apiPage(): string {
  return read(API_PAGE).replace(
    /(<!-- spec:(\w+) -->\n)[\s\S]*?(<!-- \/spec -->)/g,
    (_, open: string, name: string, close: string) => {
      const spec = read(SPECS.get(name) as string).replace(/\n\/\n$/, "");
      return `${open}\n\`\`\`sql\n${spec}\n\`\`\`\n\n${close}`;
    },
  );
}

/** In this order: the flat script includes the MLE script, so that one must be current on disk. */
export function* builtFiles(): Generator<[path: string, text: string]> {
  yield [MLE_SCRIPT, mleScript()];
  yield [
    "dist/rtm-install.sql",
    flatScript("install", "Installs or upgrades the database side of apex-rtm."),
  ];
  yield [
    "dist/rtm-uninstall.sql",
    flatScript("uninstall", "Removes the database side of apex-rtm."),
  ];
  yield [API_PAGE, apiPage()];
}
