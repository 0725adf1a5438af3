/** `npm run build:apex`: writes apex-plugins/dist/. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { outputs } from "./outputs.ts";

const DIST = "apex-plugins/dist";
const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };

const files = await outputs(version);
rmSync(DIST, { recursive: true, force: true });
for (const [name, content] of files) {
  mkdirSync(dirname(join(DIST, name)), { recursive: true });
  writeFileSync(join(DIST, name), content);
}
