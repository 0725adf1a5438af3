import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Folders whose tests leave nothing behind, so that a process may run them one after the other. */
const TIDY = [
  "test/apex/**/*.test.ts",
  "test/common/**/*.test.ts",
  "test/docs/**/*.test.ts",
  "test/log-contract/**/*.test.ts",
  "test/relay/**/*.test.ts",
  "test/sql/**/*.test.ts",
  "test/worker/**/*.test.ts",
];

/** Small files that take longest, 80 s to 20 s: begun last, one of them would keep one processor busy alone. */
const LONG = ["sql/parse", "model/processes", "model/in-process", "apex/plsql", "sql/worker-calls"];

const rank = ({ moduleId }: TestSpecification) => {
  const place = LONG.findIndex((name) => moduleId.endsWith(`test/${name}.test.ts`));
  return place < 0 ? LONG.length : place;
};

/** The long ones first, then, as vitest does without figures of an earlier run, the largest files. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).sort((one, other) => rank(one) - rank(other));
  }
}

export default defineConfig({
  test: {
    // Built into the database; sql/api/http/websocket_sender_module.js imports it.
    alias: { "mle-js-fetch": new URL("test/sql/mle/mle-js-fetch.ts", import.meta.url).pathname },
    globalSetup: ["test/support/global-setup.ts", "test/oracle-contract/global-setup.ts"],
    pool: "forks",
    // Many wait for timers, browsers and processes: on two processors a third one fills their pauses.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: ["default"],
    projects: [
      // Elsewhere a file has a process of its own.
      { extends: true, test: { name: "own", include: ["test/**/*.test.ts"], exclude: TIDY } },
      { extends: true, test: { name: "tidy", include: TIDY, isolate: false } },
    ],
  },
});
