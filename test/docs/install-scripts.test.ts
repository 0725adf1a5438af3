/** Scripts that dependencies would run at `npm ci`. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

const read = (file: string) => JSON.parse(readFileSync(file, "utf8"));

it("are decided in package.json, each: npm warns of others at everybody's first contact", () => {
  const packages: Record<string, { hasInstallScript?: true }> = read("package-lock.json").packages;
  const names = Object.entries(packages)
    .filter(([, { hasInstallScript }]) => hasInstallScript)
    .map(([path]) => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length));
  expect(Object.keys(read("package.json").allowScripts)).toEqual([...new Set(names)].sort());
});
