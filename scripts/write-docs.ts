/** Writes the documentation pages that are made from code: `npm run docs`. */
import { writeFileSync } from "node:fs";
import { configReference } from "../cli/reference.ts";

writeFileSync("docs/configuration.md", configReference());
