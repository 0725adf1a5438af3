/** Builds the pages of the demo and the console into build/cli/.../page/. */
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

for (const name of ["demo", "console"]) {
  const source = `cli/${name}/page`;
  const outdir = `build/${source}`;
  mkdirSync(outdir, { recursive: true });
  const options = { outdir, bundle: true, minify: true } as const;
  await build({
    ...options,
    entryPoints: { page: join(source, "page.ts") },
    target: "es2022",
    format: "iife",
  });
  await build({ ...options, entryPoints: { page: join(source, "style.css") } });
  copyFileSync(join(source, "index.html"), join(outdir, "index.html"));
}
