/** docs/errors.md tells exactly what the sources can throw. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { withErrorTables } from "../../scripts/docs/errors-page.ts";
import { POISON_CODES } from "../../worker/decode.ts";

const page = readFileSync("docs/errors.md", "utf8");
const ROOMS = ["common", "relay", "worker", "cli"];

/** The first argument of every RtmError, and of `super` in its subclasses. */
function thrownCodes(): string[] {
  const codes = new Set<string>();
  for (const room of ROOMS) {
    for (const file of readdirSync(room, { recursive: true, encoding: "utf8" })) {
      if (!file.endsWith(".ts")) continue;
      const source = readFileSync(`${room}/${file}`, "utf8");
      for (const [, code] of source.matchAll(/(?:RtmError|super)\(\s*"(RTM_[A-Z_]+)"/g)) {
        codes.add(code!);
      }
    }
  }
  return [...codes].sort();
}

it("has a section for every code that is thrown, and for no other", () => {
  const sections = [...page.matchAll(/^## (RTM_[A-Z_]+)$/gm)].map(([, code]) => code);
  expect(sections).toEqual(thrownCodes());
  expect(sections.length).toBeGreaterThan(10);
});

it("says something in every section", () => {
  for (const section of page.split(/^## /m).slice(1)) {
    expect(section.split("\n").slice(1).join("").length, section.split("\n")[0]).toBeGreaterThan(
      60,
    );
  }
});

it("shows the table of Oracle errors as it is in the code (npm run docs)", () => {
  expect(page).toBe(withErrorTables(page));
});

it("lists every poison code", () => {
  const poison = page.slice(page.indexOf("\n## Poison"));
  const listed = [...poison.matchAll(/^\| `([a-z0-9_]+)`/gm)].map(([, code]) => code);
  expect(listed).toEqual([...POISON_CODES]);
});
