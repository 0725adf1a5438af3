import { readFileSync } from "node:fs";

/** The secret that a file holds; a newline at its end does not count. @throws what reading threw */
export function readSecretFile(path: string): string {
  return readFileSync(path, "utf8").replace(/\r?\n$/, "");
}
