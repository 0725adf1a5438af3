/** The guard against a build that is older than its sources. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** Written last by `npm run build`. */
const NEWEST_OUTPUT = "build/cli/demo/page/index.html";
/** Everything that `npm run build` compiles or copies. */
const SOURCES = ["common", "relay", "worker", "cli", "emulator", "apex-plugins", "scripts"];
const SOURCE_FILE = /\.(ts|css|html)$/;

function* filesBelow(directory: string): Generator<string> {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (!entry.isDirectory()) yield path;
    else if (entry.name !== "dist") yield* filesBelow(path);
  }
}

/**
 * Why the build does not show what the sources say; undefined when it does.
 * @param root of the project
 */
export function staleBuild(root = "."): string | undefined {
  const output = join(root, NEWEST_OUTPUT);
  if (!existsSync(output)) return `${NEWEST_OUTPUT} is missing: run npm run build`;
  const builtAt = statSync(output).mtimeMs;
  for (const source of SOURCES) {
    for (const file of filesBelow(join(root, source))) {
      if (SOURCE_FILE.test(file) && statSync(file).mtimeMs > builtAt) {
        return `build/ is older than ${file}: run npm run build`;
      }
    }
  }
  return undefined;
}
