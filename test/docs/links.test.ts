/** Every relative link of the documentation leads to a file, and every anchor to a heading. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import { anchorOf } from "../../scripts/site/pages.ts";

const pagesIn = (folder: string) =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".md"))
    .map((name) => join(folder, name));

const PAGES = [".", "docs", "docs/design", "examples", "examples/apex"].flatMap(pagesIn);

function anchors(page: string): Set<string> {
  const headings = readFileSync(page, "utf8").matchAll(/^#{1,6}\s+(.+)$/gm);
  return new Set([...headings].map(([, text]) => anchorOf(text!)));
}

function brokenLinks(page: string): string[] {
  const text = readFileSync(page, "utf8").replace(/```[\s\S]*?```/g, "");
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
  return targets.filter((target) => {
    if (/^[a-z]+:/.test(target)) return false;
    const [file, anchor] = target.split("#");
    const path = file ? normalize(join(dirname(page), file)) : page;
    if (!existsSync(path)) return true;
    return anchor !== undefined && path.endsWith(".md") && !anchors(path).has(anchor);
  });
}

describe("documentation links", () => {
  it.each(PAGES)("%s", (page) => {
    expect(brokenLinks(page)).toEqual([]);
  });
});
