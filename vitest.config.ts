import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // Built into the database; sql/api/http/websocket_sender_module.js imports it.
    alias: { "mle-js-fetch": new URL("test/sql/mle/mle-js-fetch.ts", import.meta.url).pathname },
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts", "test/oracle-contract/global-setup.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: ["default"],
  },
});
