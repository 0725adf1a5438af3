/** The version stands in package.json; RELEASING.md says how it gets elsewhere. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { VERSION } from "../../cli/version.ts";

it.each([
  ["sql/install/features.sql", /c_schema_version constant varchar2\(20\) := '([^']*)'/],
  ["package-lock.json", /"name": "apex-rtm",\s*"version": "([^"]*)"/],
] as const)("%s has the version of package.json (npm run version:write)", (file, pattern) => {
  expect(pattern.exec(readFileSync(file, "utf8"))?.[1]).toBe(VERSION);
});
