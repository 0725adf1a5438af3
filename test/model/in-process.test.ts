/**
 * Random histories against the model: RTM_TEST_ROUNDS sets how many (default 200), RTM_TEST_SEED
 * repeats one.
 */
import { expect, it } from "vitest";
import { startInProcess } from "./node.ts";
import { playRound, type Step } from "./round.ts";

const ROUNDS = Number(process.env.RTM_TEST_ROUNDS ?? 200);
const SEED = process.env.RTM_TEST_SEED;
/** Rounds at a time: they mostly wait for each other's sockets. */
const AT_ONCE = 2;

const WEIGHTS: Readonly<Record<Step, number>> = {
  call: 30,
  commit: 20,
  rollback: 6,
  "kill publisher": 2,
  "kill session": 8,
  "terminate session": 2,
  "freeze session": 0.5,
  "kill frozen": 2,
  refuse: 4,
  away: 2,
  crash: 3,
  restart: 2,
  "cut client": 6,
  pause: 12,
};

it(
  `keeps its promises in ${SEED === undefined ? ROUNDS : 1} random histories`,
  async () => {
    const first = SEED === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(SEED);
    const count = SEED === undefined ? ROUNDS : 1;
    console.log(`model: seeds ${first} to ${first + count - 1} (RTM_TEST_SEED repeats one)`);
    const failures: string[] = [];
    let next = 0;
    const lane = async () => {
      while (next < count && failures.length === 0) {
        const seed = first + next++;
        const problems = await playRound({
          seed,
          steps: 25,
          start: startInProcess,
          weights: WEIGHTS,
        });
        if (problems.length > 0) failures.push(`RTM_TEST_SEED=${seed}\n${problems.join("\n")}`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
    expect(failures.join("\n\n")).toBe("");
  },
  Math.max(600_000, ROUNDS * 3_000),
);
