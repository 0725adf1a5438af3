/**
 * Builds what is made from `sql/`: `npm run build:sql`. The MLE module goes into its script, the
 * scripts become one flat file each, and docs/sql-api.md gets the specifications. A test checks that
 * what is committed is current.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { builtFiles } from "./sql-files.ts";

mkdirSync("dist", { recursive: true });
for (const [path, text] of builtFiles()) {
  writeFileSync(path, text);
  console.log(path);
}
