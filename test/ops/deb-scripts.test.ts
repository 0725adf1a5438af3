/** The scripts of the deb, with programs beside them that only say what they were asked. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { beforeEach, expect, it } from "vitest";
import { temporaryDirectory } from "../support/programs.ts";

let directory: string;
beforeEach(() => {
  directory = temporaryDirectory();
});

/** Returns what the script asked of the system. */
function run(script: string, action: string, root?: string): string[] {
  const [programs, said] = [join(directory, "bin"), join(directory, "said")];
  mkdirSync(programs, { recursive: true });
  writeFileSync(said, "");
  const pretend = (name: string, then: string) =>
    writeFileSync(join(programs, name), `#!/bin/sh\necho ${name} "$@" >>${said}\n${then}\n`, {
      mode: 0o755,
    });
  pretend("getent", "exit 2");
  for (const name of ["adduser", "chown"]) pretend(name, "");
  // Only below the test's own root is anything removed.
  pretend("rm", root === undefined ? "" : 'exec /bin/rm "$@"');
  const { status, stderr } = spawnSync("/bin/sh", [resolve("packaging/deb", script), action], {
    encoding: "utf8",
    env: { PATH: `${programs}:/usr/bin:/bin`, ...(root === undefined ? {} : { DPKG_ROOT: root }) },
  });
  expect([status, stderr]).toEqual([0, ""]);
  return readFileSync(said, "utf8").split("\n").slice(0, -1);
}

/** A root with files of ours and of others. */
function otherRoot(): string {
  const root = join(directory, "root");
  for (const path of ["etc/apex-rtm", "var/lib/apex-rtm", "etc/other", "var/lib/other"]) {
    mkdirSync(join(root, path), { recursive: true });
    writeFileSync(join(root, path, "file"), "");
  }
  return root;
}

it("configure makes the user and gives it the configuration, on this system only", () => {
  expect(run("postinst", "configure")).toEqual([
    "getent passwd apex-rtm",
    expect.stringMatching(/^adduser --system --group .* apex-rtm$/),
    "chown root:apex-rtm /etc/apex-rtm",
  ]);
  expect(run("postinst", "configure", otherRoot())).toEqual([]);
  expect(run("postinst", "abort-upgrade")).toEqual([]);
});

it("purge removes configuration and state of the root that it was told, and nothing else", () => {
  const root = otherRoot();
  expect(run("postrm", "remove", root)).toEqual([]);
  run("postrm", "purge", root);
  for (const at of ["etc", "var/lib"]) {
    expect(existsSync(join(root, at, "apex-rtm"))).toBe(false);
    expect(existsSync(join(root, at, "other/file"))).toBe(true);
  }
  expect(run("postrm", "purge")).toEqual(["rm -rf /etc/apex-rtm /var/lib/apex-rtm"]);
});
