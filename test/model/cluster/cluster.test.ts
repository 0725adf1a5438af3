/**
 * Thousands of histories of many nodes on one log, without a server: engines that lose their tail or
 * take another's data, FLUSHALL, trims, partitions, lost answers, batches that arrive late, workers that
 * stand still or die before their commit, pages that move. RTM_TEST_ROUNDS sets how many, RTM_TEST_SEED
 * repeats one and prints its trace.
 */
import { describe, expect, it } from "vitest";
import { type HistoryOptions, playHistory } from "./history.ts";
import { ALL_RULES, RULES, type Rule } from "./rules.ts";

const { RTM_TEST_SEED: given } = process.env;
/** Ten times as many as the histories of the whole service, which are slower. */
const ROUNDS = Number(process.env.RTM_TEST_ROUNDS ?? 100) * 10;

/** Small logs, long histories: what goes wrong when everything is trimmed under one's feet. */
const TRIMMED = { trims: [0, 1, 1], steps: 300 } as const;

function expectKept(options: HistoryOptions): void {
  const { found, trace } = playHistory(options);
  if (found.length === 0) return;
  throw new Error(
    `RTM_TEST_SEED=${options.seed} ${JSON.stringify(found)}\n${trace.slice(-200).join("\n")}`,
  );
}

describe("the shared log in histories of many nodes", () => {
  it("loses nothing, repeats nothing, keeps the order, and leaves no node deaf", {
    timeout: Math.max(120_000, ROUNDS * 100),
  }, () => {
    const first = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
    const count = given === undefined ? ROUNDS : 1;
    console.log(
      `cluster model: seeds ${first} to ${first + count - 1} (RTM_TEST_SEED repeats one)`,
    );
    for (let seed = first; seed < first + count; seed++) {
      expectKept({ seed });
      if (seed % 4 === 0) expectKept({ seed, ...TRIMMED });
    }
  });

  /**
   * A history that breaks a promise without the rule, and none with it. Some rules cover for others:
   * their histories are played without those on both sides.
   */
  const needed: {
    rule: Rule;
    seed: number;
    alsoOff?: Rule[];
    more?: Omit<HistoryOptions, "seed">;
  }[] = [
    { rule: "probe", seed: 74 },
    { rule: "empty", seed: 1812, more: TRIMMED },
    { rule: "chain", seed: 42, alsoOff: ["replid"] },
    { rule: "acked", seed: 245, alsoOff: ["replid"] },
    { rule: "replid", seed: 130 },
    { rule: "attach", seed: 9, alsoOff: ["probe"] },
    { rule: "gen", seed: 4, alsoOff: ["probe"] },
    { rule: "ids", seed: 277 },
    { rule: "token", seed: 5 },
    { rule: "whole", seed: 6914 },
    { rule: "snap", seed: 576, more: TRIMMED },
    { rule: "caught", seed: 264 },
    { rule: "replay", seed: 6 },
    { rule: "heads", seed: 1299 },
  ];

  it.each(needed)("needs the rule $rule (seed $seed)", ({ rule, seed, alsoOff = [], more }) => {
    expect(playHistory({ seed, off: [rule, ...alsoOff], ...more }).found).not.toEqual([]);
    expect(playHistory({ seed, off: alsoOff, ...more }).found).toEqual([]);
  });

  it("has a history for every rule", () => {
    expect(new Set(needed.map(({ rule }) => rule))).toEqual(new Set(ALL_RULES));
    expect(Object.values(RULES).every((why) => why.length > 20)).toBe(true);
  });

  it("plays the same history again for the same seed", () => {
    expect(playHistory({ seed: 7 }).trace).toEqual(playHistory({ seed: 7 }).trace);
  });
});
