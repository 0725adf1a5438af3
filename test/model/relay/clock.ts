/** Time that passes only when a history says so, for the relay and for the pages, which share a process. */
import { vi } from "vitest";
import type { Network } from "./network.ts";

/** When every history begins, ms since 1970. */
export const BEGIN_MS = Date.UTC(2026, 10, 26, 12);
/** Longest step, ms: whatever comes of one is there before the next. */
const STEP_MS = 20;

/** Stops all clocks and timers but those of Node itself. Turns of the event loop go on. */
export function stopClock(): void {
  vi.useFakeTimers({
    now: BEGIN_MS,
    toFake: [
      "setTimeout",
      "clearTimeout",
      "setInterval",
      "clearInterval",
      "Date",
      "performance",
      "hrtime",
    ],
  });
}

export function startClock(): void {
  vi.useRealTimers();
}

/** Ms of the clock that never jumps. */
export function now(): number {
  return performance.now();
}

/** Lets time pass while frames are under way. */
export async function hurry(network: Network, ms: number): Promise<void> {
  for (let left = ms; left > 0; left--) {
    vi.advanceTimersByTime(1);
    await network.turns(1);
  }
}

/** Lets time pass for a network that is faster than any timer. */
export async function pass(network: Network, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= STEP_MS) {
    vi.advanceTimersByTime(Math.min(left, STEP_MS));
    await network.quiet();
  }
}
