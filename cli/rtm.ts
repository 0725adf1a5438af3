#!/usr/bin/env node
/** The `rtm` command. Exit codes: 0 done, 1 failed, 2 wrong arguments or configuration. */
import { CommanderError } from "commander";
import { EXIT, reportError } from "./exit.ts";
import { program } from "./program.ts";

try {
  await program().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has printed the message already.
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  } else process.exitCode = reportError(error);
}
