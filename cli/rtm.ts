#!/usr/bin/env node
/** The `rtm` command. Exit codes: 0 done, 1 failed, 2 wrong arguments or configuration. */
import { descriptorLimit } from "../common/descriptors.ts";
import { guardStart } from "./signals.ts";

// Later there may be no descriptor left to find it out.
const files = descriptorLimit();

/** Few open files are noticed first where modules are loaded, all at a time. */
function cannotLoad(error: unknown): never {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== "EMFILE") throw error;
  process.stderr.write(
    `rtm: this process may open ${files ?? "too few"} files, which is not enough to start: ` +
      "raise LimitNOFILE of the unit (ulimit -n in a shell) to 1024 or more\n",
  );
  // Wrong configuration, to a service manager: another try does not help.
  process.exit(2);
}

guardStart(process.argv[2]);
// Loaded afterwards: it takes some tenths of a second, in which a signal must not be lost.
const [{ CommanderError }, { EXIT, reportError }, { program }] = await Promise.all([
  import("commander"),
  import("./exit.ts"),
  import("./program.ts"),
]).catch(cannotLoad);

try {
  await program().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has printed the message already.
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  } else if ((error as NodeJS.ErrnoException).code === "EMFILE") cannotLoad(error);
  else process.exitCode = reportError(error);
}
