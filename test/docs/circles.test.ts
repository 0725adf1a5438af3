/** No modules import each other in a circle, types included, but for the idea that is named here. */
import { readdirSync, readFileSync } from "node:fs";
import { join, normalize } from "node:path";
import { expect, it } from "vitest";

const ROOMS = ["apex-plugins", "cli", "common", "emulator", "relay", "worker"];
/** A subscription joins a channel and an outlet, so each of them knows the other's type. */
const ONE_IDEA = [
  ["relay/channels/channel.ts", "relay/channels/latest.ts", "relay/channels/outlet.ts"],
];

const FROM = /^(?:import|export)\b[^;]*?\bfrom\s+"(\.[^"]+)"/gm;

function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  return [...text.matchAll(FROM)].map(([, target]) =>
    normalize(join(file, "..", target as string)),
  );
}

/** The groups of more than one file in which each is reached from each (Tarjan), sorted. */
function circlesOf(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const index = new Map<string, number>();
  const path: string[] = [];
  const circles: string[][] = [];
  const visit = (file: string): number => {
    const own = index.size;
    let lowest = own;
    index.set(file, own);
    path.push(file);
    for (const next of graph.get(file) ?? []) {
      if (!index.has(next)) lowest = Math.min(lowest, visit(next));
      else if (path.includes(next)) lowest = Math.min(lowest, index.get(next) as number);
    }
    if (lowest === own) {
      const group = path.splice(path.indexOf(file));
      if (group.length > 1) circles.push(group.sort());
    }
    return lowest;
  };
  for (const file of graph.keys()) if (!index.has(file)) visit(file);
  return circles.sort();
}

it("finds a circle, through a type too", () => {
  expect(
    circlesOf(
      new Map([
        ["a", ["b"]],
        ["b", ["c"]],
        ["c", ["b"]],
      ]),
    ),
  ).toEqual([["b", "c"]]);
});

it("no modules import each other in a circle, but for types of one idea", () => {
  const files = ROOMS.flatMap((room) =>
    readdirSync(room, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => join(room, name)),
  );
  expect(files.length).toBeGreaterThan(300);
  const graph = new Map(files.map((file) => [file, importsOf(file)]));
  expect(graph.get("relay/relay.ts")).toContain("relay/compose.ts");
  expect(circlesOf(graph)).toEqual(ONE_IDEA);
});
