/** compose.yaml, as far as it can be tried without Docker. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { rtmConfig } from "../../cli/config.ts";
import { PACKAGE_ROOT } from "../../cli/version.ts";
import { parseConfig } from "../../common/config.ts";
import { has, temporaryDirectory } from "../support/programs.ts";

const root = (path: string) => join(PACKAGE_ROOT, path);
const compose = readFileSync(root("compose.yaml"), "utf8");
const scripts = ["compose", "compose/initdb"].flatMap((folder) =>
  readdirSync(root(folder))
    .filter((name) => name.endsWith(".sh"))
    .map((name) => `${folder}/${name}`),
);

describe("compose.yaml", () => {
  it("mounts what is there", () => {
    const mounted = [...compose.matchAll(/^\s+- (\.[\w./-]*):/gm)].map(
      ([, path]) => path as string,
    );
    expect(mounted.length).toBeGreaterThan(6);
    // What the user unpacks.
    const missing = mounted.filter((path) => path !== "./compose/apex" && !existsSync(root(path)));
    expect(missing).toEqual([]);
  });

  it("listens on loopback only", () => {
    const ports = [...compose.matchAll(/^ {4}ports:\n((?: {6}- .*\n)+)/gm)].flatMap(([, lines]) =>
      lines!.trim().split("\n"),
    );
    expect(ports).toHaveLength(3);
    for (const port of ports) expect(port).toMatch(/^\s*- "127\.0\.0\.1:/);
  });

  it("pins every image, and waits for what it needs", () => {
    const images = [...compose.matchAll(/^\s+image: (.+)$/gm)].map(([, image]) => image as string);
    for (const image of images) expect(image).toMatch(/:(\$\{\w+:-)?[\w.]*\d[\w.-]*\}?$/);
    const conditions = [...compose.matchAll(/\{ condition: (\w+) \}/g)].map(([, name]) => name);
    for (const name of conditions) {
      expect(["service_healthy", "service_started", "service_completed_successfully"]).toContain(
        name,
      );
    }
  });

  it("holds no secret", () => {
    expect(compose).not.toMatch(/PASSWORD: (?!\/run)/);
    for (const script of scripts) {
      expect(readFileSync(root(script), "utf8"), script).not.toMatch(/identified by \\"(?!\$\()/);
    }
  });
});

describe("the files of compose/", () => {
  /** Runs a script with a `sqlplus` that writes down its arguments and what it reads. */
  const runWithSpy = (script: string, folder: string) => {
    const spy = join(folder, "sqlplus");
    writeFileSync(spy, `#!/bin/sh\necho "$*" >> ${folder}/arguments\ncat >> ${folder}/input\n`, {
      mode: 0o755,
    });
    const text = readFileSync(root(script), "utf8").replaceAll("/run/rtm/", `${folder}/secrets/`);
    const env = { PATH: `${folder}:${process.env.PATH}` };
    const run = spawnSync("bash", ["--norc", "-c", text], { encoding: "utf8", env });
    expect(run.stderr).toBe("");
    const read = (name: string) => readFileSync(join(folder, name), "utf8");
    return { arguments: read("arguments"), input: read("input") };
  };

  it.each([
    ["compose/initdb/020_install.sh", "owner-password"],
    ["compose/apex-import.sh", "oracle-password"],
  ])("%s: no password on a command line, where every user could read it", (script, secret) => {
    const folder = temporaryDirectory();
    const secrets = join(folder, "secrets");
    spawnSync(process.execPath, [root("compose/secrets.mjs"), secrets]);
    const { arguments: given, input } = runWithSpy(script, folder);
    for (const name of readdirSync(secrets)) {
      expect(given, name).not.toContain(readFileSync(join(secrets, name), "utf8"));
    }
    // It is the first line that SQL*Plus reads, in front of the first command.
    const password = readFileSync(join(secrets, secret), "utf8").trim();
    expect(input.split("\n")[0]).toBe(password);
    expect(given.split("\n")[0]).toMatch(/^-s -l \w+@\/\/\w+\/FREEPDB1( as sysdba)?$/);
  });

  it("give the service a valid configuration", () => {
    const config = parseConfig(
      rtmConfig,
      JSON.parse(readFileSync(root("compose/rtm.json"), "utf8")),
    );
    expect(config.database.connectString).toBe("db:1521/FREEPDB1");
  });

  it("make every secret that something reads, and none twice", () => {
    const folder = join(temporaryDirectory(), "secrets");
    const make = () =>
      spawnSync(process.execPath, [root("compose/secrets.mjs"), folder], { encoding: "utf8" });
    expect(make().stderr).toBe("");
    const all = [compose, readFileSync(root("compose/rtm.json"), "utf8")].concat(
      scripts.map((script) => readFileSync(root(script), "utf8")),
    );
    const wanted = all.flatMap((text) => [
      ...[...text.matchAll(/\/run\/rtm\/([a-z-]+)/g)].map(([, name]) => name as string),
      ...[...text.matchAll(/\$\(secret ([a-z-]+)\)/g)].map(([, name]) => name as string),
    ]);
    expect(readdirSync(folder).sort()).toEqual([...new Set(wanted)].sort());
    const read = () => readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
    const first = read();
    for (const text of first) expect(text).toMatch(/^[\w!]{24,64}$/);
    expect(new Set(first).size).toBe(first.length);
    expect(make().status).toBe(0);
    expect(read()).toEqual(first);
  });

  it.each(scripts)("%s can be run: shell, mode, stop at an error", (script) => {
    expect(spawnSync("bash", ["-n", root(script)], { encoding: "utf8" }).stderr).toBe("");
    expect(statSync(root(script)).mode & 0o100).toBe(0o100);
    expect(readFileSync(root(script), "utf8")).toContain("set -euo pipefail");
  });

  it("name scripts of sql/ that are there", () => {
    const named = scripts.flatMap((script) => [
      ...readFileSync(root(script), "utf8").matchAll(/\/opt\/rtm\/(sql\/[\w./]+\.sql)/g),
    ]);
    expect(named.length).toBeGreaterThan(2);
    for (const [, path] of named) expect(existsSync(root(path!)), path).toBe(true);
  });

  it.skipIf(!has("nginx"))("are a configuration that nginx takes", () => {
    const directory = temporaryDirectory();
    const site = readFileSync(root("compose/nginx.conf"), "utf8")
      .replace("server service:3000", "server 127.0.0.1:3000")
      .replace("/etc/nginx/apex-rtm/rtm-proxy.inc", root("nginx/rtm-proxy.inc"))
      .replace("/var/log/nginx/error.log", join(directory, "error.log"))
      .replace("listen 80;", "listen 127.0.0.1:18080;");
    const main = join(directory, "nginx.conf");
    writeFileSync(
      main,
      `pid ${directory}/pid;\nerror_log ${directory}/main.log;\nevents {}\nhttp {\n${site}\n}\n`,
    );
    const run = spawnSync("nginx", ["-t", "-p", directory, "-c", main], { encoding: "utf8" });
    expect(run.stderr).toContain("test is successful");
  });
});
