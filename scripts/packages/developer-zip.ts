/** One zip for the APEX developer who never sees Node: scripts, plug-ins, and a guide. */
import { cpSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { VERSION } from "../../cli/version.ts";
import { sourceDate } from "./source-date.ts";
import { run } from "./stage.ts";

const GUIDE = "packaging/zip/README.txt";

/** @returns the path of the archive in `out` */
export function buildZip(work: string, out: string): string {
  const name = `apex-rtm-${VERSION}-database-and-apex`;
  const folder = resolve(work, "zip", name);
  mkdirSync(folder, { recursive: true });
  const scripts = readdirSync("dist").filter((file) => file.endsWith(".sql"));
  for (const file of scripts) cpSync(join("dist", file), join(folder, file));
  cpSync("sql/grants", join(folder, "grants"), { recursive: true });
  cpSync("sql/examples", join(folder, "examples"), { recursive: true });
  cpSync("examples/apex", join(folder, "demo"), { recursive: true });
  cpSync("apex-plugins/dist", join(folder, "plug-ins"), { recursive: true });
  for (const page of ["install.md", "apex.md", "sql-api.md"]) {
    cpSync(join("docs", page), join(folder, "docs", page));
  }
  cpSync(GUIDE, join(folder, "README.txt"));
  cpSync("LICENSE", join(folder, "LICENSE"));
  writeFileSync(join(folder, "VERSION"), `${VERSION}\n`);
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  for (const file of files) utimesSync(join(folder, file), sourceDate(), sourceDate());
  const target = resolve(out, `${name}.zip`);
  // -X: no owners or other times; the names sorted: the same bytes each time.
  run("zip", ["-X", "-q", target, ...files.map((file) => join(name, file))], join(folder, ".."));
  return target;
}
