/** The guard against a build that is older than its sources, and that nobody goes around it. */
import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { temporaryDirectory } from "../support/programs.ts";
import { staleBuild } from "../support/stale-build.ts";

/** A project with one source, built a minute later. */
function project(): string {
  const root = temporaryDirectory();
  for (const room of ["common", "relay", "worker", "cli", "emulator", "apex-plugins", "scripts"]) {
    mkdirSync(join(root, room));
  }
  mkdirSync(join(root, "build/cli/demo/page"), { recursive: true });
  for (const [file, minute] of [
    ["relay/hub.ts", 1],
    ["build/cli/demo/page/index.html", 2],
  ] as const) {
    writeFileSync(join(root, file), "");
    utimesSync(join(root, file), minute * 60, minute * 60);
  }
  return root;
}

it("takes a build that is newer than every source", () => {
  expect(staleBuild(project())).toBeUndefined();
});

it("names the source that is newer, and says so when there is no build", () => {
  const root = project();
  utimesSync(join(root, "relay/hub.ts"), 180, 180);
  expect(staleBuild(root)).toMatch(/build\/ is older than .*relay\/hub\.ts: run npm run build/);
  expect(staleBuild(temporaryDirectory())).toContain("is missing: run npm run build");
});

it("stands before every test that reads what was built", () => {
  // build/packages, release and site are made by the test itself.
  const unguarded = /(["'`]|\.\.\/)build\/(?!packages|release|site)/;
  const around = readdirSync("test", { recursive: true, encoding: "utf8" }).filter(
    (name) =>
      name.endsWith(".ts") &&
      !/^support\/|stale-build/.test(name) &&
      unguarded.test(readFileSync(join("test", name), "utf8")),
  );
  expect(around).toEqual([]);
});
