import { expect, it } from "vitest";
import { printable, printableLine } from "../../common/printable.ts";

it("what a terminal obeys is written out, all else stays", () => {
  expect(printable("a\u001b[2Jb\u009b31m\u202ec\r\n\td\u007f")).toBe(
    "a\\u001b[2Jb\\u009b31m\\u202ec\\u000d\n\td\\u007f",
  );
  expect(printable("grün € 😀")).toBe("grün € 😀");
});

it("what must stay on one line is written on one line", () => {
  expect(printableLine("a\nb\t\u001b[2J\r")).toBe("a\\u000ab\\u0009\\u001b[2J\\u000d");
});
