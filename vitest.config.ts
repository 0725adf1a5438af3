import { defineConfig } from "vitest/config";

/** Folders whose tests leave nothing behind, so that a process may run them one after the other. */
const TIDY = [
  "test/apex/**/*.test.ts",
  "test/common/**/*.test.ts",
  "test/docs/**/*.test.ts",
  "test/worker/**/*.test.ts",
];

export default defineConfig({
  test: {
    // Built into the database; sql/api/http/websocket_sender_module.js imports it.
    alias: { "mle-js-fetch": new URL("test/sql/mle/mle-js-fetch.ts", import.meta.url).pathname },
    globalSetup: ["test/support/global-setup.ts", "test/oracle-contract/global-setup.ts"],
    pool: "forks",
    maxWorkers: 2,
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
