/** When a node counts as dead, by a hand clock. */
import { describe, expect, it } from "vitest";
import { Neighbours, TIMES } from "../../relay/presence/neighbours.ts";

describe("neighbours", () => {
  it("are dead 10 to 12 s after their last word, not before", () => {
    const { beatMs, goneMs } = TIMES;
    // A timer is always a little late.
    const period = beatMs + 1;
    for (let word = 0; word < 2 * period; word += 50) {
      const neighbours = new Neighbours(TIMES);
      neighbours.reset(["b"]);
      let foundAt: number | undefined;
      let said = false;
      for (let now = 0; foundAt === undefined; now += period) {
        if (!said && word < now) {
          neighbours.heard("b");
          said = true;
        }
        if (neighbours.silent(now, "a").length > 0) foundAt = now;
      }
      expect(foundAt - word).toBeGreaterThan(goneMs);
      expect(foundAt - word).toBeLessThanOrEqual((goneMs / beatMs + 1) * period);
    }
  });

  it("one that speaks after it was found silent is alive", () => {
    const neighbours = new Neighbours({ beatMs: 10, goneMs: 15 });
    neighbours.reset(["b"]);
    const found = [0, 10, 20].flatMap((now) => neighbours.silent(now, "a"));
    expect(found).toEqual(["b"]);
    expect(neighbours.isSilent("b")).toBe(true);
    neighbours.heard("b");
    expect(neighbours.isSilent("b")).toBe(false);
    expect(neighbours.silent(30, "a")).toEqual([]);
  });
});
