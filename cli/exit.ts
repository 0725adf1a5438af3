/** Exit codes of `rtm`, and what ends it. docs/cli.md lists them. */
import { ConfigError } from "../common/config.ts";
import { RtmError } from "../common/errors.ts";
import { printable } from "../common/printable.ts";

export const EXIT = {
  ok: 0,
  /** The command ran and failed. */
  failed: 1,
  /** Wrong arguments or configuration: nothing was started. A service manager should not retry. */
  usage: 2,
} as const;

/** A command that cannot do what was asked; its message is all that the user sees. */
export class CommandError extends RtmError {
  constructor(message: string, options?: { cause?: unknown }) {
    super("RTM_COMMAND_FAILED", message, options);
  }
}

/** Arguments that cannot mean anything; nothing was asked of anybody. */
export class UsageError extends CommandError {}

/** Prints what went wrong and returns the exit code. A stack is shown only for a defect. */
export function reportError(error: unknown): number {
  if (error instanceof ConfigError) {
    process.stderr.write(`rtm: ${printable(error.message)}\n`);
    return EXIT.usage;
  }
  if (error instanceof RtmError) {
    process.stderr.write(`rtm: ${printable(error.message)} (${error.code})\n`);
    return error instanceof UsageError ? EXIT.usage : EXIT.failed;
  }
  const shown = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`rtm: ${printable(shown)}\n`);
  return EXIT.failed;
}
