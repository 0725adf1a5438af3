/** Builds the demo's page into build/cli/demo/page/. */
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const SOURCE = "cli/demo/page";
const OUT = "build/cli/demo/page";

mkdirSync(OUT, { recursive: true });
await build({
  entryPoints: { page: join(SOURCE, "page.ts") },
  outdir: OUT,
  bundle: true,
  minify: true,
  target: "es2022",
  format: "iife",
});
await build({
  entryPoints: { page: join(SOURCE, "style.css") },
  outdir: OUT,
  bundle: true,
  minify: true,
});
copyFileSync(join(SOURCE, "index.html"), join(OUT, "index.html"));
