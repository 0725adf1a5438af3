/** Writes the documentation pages that are made from code: `npm run docs`. */
import { readFileSync, writeFileSync } from "node:fs";
import { cliReference } from "../cli/cli-reference.ts";
import { configReference } from "../cli/reference.ts";
import { withErrorTables } from "./error-tables.ts";

writeFileSync("docs/configuration.md", configReference());
writeFileSync("docs/errors.md", withErrorTables(readFileSync("docs/errors.md", "utf8")));
writeFileSync("docs/cli.md", cliReference());
