/**
 * `npm run package -- [rpm] [deb] [zip] [image]`: what a release attaches, into build/packages/.
 * Without a name all that this machine has the programs for; a named one that lacks its program fails.
 */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { buildDeb } from "./deb.ts";
import { buildZip } from "./developer-zip.ts";
import { buildImages } from "./image.ts";
import { buildRpm } from "./rpm.ts";
import { sourceDate } from "./source-date.ts";
import { type Staged, stage } from "./stage.ts";

const OUT = "build/packages";
const WORK = "build/packages/work";

interface Kind {
  /** The program that must be there. */
  readonly needs: string;
  /** Gives the paths of what it made. */
  readonly build: (staged: Staged) => string[];
}

const KINDS: Readonly<Record<string, Kind>> = {
  rpm: { needs: "rpmbuild", build: (staged) => [buildRpm(staged, WORK, OUT)] },
  deb: { needs: "dpkg-buildpackage", build: (staged) => [buildDeb(staged, WORK, OUT)] },
  zip: { needs: "zip", build: () => [buildZip(WORK, OUT)] },
  image: { needs: "buildah", build: (staged) => buildImages(staged, WORK, OUT) },
};

const has = (program: string) => spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;

const named = process.argv.slice(2);
const unknown = named.filter((name) => !(name in KINDS));
if (unknown.length > 0) {
  console.error(`unknown: ${unknown.join(", ")}; there is ${Object.keys(KINDS).join(", ")}`);
  process.exit(2);
}
sourceDate();
rmSync(OUT, { recursive: true, force: true });
mkdirSync(WORK, { recursive: true });
const staged = stage(join(WORK, "stage"));
const tarball = join(OUT, basename(staged.tarball));
copyFileSync(staged.tarball, tarball);
const made = [tarball];
for (const name of named.length > 0 ? named : Object.keys(KINDS)) {
  const { needs, build } = KINDS[name] as Kind;
  if (has(needs)) {
    try {
      made.push(...build(staged));
    } catch (error) {
      // What else was made is of use, and has its checksum.
      console.error(`${name}: ${error instanceof Error ? error.message : error}`);
      process.exitCode = 1;
    }
  } else if (named.length > 0) {
    console.error(`${name}: the program ${needs} is missing`);
    process.exit(1);
  } else console.log(`${name}: skipped, the program ${needs} is missing`);
}
rmSync(WORK, { recursive: true });
const sums = made.map((path) => {
  const sum = createHash("sha256").update(readFileSync(path)).digest("hex");
  return `${sum}  ${basename(path)}`;
});
writeFileSync(join(OUT, "SHA256SUMS"), `${sums.join("\n")}\n`);
console.log([...made, join(OUT, "SHA256SUMS")].join("\n"));
