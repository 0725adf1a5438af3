/** What a schema has against a value, in words: the only place that makes them of zod's issues. */
import type { z } from "zod";

/** `worker.queues[0].name` */
export function dotted(path: readonly PropertyKey[]): string {
  return path
    .map((step, index) =>
      typeof step === "number" ? `[${step}]` : (index ? "." : "") + String(step),
    )
    .join("");
}

/**
 * One sentence per issue, which begins with the field.
 * @param whole names what has no field, such as `the body`
 */
export function issueTexts(issues: readonly z.core.$ZodIssue[], whole: string): string[] {
  return issues.flatMap((issue) =>
    issue.code === "unrecognized_keys"
      ? issue.keys.map((key) => `${dotted([...issue.path, key])} is not known here: leave it out`)
      : [`${dotted(issue.path) || whole}: ${issue.message}`],
  );
}
