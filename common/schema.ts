/** Building blocks for the configuration schemas of the rooms. */
import { z } from "zod";
import { formatDuration, formatSize, parseDuration, parseSize } from "./units.ts";

interface Range {
  /** Smallest accepted value, in the unit of the result (ms or bytes). */
  min?: number;
  /** Largest accepted value, in the unit of the result (ms or bytes). */
  max?: number;
}

function unit(
  what: string,
  example: string,
  parse: (text: string) => number | undefined,
  format: (value: number) => string,
  { min = 0, max = Number.MAX_SAFE_INTEGER }: Range,
) {
  return z
    .string({
      // A number has no unit; the most likely slip of all.
      error: ({ input }) =>
        typeof input === "number"
          ? `a ${what} needs a unit; write it like "${example}"`
          : undefined,
    })
    .meta({ format: what, examples: [example] })
    .transform((text, context) => {
      const value = parse(text);
      if (value === undefined) {
        context.addIssue({
          code: "custom",
          message: `"${text}" is not a ${what}; write it like "${example}"`,
        });
        return z.NEVER;
      }
      if (value < min || value > max) {
        context.addIssue({
          code: "custom",
          message: `must be between ${format(min)} and ${format(max)}`,
        });
        return z.NEVER;
      }
      return value;
    });
}

/** A duration such as `"5s"`; the parsed value is milliseconds. */
export function duration(range: Range = {}) {
  return unit("duration", "5s", parseDuration, formatDuration, range);
}

/** A size such as `"64KiB"`; the parsed value is bytes. */
export function size(range: Range = {}) {
  return unit("size", "64KiB", parseSize, formatSize, range);
}

/** A TCP port; 0 lets the system choose. */
export function port(description: string, value: number) {
  return z.number().int().min(0).max(65535).default(value).describe(description);
}

/** A whole number with a default. */
export function count(description: string, value: number, min = 1, max = 100_000_000) {
  return z.number().int().min(min).max(max).default(value).describe(description);
}

/** Names the key by its path, relative to the schema that is being checked, and says what is wrong. */
export type Problem = (path: (string | number)[], message: string) => void;

/**
 * Text that `problemOf` has nothing against; the problem it names is the message.
 * @param needed the message where there is no text
 */
export function textWithout(problemOf: (text: string) => string | undefined, needed?: string) {
  return z.string(needed).superRefine((text, context) => {
    const problem = problemOf(text);
    if (problem) context.addIssue({ code: "custom", message: problem });
  });
}
