/** Component ids: the same for the same plug-in in every build, unlikely to meet others. */
import { createHash } from "node:crypto";

const LOWEST = 100_000_000_000_000_000n;

/** An 18-digit id derived from what the element is. */
export function componentId(...path: (string | number)[]): string {
  const digest = createHash("sha256")
    .update(["apex-rtm", ...path].join("/"))
    .digest("hex");
  return String(LOWEST + (BigInt(`0x${digest.slice(0, 20)}`) % (9n * LOWEST)));
}

export function idOf(...path: (string | number)[]): string {
  return `wwv_flow_imp.id(${componentId(...path)})`;
}

/** A number that changes with the files, so that browsers fetch them anew. */
export function filesVersion(contents: readonly string[]): string {
  const hash = createHash("sha256");
  for (const content of contents) hash.update(content).update("\0");
  return String(Number.parseInt(hash.digest("hex").slice(0, 7), 16) + 1);
}
