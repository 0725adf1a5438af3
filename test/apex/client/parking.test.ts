import fc from "fast-check";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Link } from "../../../apex-plugins/client/link.ts";
import { Parking } from "../../../apex-plugins/client/parking.ts";

const MINUTE = 60_000;

/** The link's part: it can be parked and resumed. */
class FakeLink {
  state: "connected" | "parked" = "connected";
  park(): void {
    this.state = "parked";
  }
  resume(from: string): void {
    if (from === this.state) this.state = "connected";
  }
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function parkingOf(link: FakeLink, parkMs: () => number) {
  return new Parking(link as unknown as Link, parkMs);
}

it("pages that hide and show at random are parked when hidden for so long, and only then", () => {
  const step = fc.oneof(
    fc.constantFrom("hide" as const, "show" as const, "freeze" as const),
    fc.integer({ min: 1, max: 8 * MINUTE }),
  );
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 40 }),
      fc.integer({ min: 1, max: 6 }),
      (steps, limit) => {
        vi.setSystemTime(0);
        const link = new FakeLink();
        const parking = parkingOf(link, () => limit * MINUTE);
        let hiddenAt: number | undefined;
        let frozen = false;
        parking.look(true);
        for (const what of steps) {
          if (what === "show") {
            hiddenAt = undefined;
            frozen = false;
            parking.look(true);
          } else if (what === "hide") {
            hiddenAt ??= Date.now();
            parking.look(false);
          } else if (what === "freeze") {
            if (hiddenAt === undefined) continue;
            frozen = true;
            parking.freeze();
          } else vi.advanceTimersByTime(what);
          const due = hiddenAt !== undefined && Date.now() - hiddenAt >= limit * MINUTE;
          expect(link.state).toBe(due || frozen ? "parked" : "connected");
        }
        parking.end();
        expect(vi.getTimerCount()).toBe(0);
      },
    ),
    { endOnFailure: true },
  );
});

it("timers that a hidden page gets once a minute park it a little late", () => {
  const link = new FakeLink();
  const parking = parkingOf(link, () => 5 * MINUTE);
  parking.look(false);
  // The browser was asleep: the clock went on, the timers did not.
  vi.setSystemTime(Date.now() + 60 * MINUTE);
  expect(link.state).toBe("connected");
  vi.advanceTimersByTime(MINUTE);
  expect(link.state).toBe("parked");
  parking.look(true);
  expect(link.state).toBe("connected");
  parking.end();
});

it("a page that is to stay is never parked, also when frozen, until the listener is gone", () => {
  const link = new FakeLink();
  let parkMs = Number.POSITIVE_INFINITY;
  const parking = parkingOf(link, () => parkMs);
  parking.look(false);
  parking.freeze();
  vi.advanceTimersByTime(24 * 60 * MINUTE);
  expect(link.state).toBe("connected");
  parkMs = 5 * MINUTE;
  vi.advanceTimersByTime(MINUTE);
  expect(link.state).toBe("parked");
  parking.end();
});
