/** The workflows of GitHub, which run nowhere else. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const FOLDER = ".github/workflows";

it.each(readdirSync(FOLDER))(
  "%s uses actions by the hash of a commit, with its version",
  (name) => {
    const lines = readFileSync(join(FOLDER, name), "utf8").split("\n");
    const uses = lines.filter((line) => /^\s*(- )?uses:/.test(line));
    expect(uses.length).toBeGreaterThan(0);
    for (const line of uses) expect(line).toMatch(/@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  },
);

it.each(readdirSync(FOLDER))("%s runs scripts that package.json has", (name) => {
  const { scripts } = JSON.parse(readFileSync("package.json", "utf8"));
  const called = readFileSync(join(FOLDER, name), "utf8").matchAll(/npm run ([\w:-]+)/g);
  for (const [, script] of called) expect(Object.keys(scripts)).toContain(script);
});
