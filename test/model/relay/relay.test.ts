/**
 * Random histories of pages with tokens, filters and places in a room, over WebSockets, streams and polls,
 * against a model of what each may see: the relay's own code, on a clock that is moved by hand. A few known
 * ones; RTM_TEST_ROUNDS sets how many of chance (RTM_TEST_LONG=1: as many as five minutes have room for),
 * RTM_TEST_SEED repeats one.
 */
import { describe, expect, it } from "vitest";
import { ALL_FAULTS, FAULTS } from "./faults.ts";
import { playHistory } from "./history.ts";

const { RTM_TEST_SEED: seed, RTM_TEST_LONG: long, RTM_TEST_ROUNDS: rounds } = process.env;
const KNOWN = 8;
const LONG_MS = 5 * 60_000;

/** How many histories from which seed on, and for how long at most. */
function extent(): { readonly first: number; readonly count: number; readonly ms: number } {
  const ms = Number.POSITIVE_INFINITY;
  if (seed !== undefined) return { first: Number(seed), count: 1, ms };
  const first = Math.floor(Math.random() * 2 ** 31);
  if (rounds !== undefined) return { first, count: Number(rounds), ms };
  if (long === "1") return { first, count: Number.POSITIVE_INFINITY, ms: LONG_MS };
  return { first: 1, count: KNOWN, ms };
}

async function expectKept(played: number): Promise<void> {
  const { found, trace } = await playHistory({ seed: played });
  if (found.length === 0) return;
  const all = found.map(({ kind, what }) => `${kind}: ${what}`);
  throw new Error([`RTM_TEST_SEED=${played}`, ...all, ...trace.slice(-150)].join("\n"));
}

describe("everything that pages get, in random histories", () => {
  const { first, count, ms } = extent();

  it("is what they may see, in order, without a gap that is not told", {
    timeout: Math.max(2 * LONG_MS, Number(rounds ?? 0) * 5000),
  }, async () => {
    const end = performance.now() + ms;
    let next = first;
    while (next < first + count && performance.now() < end) await expectKept(next++);
    console.log(`relay model: seeds ${first} to ${next - 1} (RTM_TEST_SEED repeats one)`);
  });

  it.each(ALL_FAULTS)("would show: %s", { timeout: 120_000 }, async (fault) => {
    const { seed: found, kinds } = FAULTS[fault];
    const [shown] = (await playHistory({ seed: found, fault })).found;
    expect(kinds, shown?.what).toContain(shown?.kind);
  });

  it("plays the same history again for the same seed", { timeout: 120_000 }, async () => {
    expect((await playHistory({ seed: 7 })).trace).toEqual((await playHistory({ seed: 7 })).trace);
  });
});
