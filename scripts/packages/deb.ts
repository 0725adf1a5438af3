/** The deb, by debhelper. */
import { copyFileSync, cpSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { PACKAGE_VERSION } from "./rpm.ts";
import { sourceDate } from "./source-date.ts";
import { run, type Staged } from "./stage.ts";

const MAINTAINER = "the apex-rtm authors <apex-rtm@example.com>";

/** @returns the path of the package in `out` */
export function buildDeb({ root, modules }: Staged, work: string, out: string): string {
  const source = resolve(work, "deb/apex-rtm");
  mkdirSync(source, { recursive: true });
  cpSync(root, join(source, "root"), { recursive: true });
  cpSync("packaging/deb", join(source, "debian"), { recursive: true });
  const date = sourceDate().toUTCString().replace("GMT", "+0000");
  writeFileSync(
    join(source, "debian/changelog"),
    `apex-rtm (${PACKAGE_VERSION}) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- ${MAINTAINER}  ${date}\n`,
  );
  const licenses = modules.map(
    ({ name, version, license }) => ` ${name} ${version}: ${license ?? "?"}`,
  );
  writeFileSync(
    join(source, "debian/copyright"),
    [
      "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/",
      "Upstream-Name: apex-rtm",
      "Comment: the bundled modules carry their license texts beside them, below",
      " /usr/share/apex-rtm/node_modules:",
      ...licenses,
      "",
      "Files: *",
      `Copyright: ${sourceDate().getUTCFullYear()} the apex-rtm authors`,
      "License: MIT",
      " The text is in /usr/share/apex-rtm/LICENSE.",
      "",
    ].join("\n"),
  );
  run("dpkg-buildpackage", ["-b", "-us", "-uc", "-d"], source);
  const made = readdirSync(join(source, "..")).find((name) => name.endsWith(".deb")) as string;
  const target = join(out, made);
  copyFileSync(join(source, "..", made), target);
  return target;
}
