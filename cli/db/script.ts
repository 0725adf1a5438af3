/** SQL*Plus scripts as the driver needs them: includes expanded, cut into single statements. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { CommandError } from "../exit.ts";
import { PACKAGE_ROOT } from "../version.ts";

export const SQL_FOLDER = join(PACKAGE_ROOT, "sql");

/**
 * The text of a script with its `@@` includes, relative to the including file, and without its other
 * SQL*Plus commands. What is left is SQL and PL/SQL, each statement ended by a line with a slash.
 */
export function expandScript(file: string): string {
  const lines = readFileSync(file, "utf8").split("\n");
  if (!lines.some((line) => line.startsWith("@@"))) return lines.join("\n");
  return lines
    .filter((line) => !isClientCommand(line))
    .map((line) =>
      line.startsWith("@@") ? expandScript(join(dirname(file), line.slice(2).trim())) : line,
    )
    .join("\n");
}

/** True for a command of SQL*Plus in a wrapper: a script with includes, or a flat one. */
export function isClientCommand(line: string): boolean {
  return /^(set|whenever|prompt|define|exit)\b/i.test(line);
}

export interface Statement {
  readonly text: string;
  /** What it does, for messages: its first line that is not a comment. */
  readonly title: string;
}

/** @throws {CommandError} when the last statement lacks its slash: nothing may be left out silently */
export function splitScript(text: string): Statement[] {
  const parts = text.split(/^\/[ \t]*$/m);
  const rest = parts.pop() ?? "";
  if (code(rest).length > 0) {
    throw new CommandError(`the script does not end with a slash: ${code(rest)[0]}`);
  }
  return parts.map((part) => ({ text: part.trim(), title: code(part)[0] ?? "" }));
}

/** Lines that are neither empty nor comments. */
function code(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("--"));
}
