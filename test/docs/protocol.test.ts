/** docs/protocol.md and relay/contract/protocol.ts say the same. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { CLOSE, CODES } from "../../relay/contract/protocol.ts";

const page = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8");

/** The cells of the table under a heading, without its head. */
function table(heading: string): string[][] {
  const section = page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`docs/protocol.md has no section "${heading}"`);
  return section
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .slice(2)
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll("`", "")),
    );
}

it("lists the close codes", () => {
  const rows = table("Close codes").map(([code, name]) => [name, Number(code)]);
  expect(rows).toEqual(Object.entries(CLOSE));
});

it("lists the codes", () => {
  expect(table("Codes").map(([code]) => code)).toEqual([...CODES]);
});

it("sorts close codes by what the client does", () => {
  for (const code of Object.values(CLOSE))
    expect(Math.floor(code / 100)).toBeGreaterThanOrEqual(40);
  expect(new Set(Object.values(CLOSE)).size).toBe(Object.keys(CLOSE).length);
});
