/** Plays rounds with printed seeds and fails with the first that breaks a promise. */
import { expect } from "vitest";
import { playRound, type RoundOptions } from "./round.ts";

/** Rounds at a time: they mostly wait for each other's sockets. */
const AT_ONCE = 2;

export async function playRounds(rounds: number, options: Omit<RoundOptions, "seed">) {
  const { RTM_TEST_SEED: given } = process.env;
  const first = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
  const count = given === undefined ? rounds : 1;
  console.log(`model: seeds ${first} to ${first + count - 1} (RTM_TEST_SEED repeats one)`);
  const failures: string[] = [];
  let next = 0;
  const lane = async () => {
    while (next < count && failures.length === 0) {
      const seed = first + next++;
      const problems = await playRound({ ...options, seed });
      if (problems.length > 0) failures.push(`RTM_TEST_SEED=${seed}\n${problems.join("\n")}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  expect(failures.join("\n\n")).toBe("");
}
