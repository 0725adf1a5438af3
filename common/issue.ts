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

/** By what zod calls them: how JSON writes them. */
const NEEDED: Readonly<Record<string, string>> = {
  string: "text in quotes",
  number: "a number",
  int: "a whole number",
  boolean: "true or false, without quotes",
  array: "a list, in [ and ]",
  object: "an object, in { and }",
};
const FOUND: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  null: "null",
};

/** What must be there instead: the issue's own message where its schema has one. */
export function problemText(issue: z.core.$ZodIssue): string {
  // What zod says where no schema has words for it.
  if (!/^(Invalid|Too small|Too big)\b/.test(issue.message)) return issue.message;
  switch (issue.code) {
    case "invalid_type": {
      const needed = NEEDED[issue.expected] ?? issue.expected;
      const found = /received (\w+)$/.exec(issue.message)?.[1] ?? "";
      if (found === "undefined") return `is missing: ${needed} is needed`;
      // A fraction is a number, too.
      const isOther = FOUND[found] !== undefined && issue.expected !== "int";
      return `must be ${needed}${isOther ? `, not ${FOUND[found]}` : ""}`;
    }
    case "invalid_value":
      return `must be ${issue.values.length > 1 ? "one of " : ""}${issue.values.join(", ")}`;
    case "too_small":
      return `must ${bound(issue.origin, `at least ${issue.minimum}`)}`;
    case "too_big":
      return `must ${bound(issue.origin, `at most ${issue.maximum}`)}`;
    default:
      return issue.message;
  }
}

function bound(origin: string, count: string): string {
  if (origin === "string") return `have ${count} characters`;
  return origin === "array" ? `have ${count} entries` : `be ${count}`;
}

/**
 * One sentence per issue, which begins with the field.
 * @param whole names what has no field, such as `the body`
 */
export function issueTexts(issues: readonly z.core.$ZodIssue[], whole: string): string[] {
  return issues.flatMap((issue) =>
    issue.code === "unrecognized_keys"
      ? issue.keys.map((key) => `${dotted([...issue.path, key])} is not known here: leave it out`)
      : [`${dotted(issue.path) || whole}: ${problemText(issue)}`],
  );
}
