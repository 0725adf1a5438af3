/**
 * The rpm and the deb in roots that the package managers make: installed, run, upgraded over an edited
 * configuration, downgraded, removed. Needs root and minutes: RTM_TEST_PACKAGES=1.
 */
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { VERSION } from "../../cli/version.ts";
import { built } from "../support/build.ts";
import { has, temporaryDirectory } from "../support/programs.ts";
import { runsDemo, runsOnEngine } from "./installed.ts";

const OPTED_IN = process.env.RTM_TEST_PACKAGES === "1";
const why = OPTED_IN ? "" : " (skipped: long and needs root; RTM_TEST_PACKAGES=1)";
const NEXT = "99.0.0";

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  return { status, output: `${stdout}${stderr}` };
}

/** Builds both packages, of this version and of a later one. */
function build(kind: string): { now: string; next: string } {
  const kept = temporaryDirectory();
  const make = (version: string) => {
    const made = run(process.execPath, [built("scripts/packages/main.js"), kind], {
      RTM_PACKAGE_VERSION: version,
    });
    expect(made).toMatchObject({ status: 0 });
    const name = readdirSync("build/packages").find((file) => file.endsWith(`.${kind}`))!;
    cpSync(join("build/packages", name), join(kept, name));
    return join(kept, name);
  };
  return { now: make(VERSION), next: make(NEXT) };
}

/** Run from the files of the root. */
async function runs(root: string): Promise<void> {
  const script = join(root, "usr/share/apex-rtm/build/cli/rtm.js");
  expect(run(process.execPath, [script, "--version"]).output.trim()).toBe(VERSION);
  const installed = { command: [process.execPath, script] } as const;
  await runsDemo(installed);
  await runsOnEngine(installed);
}

/** What every package leaves on a host. */
function installed(root: string, units: string): void {
  for (const name of ["rtm.service", "rtm-relay.service", "rtm-worker@.service"]) {
    const text = readFileSync(join(root, units, name), "utf8");
    expect(text).toContain("/usr/bin/node /usr/share/apex-rtm/build/cli/rtm.js");
    expect(text).not.toMatch(/\/opt\/|install\.sh/);
    const [, page] = /Documentation=file:\/\/(\S+)/.exec(text)!;
    expect(existsSync(join(root, page!))).toBe(true);
  }
  expect(statSync(join(root, "etc/apex-rtm")).mode & 0o777).toBe(0o750);
  expect(readdirSync(join(root, "etc/apex-rtm"))).toEqual([]);
  const files = readdirSync(join(root, "usr/share/apex-rtm"), {
    recursive: true,
    encoding: "utf8",
  });
  expect(files.filter((file) => file.endsWith(".node"))).toEqual([]);
}

function configure(root: string): void {
  const directory = join(root, "etc/apex-rtm");
  const script = join(root, "usr/share/apex-rtm/build/cli/rtm.js");
  expect(run(process.execPath, [script, "init", "--dir", directory])).toMatchObject({ status: 0 });
  writeFileSync(join(directory, "rtm.json"), '{"mine":true}');
}

const edited = (root: string) => readFileSync(join(root, "etc/apex-rtm/rtm.json"), "utf8");

describe.skipIf(!OPTED_IN)(`packages${why}`, () => {
  beforeAll(() => {
    if (process.getuid?.() !== 0) throw new Error("RTM_TEST_PACKAGES needs root");
  });

  it.skipIf(!has("rpmbuild"))(
    "rpm: install, run, upgrade, downgrade, remove",
    {
      timeout: 1_200_000,
    },
    async () => {
      const { now, next } = build("rpm");
      const root = temporaryDirectory();
      // Scripts would need a shell in the root; they are read below, and run where a whole system is.
      const rpm = (...args: string[]) =>
        run("rpm", ["--root", root, "--nodeps", "--noscripts", ...args]);
      expect(rpm("-i", now)).toMatchObject({ status: 0 });
      installed(root, "usr/lib/systemd/system");
      await runs(root);
      configure(root);
      expect(rpm("-U", next)).toMatchObject({ status: 0 });
      expect(edited(root)).toBe('{"mine":true}');
      expect(rpm("-U", "--oldpackage", now)).toMatchObject({ status: 0 });
      expect(edited(root)).toBe('{"mine":true}');
      const needs = run("rpm", ["-qp", "--requires", now]).output;
      expect(needs).toContain("nodejs(engine) >= 20.19");
      expect(needs).not.toMatch(/npm\(|\/usr\/bin\/(env|bash|python|perl)/);
      expect(run("rpm", ["-qp", "--provides", now]).output).toMatch(
        /bundled\(nodejs-oracledb\) = /,
      );
      if (has("rpmlint")) {
        const lint = run("rpmlint", ["-c", "packaging/rpm/rpmlint.toml", now]);
        expect(lint.output).toMatch(/0 errors, 0 warnings/);
      }
      expect(rpm("-e", "apex-rtm").status).toBe(0);
      expect(existsSync(join(root, "usr/share/apex-rtm"))).toBe(false);
      expect(edited(root)).toBe('{"mine":true}');
    },
  );

  it.skipIf(!has("dpkg-buildpackage"))(
    "deb: install, run, upgrade, downgrade, remove",
    {
      timeout: 1_200_000,
    },
    async () => {
      const { now, next } = build("deb");
      const root = temporaryDirectory();
      mkdirSync(join(root, "var/lib/dpkg"), { recursive: true });
      for (const name of ["status", "available"])
        writeFileSync(join(root, "var/lib/dpkg", name), "");
      const dpkg = (...args: string[]) =>
        run(
          "dpkg",
          [...["--root", resolve(root), "--force-depends", "--force-script-chrootless"], ...args],
          { SYSTEMD_OFFLINE: "1" },
        );
      expect(dpkg("--unpack", now)).toMatchObject({ status: 0 });
      installed(root, "lib/systemd/system");
      await runs(root);
      configure(root);
      expect(dpkg("--unpack", next)).toMatchObject({ status: 0 });
      expect(edited(root)).toBe('{"mine":true}');
      expect(dpkg("--unpack", now)).toMatchObject({ status: 0 });
      expect(edited(root)).toBe('{"mine":true}');
      if (has("lintian")) {
        const lint = run("lintian", ["--allow-root", "--fail-on", "error,warning", now]);
        expect(lint).toMatchObject({ status: 0, output: "" });
      }
      expect(dpkg("--remove", "apex-rtm")).toMatchObject({ status: 0 });
      expect(existsSync(join(root, "usr/share/apex-rtm"))).toBe(false);
      expect(edited(root)).toBe('{"mine":true}');
    },
  );
});
