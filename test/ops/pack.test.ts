/**
 * The packed tarball on a machine without a registry: installed by systemd/install.sh, checked,
 * and run. A minute or more, so it has a command of its own: npm run check:pack.
 */
import { spawnSync } from "node:child_process";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { VERSION } from "../../cli/version.ts";
import { temporaryDirectory } from "../support/programs.ts";
import { runsDemo, runsOnEngine } from "./installed.ts";

const LONG = process.env.RTM_TEST_LONG === "1";
const why = LONG ? "" : " (skipped: long; npm run check:pack)";
/** A registry that cannot be reached, and a home without caches. */
const isolated = (home: string): NodeJS.ProcessEnv => ({
  PATH: process.env.PATH,
  HOME: home,
  npm_config_registry: "http://127.0.0.1:9",
});

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", env });
  return { status, stdout, stderr };
}

it("packs of build/ what runs, and nothing else that lies there", () => {
  const read = (file: string) => JSON.parse(readFileSync(file, "utf8"));
  const compiled: string[] = read("tsconfig.build.json").include;
  const rooms = compiled.filter((name) => !["apex-plugins/exporter", "scripts"].includes(name));
  const packed: string[] = read("package.json").files;
  expect(packed.filter((path) => /^!?build/.test(path)).sort()).toEqual(
    ["client", ...rooms].map((name) => join("build", name)).sort(),
  );
});

describe.skipIf(!LONG)(`the packed tarball${why}`, () => {
  it("installs offline, keeps configuration at an upgrade, and runs", {
    timeout: 600_000,
  }, async () => {
    const directory = temporaryDirectory();
    const env = isolated(directory);
    expect(run("npm", ["pack", "--pack-destination", directory]).status).toBe(0);
    const tarball = join(directory, `apex-rtm-${VERSION}.tgz`);

    // With the script from the tarball, as the documentation says.
    const unpack = ["-xzf", tarball, "-C", directory, "package/systemd/install.sh"];
    expect(run("tar", unpack)).toMatchObject({ status: 0 });
    const script = join(directory, "package/systemd/install.sh");
    const root = join(directory, "root");
    mkdirSync(root);
    const first = run("sh", [script, "--root", root, tarball], env);
    expect(first).toMatchObject({ status: 0, stderr: "" });
    expect(first.stdout).toContain("created /etc/apex-rtm/rtm.json");
    const etc = (name: string) => join(root, "etc/apex-rtm", name);
    expect(statSync(etc("token-secret")).mode & 0o777).toBe(0o640);
    expect(statSync(etc("")).mode & 0o777).toBe(0o750);
    const secret = readFileSync(etc("token-secret"), "utf8");
    expect(secret.trim().length).toBeGreaterThanOrEqual(32);
    expect(JSON.parse(readFileSync(etc("rtm.json"), "utf8"))).toHaveProperty("database");
    const unit = join(root, "etc/systemd/system/rtm.service");
    expect(readFileSync(unit, "utf8")).toBe(readFileSync("systemd/rtm.service", "utf8"));

    const current = join(root, "opt/apex-rtm/current");
    const rtm = join(current, "node_modules/.bin/rtm");
    expect(run(rtm, ["--version"], env).stdout.trim()).toBe(VERSION);
    const insecure = { ...env, RTM_RELAY_INSECURE: "true" };
    expect(run(rtm, ["check-config"], insecure).stdout).toContain("configuration is valid");

    await runsDemo({ command: [rtm], env });
    await runsOnEngine({ command: [rtm], env });

    // An upgrade.
    writeFileSync(etc("rtm.json"), '{"mine":true}');
    writeFileSync(unit, "an old unit");
    for (const old of ["0.0.1", "0.0.2"]) mkdirSync(join(root, "opt/apex-rtm/versions", old));
    rmSync(current);
    symlinkSync("versions/0.0.2", current);
    const second = run("sh", [script, "--root", root, tarball], env);
    expect(second).toMatchObject({ status: 0, stderr: "" });
    expect(second.stdout).toContain("kept    /etc/apex-rtm/rtm.json");
    expect(readFileSync(etc("rtm.json"), "utf8")).toBe('{"mine":true}');
    expect(readFileSync(etc("token-secret"), "utf8")).toBe(secret);
    expect(readFileSync(unit, "utf8")).toBe(readFileSync("systemd/rtm.service", "utf8"));
    expect(readlinkSync(current)).toBe(`versions/${VERSION}`);
    // The version before it stays, for a way back.
    expect(readdirSync(join(root, "opt/apex-rtm/versions")).sort()).toEqual(["0.0.2", VERSION]);
    expect(readlinkSync(join(root, "usr/bin/rtm"))).toBe("/usr/local/bin/rtm");
    expect(run(rtm, ["--version"], env).stdout.trim()).toBe(VERSION);
    expect(run("sh", [script, "--root", root, "/nonexistent.tgz"], env)).toMatchObject({
      status: 2,
    });
  });
});
