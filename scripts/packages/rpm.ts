/** The rpm, by rpmbuild. Works on any distribution that has rpmbuild: the package is noarch. */
import { copyFileSync, mkdirSync, readdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { VERSION } from "../../cli/version.ts";
import { run, type Staged } from "./stage.ts";

/** `1.2.0-rc.1` sorts before `1.2.0` in rpm when written `1.2.0~rc.1`; deb has the same rule. */
export const PACKAGE_VERSION = (process.env.RTM_PACKAGE_VERSION ?? VERSION).replace("-", "~");

/** @returns the path of the package in `out` */
export function buildRpm({ root, modules }: Staged, work: string, out: string): string {
  const top = resolve(work, "rpm");
  for (const name of ["SOURCES", "SPECS", "BUILD", "RPMS", "SRPMS"]) {
    mkdirSync(join(top, name), { recursive: true });
  }
  run("tar", [
    "-czf",
    join(top, "SOURCES", `apex-rtm-${PACKAGE_VERSION}-root.tar.gz`),
    ...["--sort=name", "--owner=0", "--group=0", "--numeric-owner"],
    ...[`--mtime=@${process.env.SOURCE_DATE_EPOCH ?? 0}`, "-C", root, "."],
  ]);
  const spec = join(top, "SPECS/apex-rtm.spec");
  copyFileSync("packaging/rpm/apex-rtm.spec", spec);
  const provides = modules.map(
    ({ name, version }) =>
      `bundled(nodejs-${name.replace("@", "").replace("/", "-")}) = ${version.replaceAll("-", "~")}`,
  );
  run("rpmbuild", [
    "-bb",
    ...["--define", `_topdir ${top}`],
    ...["--define", `rtm_version ${PACKAGE_VERSION}`],
    ...["--define", `rtm_bundled ${[...new Set(provides)].join(", ")}`],
    ...["--define", "use_source_date_epoch_as_buildtime 1"],
    ...["--define", "clamp_mtime_to_source_date_epoch 1"],
    ...["--define", "_buildhost localhost"],
    spec,
  ]);
  const folder = join(top, "RPMS/noarch");
  const made = join(folder, readdirSync(folder)[0] as string);
  const target = join(out, basename(made));
  copyFileSync(made, target);
  return target;
}
