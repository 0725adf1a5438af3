import fc from "fast-check";
import { expect, it } from "vitest";
import { chunks } from "../../apex-plugins/broadcast-da/page/chunks.ts";

const text = (unit: string, count: number, shift: number) => "x".repeat(shift) + unit.repeat(count);

it("pieces join to the text, fit into PL/SQL, and never cut a character", () => {
  const long = fc
    .tuple(fc.constantFrom("🌍", "ä🌍", "€", "x"), fc.nat(20_000), fc.nat(3))
    .map(([unit, count, shift]) => text(unit, count, shift));
  fc.assert(
    fc.property(fc.oneof(long, fc.string({ unit: "grapheme" })), (whole) => {
      const pieces = chunks(whole);
      expect(pieces.join("")).toBe(whole);
      for (const piece of pieces) {
        expect(piece).not.toBe("");
        expect(Buffer.byteLength(piece)).toBeLessThanOrEqual(32_767);
        expect(Buffer.from(piece).toString()).toBe(piece);
      }
    }),
  );
});
