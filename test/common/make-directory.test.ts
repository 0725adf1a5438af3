import { existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { directoryProblem, makeDirectory } from "../../common/make-directory.ts";
import { temporaryDirectory } from "../support/programs.ts";

describe("makeDirectory", () => {
  it("makes all that is missing, says which was the first, and leaves alone what is there", () => {
    const top = temporaryDirectory();
    expect(makeDirectory(join(top, "a/b/c"), 0o700)).toBe(join(top, "a"));
    expect(statSync(join(top, "a/b/c")).mode & 0o777).toBe(0o700);
    expect(makeDirectory(join(top, "a/b"), 0o755)).toBeUndefined();
    expect(statSync(join(top, "a/b")).mode & 0o777).toBe(0o700);
  });

  it("says what is in the way", () => {
    const top = temporaryDirectory();
    writeFileSync(join(top, "file"), "");
    symlinkSync(join(top, "nowhere"), join(top, "link"));
    expect(() => makeDirectory(join(top, "file/a"), 0o700)).toThrow(
      `${top}/file is not a directory`,
    );
    expect(() => makeDirectory(join(top, "link"), 0o700)).toThrow("EEXIST");
    expect(existsSync(join(top, "nowhere"))).toBe(false);
  });

  // Node's own, recursive, never comes back.
  it.skipIf(!existsSync("/proc/self"))("gives up below /proc", () => {
    expect(() => makeDirectory("/proc/rtm/state", 0o700)).toThrow("nothing can be made in /proc");
  });
});

describe("directoryProblem", () => {
  it.skipIf(!existsSync("/proc/self"))("finds what nobody can make", () => {
    const top = temporaryDirectory();
    mkdirSync(join(top, "there"));
    writeFileSync(join(top, "file"), "");
    expect(directoryProblem(join(top, "there"))).toBeUndefined();
    expect(directoryProblem(join(top, "not/yet"))).toBeUndefined();
    expect(directoryProblem(join(top, "file/a"))).toBe(`${join(top, "file")} is not a directory`);
    expect(directoryProblem("/proc/rtm/state")).toBe("nothing can be made in /proc");
    expect(directoryProblem("/sys/rtm")).toBe("nothing can be made in /sys");
    expect(existsSync(join(top, "not"))).toBe(false);
  });
});
