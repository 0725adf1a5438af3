/**
 * Parses units with the PL/SQL grammar, in a process of its own, and remembers by hash what was proved to
 * parse (`.cache/plsql.json`; delete it, or set RTM_PLSQL_CACHE=off, to start afresh). A grammar or a
 * preload that changed empties the cache. All of it takes about one minute of CPU time.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Unit } from "./units.ts";

const ROOT = join(import.meta.dirname, "../../..");
const SCRIPTS = join(ROOT, "test/sql/plsql/antlr");
const CACHE = join(ROOT, ".cache/plsql.json");

export interface ParseResult {
  readonly name: string;
  readonly errors: readonly string[];
}

const hash = (text: string) => createHash("sha256").update(text).digest("hex");

function toolVersion(): string {
  const scripts = readdirSync(SCRIPTS)
    .sort()
    .map((name) => readFileSync(join(SCRIPTS, name), "utf8"));
  const grammar = join(ROOT, "node_modules/@griffithswaite/ts-plsql-parser/package.json");
  return hash(scripts.join("\n") + readFileSync(grammar, "utf8"));
}

function readCache(tool: string): Set<string> {
  if (process.env.RTM_PLSQL_CACHE === "off") return new Set();
  try {
    const cache = JSON.parse(readFileSync(CACHE, "utf8")) as { tool: string; parsed: string[] };
    return new Set(cache.tool === tool ? cache.parsed : []);
  } catch {
    return new Set();
  }
}

async function run(batch: readonly Unit[]): Promise<ParseResult[]> {
  if (batch.length === 0) return [];
  const child = spawn(
    process.execPath,
    [
      "--max-semi-space-size=64",
      "--import",
      join(SCRIPTS, "fast-antlr.mjs"),
      join(SCRIPTS, "parse-units.mjs"),
    ],
    { cwd: ROOT, stdio: ["pipe", "pipe", "pipe"] },
  );
  child.stdin.end(JSON.stringify(batch));
  const read = async (stream: NodeJS.ReadableStream) => {
    let text = "";
    for await (const chunk of stream) text += chunk;
    return text;
  };
  const [output, problems, code] = await Promise.all([
    read(child.stdout),
    read(child.stderr),
    new Promise<number | null>((resolve) => child.once("close", resolve)),
  ]);
  if (code !== 0) throw new Error(`the PL/SQL parser ended with ${code}: ${problems}`);
  const results = output
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as ParseResult);
  if (results.length !== batch.length) throw new Error("the PL/SQL parser left units out");
  return results;
}

/** Errors of the units that do not parse; `parsed` counts those that had to be parsed now. */
export async function parse(
  all: readonly Unit[],
): Promise<{ failures: ParseResult[]; parsed: number }> {
  const tool = toolVersion();
  const known = readCache(tool);
  const fresh = all.filter(({ text }) => !known.has(hash(text)));
  // One process: most of the time goes into a cold parser, and its second unit is far cheaper.
  const results = await run(fresh);
  const failures = results.filter(({ errors }) => errors.length > 0);
  const failed = new Set(failures.map(({ name }) => name));
  const proved = all.filter(({ name }) => !failed.has(name)).map(({ text }) => hash(text));
  // Another test file may have added to the cache meanwhile.
  const parsed = [...new Set([...readCache(tool), ...proved])];
  mkdirSync(dirname(CACHE), { recursive: true });
  writeFileSync(`${CACHE}.${process.pid}`, JSON.stringify({ tool, parsed }));
  renameSync(`${CACHE}.${process.pid}`, CACHE);
  return { failures, parsed: fresh.length };
}
