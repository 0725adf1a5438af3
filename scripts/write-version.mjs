/** `npm run version:write`: copies the version of package.json to the other places that need it. */
import { readFileSync, writeFileSync } from "node:fs";

const { version } = JSON.parse(readFileSync("package.json", "utf8"));

/** File and place of the version: what stands before it, itself, what follows. */
const PLACES = [
  ["sql/install/features.sql", /(c_schema_version constant varchar2\(20\) := ')[^']*(')/],
  ["packaging/kubernetes/apex-rtm.yaml", /(image: localhost\/apex-rtm:)\S+()/g],
];

for (const [file, place] of PLACES) {
  const before = readFileSync(file, "utf8");
  if (before.search(place) < 0) throw new Error(`${file}: the place of the version was not found`);
  writeFileSync(file, before.replace(place, `$1${version}$2`));
}
