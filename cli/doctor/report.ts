/** What `rtm doctor` says: one line per check, with its fix. */
import { printable } from "../../common/printable.ts";
import type { Paint, Style } from "../colour.ts";

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

const STYLES: Readonly<Record<Verdict, readonly Style[]>> = {
  ok: ["green"],
  warning: ["yellow"],
  FAILED: ["red", "bold"],
  "not visible": ["dim"],
  skipped: ["dim"],
};

/** One line; line breaks of a driver's message do not break it. */
export function formatFinding(
  { check, verdict, detail, fix }: Finding,
  paint: Paint = (text) => text,
): string {
  const rest = `${check}: ${detail}${fix === undefined ? "" : `; fix: ${fix}`}`;
  return `${paint(verdict.padEnd(11), ...STYLES[verdict])} ${printable(rest.replace(/\s*\n\s*/g, " "))}`;
}

/** An error's message without the link that the driver appends in a line of its own. */
export function detailOf(error: unknown): string {
  const lines = (error instanceof Error ? error.message : String(error)).split("\n");
  return lines.filter((line) => line.trim() !== "" && !line.startsWith("Help: ")).join(" ");
}

export function milliseconds(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}
