/** What the site and the tests know of the pages in docs/. */
import { existsSync, readFileSync } from "node:fs";

/** As GitHub makes anchors of headings, so that links work there and on the site. */
export function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replace(/\s/g, "-");
}

/** @param path of a file, from the root of the repository */
export function isPage(path: string): boolean {
  return path.endsWith(".md") && existsSync(path);
}

export interface Section {
  readonly title: string;
  /** `page` is named from docs/. */
  readonly pages: readonly { readonly text: string; readonly page: string }[];
}

/** The lists of docs/README.md: a reading order for each kind of reader. */
export function readingOrder(): Section[] {
  const [, ...sections] = readFileSync("docs/README.md", "utf8").split(/^## /m);
  return sections.map((section) => {
    const title = section.slice(0, section.indexOf("\n"));
    const links = section.matchAll(/^(?:\d+\.|-) \[([^\]]+)\]\(([\w./-]+\.md)\)/gm);
    return { title, pages: [...links].map(([, text, page]) => ({ text: text!, page: page! })) };
  });
}
