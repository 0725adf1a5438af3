/** What `rtm doctor` says: one line per check, with its fix. */

export type Verdict =
  | "ok"
  /** It works, but somebody should look at it. */
  | "warning"
  /** It cannot work, or loses something. */
  | "FAILED"
  /** The database does not show it to this user. */
  | "not visible"
  /** It needs a check that failed. */
  | "skipped";

export interface Finding {
  readonly check: string;
  readonly verdict: Verdict;
  readonly detail: string;
  readonly fix?: string | undefined;
}

export type Report = (finding: Finding) => void;

/** One line; line breaks of a driver's message do not break it. */
export function formatFinding({ check, verdict, detail, fix }: Finding): string {
  const line = `${verdict.padEnd(11)} ${check}: ${detail}${fix === undefined ? "" : `; fix: ${fix}`}`;
  return line.replace(/\s*\n\s*/g, " ");
}

/** The first line of an error's message: the driver appends a link in a second one. */
export function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0]!;
}

export function milliseconds(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}
