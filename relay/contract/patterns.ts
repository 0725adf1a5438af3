/** Channel patterns: an exact name, or a prefix written with a trailing `*` (`*` alone is all). */
import { nameProblem } from "./message.ts";

/** A channel name, or a prefix with a trailing `*`; `*` alone is every channel. */
export type ChannelPattern = string;

/** Why `pattern` cannot be a channel pattern, as the end of a sentence; undefined when it can. */
export function patternProblem(pattern: unknown): string | undefined {
  if (typeof pattern !== "string") return "must be a string";
  if (pattern === "*") return undefined;
  const problem = nameProblem(pattern.endsWith("*") ? pattern.slice(0, -1) : pattern);
  return problem && `${problem} (only a trailing * is allowed, for a prefix)`;
}

export function matchesPattern(pattern: ChannelPattern, channel: string): boolean {
  return pattern.endsWith("*") ? channel.startsWith(pattern.slice(0, -1)) : pattern === channel;
}

/** False when there are no patterns. */
export function matchesAny(patterns: readonly ChannelPattern[], channel: string): boolean {
  return patterns.some((pattern) => matchesPattern(pattern, channel));
}
