/** `npm run version:write`: copies the version of package.json to the one other place that needs it. */
import { readFileSync, writeFileSync } from "node:fs";

const { version } = JSON.parse(readFileSync("package.json", "utf8"));
const file = "sql/install/features.sql";
const before = readFileSync(file, "utf8");
const place = /(c_schema_version constant varchar2\(20\) := ')[^']*'/;
if (!place.test(before)) throw new Error(`${file}: c_schema_version was not found`);
writeFileSync(file, before.replace(place, `$1${version}'`));
