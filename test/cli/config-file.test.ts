/** The configuration's file, where it is not what it should be. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { configFile, readConfig } from "../../cli/config.ts";
import { ConfigError } from "../../common/config.ts";
import { temporaryDirectory } from "../support/programs.ts";

const NOBODY = 65_534;

/** Root may read everything, so the rest of the test is somebody else. */
function withoutRights(): void {
  if (process.geteuid?.() !== 0) return;
  process.seteuid?.(NOBODY);
  onTestFinished(() => process.seteuid?.(0));
}

function problemsOf(file: string): readonly string[] {
  try {
    readConfig(file);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  throw new Error("it was read");
}

/** A file that others may not read, in a directory that they may enter only when `visible`. */
function secretFile(visible: boolean): string {
  const directory = temporaryDirectory();
  const inner = join(directory, "apex-rtm");
  mkdirSync(inner);
  const file = join(inner, "rtm.json");
  writeFileSync(file, "{}");
  chmodSync(file, 0);
  chmodSync(inner, visible ? 0o755 : 0);
  chmodSync(directory, 0o755);
  onTestFinished(() => chmodSync(inner, 0o700));
  return file;
}

it.each([
  ["a file", true],
  ["a directory", false],
])("says that %s may not be read and what to do, not that it is not there", (_what, visible) => {
  const file = secretFile(visible);
  withoutRights();
  const [problem, ...more] = problemsOf(file);
  expect(problem).toContain(`${file} cannot be read: EACCES`);
  expect(problem).toContain("run it as root (sudo) or as the service's user");
  expect(more).toEqual([]);
});

it("takes a default file that it may not see for one that is there", () => {
  const before = process.cwd();
  process.chdir(dirname(secretFile(false)));
  onTestFinished(() => process.chdir(before));
  withoutRights();
  expect(configFile(undefined)).toBe("rtm.json");
});
