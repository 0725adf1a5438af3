/** A reader of the tree finds out from a file's first lines what it is, and the map has every folder. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { describe, expect, it } from "vitest";

const ROOMS = ["common", "relay", "worker", "cli", "emulator", "apex-plugins"];

/**
 * A comment, and behind it a blank line or an import: otherwise it belongs to the first declaration and
 * says what that is.
 */
const HEADER =
  /^(#![^\n]*\n)?\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n(\n|import |export [^\n]* from |\/\/\/ )/;

function modulesOf(room: string): string[] {
  return readdirSync(room, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => `${room}/${file.replaceAll("\\", "/")}`)
    .sort();
}

describe.each(ROOMS)("%s/", (room) => {
  it("each module begins with what it is", () => {
    const silent = modulesOf(room).filter((file) => !HEADER.test(readFileSync(file, "utf8")));
    expect(silent).toEqual([]);
  });
});

it("the map of docs/architecture.md or docs/emulator.md has every folder of the rooms", () => {
  const pages = ["docs/architecture.md", "docs/emulator.md"].map((page) =>
    readFileSync(page, "utf8"),
  );
  const isNamed = (folder: string) => {
    // What each plug-in has is said once.
    const [room, ...rest] = folder.replace(/^(apex-plugins\/.*)\/page$/, "$1").split("/");
    const page = pages[room === "emulator" && rest.length > 0 ? 1 : 0] as string;
    return (
      page.includes(`\`${[room, ...rest].join("/")}/\``) || page.includes(`\`${rest.join("/")}/\``)
    );
  };
  const folders = new Set(ROOMS.flatMap(modulesOf).map(dirname));
  expect(folders.size).toBeGreaterThan(15);
  expect([...folders].filter((folder) => !isNamed(folder))).toEqual([]);
});
