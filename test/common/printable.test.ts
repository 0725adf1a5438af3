import { expect, it } from "vitest";
import { printable } from "../../common/printable.ts";

it("what a terminal obeys is written out, all else stays", () => {
  expect(printable("a\u001b[2Jb\u009b31m\u202ec\r\n\td\u007f")).toBe(
    "a\\u001b[2Jb\\u009b31m\\u202ec\\u000d\n\td\\u007f",
  );
  expect(printable("grün € 😀")).toBe("grün € 😀");
});
