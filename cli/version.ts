/** Version of the package, and where it lies. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

function findRoot(from: string): string {
  for (let directory = from; ; directory = dirname(directory)) {
    try {
      const text = readFileSync(join(directory, "package.json"), "utf8");
      if ((JSON.parse(text) as { name?: string }).name === "apex-rtm") return directory;
    } catch {
      // Not here: one level up.
    }
    if (directory === dirname(directory))
      throw new Error(`no package.json of apex-rtm above ${from}`);
  }
}

/** Directory of the package: of its package.json, whether run from source or from build/. */
export const PACKAGE_ROOT = findRoot(dirname(fileURLToPath(import.meta.url)));

/** Version of the package. */
export const VERSION = (
  JSON.parse(readFileSync(join(PACKAGE_ROOT, "package.json"), "utf8")) as { version: string }
).version;
