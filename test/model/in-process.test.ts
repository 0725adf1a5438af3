/**
 * Random histories against the model: RTM_TEST_ROUNDS sets how many (default 120), RTM_TEST_SEED
 * repeats one.
 */
import { it } from "vitest";
import { startInProcess } from "./node.ts";
import type { Step } from "./round.ts";
import { playRounds } from "./rounds.ts";

const ROUNDS = Number(process.env.RTM_TEST_ROUNDS ?? 120);
const WEIGHTS: Readonly<Record<Step, number>> = {
  call: 30,
  commit: 20,
  rollback: 6,
  "kill publisher": 2,
  "kill session": 8,
  "terminate session": 2,
  "freeze session": 2,
  "kill frozen": 3,
  refuse: 4,
  away: 2,
  crash: 3,
  restart: 2,
  "cut client": 6,
  pause: 12,
};

it(
  "keeps its promises in random histories",
  async () => {
    await playRounds(ROUNDS, { steps: 25, start: startInProcess, weights: WEIGHTS });
  },
  Math.max(600_000, ROUNDS * 3_000),
);
