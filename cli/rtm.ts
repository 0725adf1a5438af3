#!/usr/bin/env node
/** The `rtm` command. Exit codes: 0 done, 1 failed, 2 wrong arguments or configuration. */
import { guardStart } from "./signals.ts";

guardStart(process.argv[2]);
// Loaded afterwards: it takes some tenths of a second, in which a signal must not be lost.
const [{ CommanderError }, { EXIT, reportError }, { program }] = await Promise.all([
  import("commander"),
  import("./exit.ts"),
  import("./program.ts"),
]);

try {
  await program().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has printed the message already.
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  } else process.exitCode = reportError(error);
}
