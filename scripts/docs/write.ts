/** Writes the documentation pages that are made from code: `npm run docs`. */
import { readFileSync, writeFileSync } from "node:fs";
import { configReference } from "../../cli/reference.ts";
import { cliReference } from "./cli-page.ts";
import { withErrorTables } from "./errors-page.ts";

writeFileSync("docs/configuration.md", configReference());
writeFileSync("docs/errors.md", withErrorTables(readFileSync("docs/errors.md", "utf8")));
writeFileSync("docs/cli.md", cliReference());
