/** What happens at a time happens in the order of time, whatever the order in which it was planned. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { Schedule } from "../../emulator/aq/due.ts";
import { ManualClock } from "../../emulator/clock.ts";

it("gives what is due, earliest first, and keeps the rest", () => {
  const times = fc.array(fc.integer({ min: 0, max: 100 }), { maxLength: 60 });
  fc.assert(
    fc.property(times, fc.integer({ min: 0, max: 100 }), (planned, until) => {
      const clock = new ManualClock(0);
      let fired = 0;
      const schedule = new Schedule<number>(
        clock,
        () => fired++,
        () => false,
      );
      for (const at of planned) schedule.add(at, at);
      clock.advance(until);
      const due = planned.filter((at) => at <= until).sort((a, b) => a - b);
      expect(fired).toBe(due.length > 0 ? 1 : 0);
      expect(schedule.takeDue()).toEqual(due);
      clock.advance(100 - until);
      const later = planned.filter((at) => at > until).sort((a, b) => a - b);
      expect(schedule.takeDue()).toEqual(later);
      schedule.close();
    }),
  );
});

it("forgets what is dead once there is much of it", () => {
  const clock = new ManualClock(0);
  const schedule = new Schedule<number>(
    clock,
    () => {},
    (item) => item % 2 === 1,
  );
  for (let item = 0; item < 2500; item++) schedule.add(item, item);
  clock.advance(999);
  const due = schedule.takeDue();
  expect(due.length).toBe(500);
  expect(due.every((item) => item % 2 === 0)).toBe(true);
  schedule.close();
});
