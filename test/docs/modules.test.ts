/** A reader of the tree finds out from a file's first lines what it is, and the map has every folder. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { describe, expect, it } from "vitest";

const ROOMS = ["common", "relay", "worker", "cli", "emulator", "apex-plugins/client"];

function modulesOf(room: string): string[] {
  return readdirSync(room, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => `${room}/${file.replaceAll("\\", "/")}`)
    .sort();
}

describe.each(ROOMS)("%s/", (room) => {
  it("each module begins with what it is", () => {
    const silent = modulesOf(room).filter(
      (file) => !/^(#![^\n]*\n)?\/\*\*/.test(readFileSync(file, "utf8")),
    );
    expect(silent).toEqual([]);
  });
});

it("the map of docs/architecture.md or docs/emulator.md has every folder of the rooms", () => {
  const pages = ["docs/architecture.md", "docs/emulator.md"].map((page) =>
    readFileSync(page, "utf8"),
  );
  const isNamed = (folder: string) => {
    const [room, ...rest] = folder.split("/");
    const page = pages[room === "emulator" && rest.length > 0 ? 1 : 0] as string;
    return page.includes(`\`${folder}/\``) || page.includes(`\`${rest.join("/")}/\``);
  };
  const folders = new Set(ROOMS.flatMap(modulesOf).map(dirname));
  expect(folders.size).toBeGreaterThan(15);
  expect([...folders].filter((folder) => !isNamed(folder))).toEqual([]);
});
