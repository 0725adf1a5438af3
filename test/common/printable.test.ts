import fc from "fast-check";
import { expect, it } from "vitest";
import { printable, printableJson } from "../../common/printable.ts";

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const obeyed = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

it("what a terminal obeys is written out, all else stays", () => {
  expect(printable("a\u001b[2Jb\u009b31m\u202ec\r\n\td\u007f")).toBe(
    "a\\u001b[2Jb\\u009b31m\\u202ec\\u000d\n\td\\u007f",
  );
  expect(printable("grün € 😀")).toBe("grün € 😀");
});

it("a JSON text becomes one line that means the same", () => {
  fc.assert(
    fc.property(
      fc.json({ stringUnit: "binary", maxDepth: 1 }),
      fc.constantFrom(undefined, 2, "\t"),
      (json, indent) => {
        const value = JSON.parse(json);
        const line = printableJson(JSON.stringify(value, undefined, indent));
        expect(JSON.parse(line)).toEqual(value);
        expect(line).not.toMatch(/[\n\r]/);
        expect(line).not.toMatch(obeyed);
      },
    ),
    { numRuns: 30, examples: [['"\\u009b\\u202e\\u001b"', 2]] },
  );
});
