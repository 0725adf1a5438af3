/** Builds the client into build/client/: classic script, ES module, CommonJS module, types of both. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { build, type Plugin } from "esbuild";
import { minify } from "terser";
import { BUNDLE } from "./target.ts";

const SOURCE = "apex-plugins/client";
const OUT = "build/client";
const BANNER = "/*! rtm-client of apex-rtm, MIT license */\n";
/**
 * Properties that get short names. Only such as one copy of the first file keeps to itself: copies on a
 * page share connections, listeners and token sources, and the second file is given channels.
 */
const OWN =
  /^(beforeFrame|pageAgeMs|positionsBefore|unready|hello|presenceRefused|tried|bare|moved|openSoon|impatient|asked|lose|positions|wake|pause|resume|freeze|look|stored|watched|closed|subscribed|idle|report)$/;

const MORE = "rtm-more.mjs";

/** What is imported when it is needed stays a file of its own, of which consumers make a chunk. */
const apart: Plugin = {
  name: "apart",
  setup({ onResolve }) {
    onResolve({ filter: /\/more\.ts$/ }, ({ kind }) =>
      kind === "dynamic-import" ? { path: `./${MORE}`, external: true } : undefined,
    );
  },
};

async function bundle(entry: string, format: "iife" | "esm" | "cjs", file: string): Promise<void> {
  const { outputFiles } = await build({
    plugins: [apart],
    entryPoints: [join(SOURCE, entry)],
    ...BUNDLE,
    write: false,
    minify: true,
    format,
  });
  const { code } = await minify(outputFiles[0]!.text, {
    ecma: 2020,
    module: format === "esm",
    compress: { ecma: 2020, passes: 3, lhs_constants: false, sequences: false },
    mangle: { toplevel: true, properties: { regex: OWN } },
  });
  writeFileSync(join(OUT, file), `${BANNER}${code}\n`);
}

/** Declarations name their neighbours with `.ts`; a consumer's compiler wants `.js`. */
function emitTypes(): void {
  const require = createRequire(import.meta.url);
  const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc");
  const options = ["--noEmit", "false", "--declaration", "--emitDeclarationOnly"];
  const types = join(OUT, "types");
  execFileSync(process.execPath, [tsc, "-p", SOURCE, ...options, "--outDir", types], {
    stdio: "inherit",
  });
  for (const entry of readdirSync(types, { recursive: true, encoding: "utf8" })) {
    if (!entry.endsWith(".d.ts")) continue;
    const file = join(types, entry);
    writeFileSync(file, readFileSync(file, "utf8").replace(/(from "\.[^"]*)\.ts"/g, '$1.js"'));
  }
  writeFileSync(join(OUT, "rtm-client.d.mts"), `export * from "./types/${SOURCE}/index.js";\n`);
  // A CommonJS consumer may not be given types of an ES module: the same ones, in a folder that says so.
  const commonJs = join(OUT, "types-cjs");
  cpSync(types, commonJs, { recursive: true });
  writeFileSync(join(commonJs, "package.json"), '{"type": "commonjs"}\n');
  writeFileSync(join(OUT, "rtm-client.d.cts"), `export * from "./types-cjs/${SOURCE}/index.js";\n`);
}

mkdirSync(OUT, { recursive: true });
await bundle("classic.ts", "iife", "rtm-client.js");
await bundle("index.ts", "esm", "rtm-client.mjs");
await bundle("index.ts", "cjs", "rtm-client.cjs");
await bundle("classic-more.ts", "iife", "rtm-more.js");
await bundle("more.ts", "esm", MORE);
emitTypes();
