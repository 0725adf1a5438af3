/** `npm run docs:site` ends with this: every link inside the built site leads to a page and a heading. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const SITE = "build/site";
const base = process.env.RTM_SITE_BASE ?? "/";

const files = readdirSync(SITE, { recursive: true, encoding: "utf8" }).filter(
  (file) => file.endsWith(".html") && file !== "404.html",
);
const pages = new Map(files.map((file) => [file, readFileSync(join(SITE, file), "utf8")]));

/** What is wrong with a link of a page; undefined when it is right or leads out of the site. */
function problem(file: string, href: string): string | undefined {
  if (/^[a-z]+:/.test(href)) return undefined;
  const [path = "", anchor] = href.split("#");
  const plain = path.startsWith(base) ? path.slice(base.length) : join(dirname(file), path);
  const page = plain === "" || plain.endsWith("/") ? `${plain}index.html` : plain;
  const target = path === "" ? file : page;
  if (!existsSync(join(SITE, target))) return `${file}: ${href} leads nowhere`;
  if (anchor && !pages.get(target)?.includes(`id="${decodeURIComponent(anchor)}"`)) {
    return `${file}: ${href} names no heading`;
  }
  return undefined;
}

const problems = new Set<string>();
for (const [file, html] of pages) {
  for (const [, href] of html.matchAll(/<a [^>]*href="([^"]*)"/g)) {
    const found = problem(file, href!.replaceAll("&amp;", "&"));
    if (found !== undefined) problems.add(found);
  }
}
for (const found of problems) console.error(found);
console.log(`${files.length} pages in ${SITE}`);
process.exitCode = problems.size > 0 ? 1 : 0;
