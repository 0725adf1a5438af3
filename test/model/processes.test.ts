/**
 * Random histories with real processes and `kill -9`: RTM_TEST_PROCESS_ROUNDS sets how many
 * (default 6), RTM_TEST_SEED repeats one.
 */
import { it } from "vitest";
import { startProcess } from "./process-node.ts";
import { playRounds } from "./rounds.ts";

const ROUNDS = Number(process.env.RTM_TEST_PROCESS_ROUNDS ?? 6);

it(
  `keeps its promises through kill -9 of real processes`,
  async () => {
    await playRounds(ROUNDS, {
      steps: 25,
      start: startProcess,
      weights: {
        call: 30,
        commit: 25,
        rollback: 5,
        "kill publisher": 2,
        "kill session": 6,
        "terminate session": 2,
        "freeze session": 0,
        "kill frozen": 0,
        // The relay inside the process cannot be told to refuse.
        refuse: 0,
        away: 1,
        crash: 6,
        restart: 2,
        "cut client": 5,
        pause: 10,
      },
    });
  },
  Math.max(600_000, ROUNDS * 60_000),
);
